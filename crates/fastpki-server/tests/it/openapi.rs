//! The description of the API: made from the routes, and with everything that FastPKI 0.4.0 had.

use std::collections::BTreeSet;

use fastpki_testing::Kind;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use crate::harness::{Options, Server};

/// What FastPKI 0.4.0 served, as its users' clients know it.
const OLD: &str = include_str!("../../testdata/fastpki-0.4.0/openapi.json");

/// Where ours differs on purpose: the place, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    // FastPKI 0.4 said application/json of every file, and meant another type.
    ("get /crl/{ca_slug} 200", "application/pkix-crl"),
    ("get /crl/{ca_slug}.pem 200", "application/x-pem-file"),
    ("get /ca/{ca_slug}.crt 200", "application/pkix-cert"),
    ("get /ca/{ca_slug}.pem 200", "application/x-pem-file"),
    ("get /api/v1/export/ca/{ca_id}/certificate 200", "application/x-pem-file"),
    ("get /api/v1/export/ca/{ca_id}/private-key 200", "application/x-pem-file"),
    ("get /api/v1/export/certificate/{cert_id} 200", "application/x-pem-file"),
    ("get /api/v1/export/certificate/{cert_id}/private-key 200", "application/x-pem-file"),
    ("get /api/v1/export/certificate/{cert_id}/chain 200", "application/x-pem-file"),
];

/// What FastPKI 0.4 documented and never answered: any text may be a slug.
const NEVER_ANSWERED: [&str; 4] = [
    "get /crl/{ca_slug} 422",
    "get /crl/{ca_slug}.pem 422",
    "get /ca/{ca_slug}.crt 422",
    "get /ca/{ca_slug}.pem 422",
];

/// Fields that may be null here and were not there.
const NULLABLE: &[(&str, &str)] = &[
    // The CA of an adopted certificate may be gone.
    ("Certificate", "issuer_id"),
    // Another tenant's CA in a chain shows what its certificate says, and no more.
    ("ForeignCa", "*"),
];

/// Fields of bodies that had to be there.
const NO_LONGER_REQUIRED: &[(&str, &str)] = &[
    // A CA is renamed and set up by the same request, without being moved.
    ("patch /api/v1/cas/{ca_id} body", "organization_id"),
];

fn ours() -> Value {
    fastpki_server::openapi("FastPKI", "/api/v1")
}

fn object(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

fn follow<'v>(document: &'v Value, schema: &'v Value) -> &'v Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference}")),
        None => schema,
    }
}

/// The types that a schema takes: `string`, `integer`, `null`, ….
fn types(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = follow(document, schema);
    match (&schema["anyOf"], &schema["type"]) {
        (Value::Array(choices), _) => choices.iter().flat_map(|choice| types(document, choice)).collect(),
        (_, Value::Array(names)) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        (_, Value::String(name)) => [name.clone()].into(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn everything_of_fastpki_0_4_is_there() {
    let (old, new) = (serde_json::from_str::<Value>(OLD).unwrap(), ours());
    let mut problems = Vec::new();
    let mut compared = 0;
    for (path, methods) in object(&old["paths"]) {
        for (method, before) in object(methods) {
            compared += 1;
            let what = format!("{method} {path}");
            let now = &new["paths"][path][method];
            if now.is_null() {
                problems.push(format!("{what} is missing"));
                continue;
            }
            compare_parameters(&old, before, &new, now, &what, &mut problems);
            let body = |operation: &Value| {
                object(&operation["requestBody"]["content"])
                    .iter()
                    .next()
                    .map(|(kind, it)| (kind.clone(), it["schema"].clone()))
            };
            match (body(before), body(now)) {
                (Some((kind, schema)), Some((kind_now, schema_now))) => {
                    if kind != kind_now {
                        problems.push(format!("{what}: a body of {kind_now}, not {kind}"));
                    }
                    compare(&old, &schema, &new, &schema_now, true, &format!("{what} body"), &mut problems);
                }
                (Some(_), None) => problems.push(format!("{what} takes no body")),
                (None, _) => {}
            }
            for (status, answer) in object(&before["responses"]) {
                compare_answer(
                    &old,
                    answer,
                    &new,
                    &now["responses"][status],
                    &format!("{what} {status}"),
                    &mut problems,
                );
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(compared, 55);
}

fn compare_parameters(
    old: &Value,
    before: &Value,
    new: &Value,
    now: &Value,
    what: &str,
    problems: &mut Vec<String>,
) {
    for parameter in before["parameters"].as_array().into_iter().flatten() {
        let name = &parameter["name"];
        let found = now["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|it| it["name"] == *name && it["in"] == parameter["in"]);
        let Some(found) = found else {
            problems.push(format!("{what}: no parameter {name}"));
            continue;
        };
        if found["required"] != parameter["required"] {
            problems.push(format!("{what}: required or not: {name}"));
        }
        // A parameter that is not given is not null.
        let mut types_before = types(old, &parameter["schema"]);
        types_before.remove("null");
        if types_before != types(new, &found["schema"]) {
            problems.push(format!("{what}: the type of {name}"));
        }
    }
    let required =
        now["parameters"].as_array().into_iter().flatten().filter(|it| it["required"] == true).count();
    let before =
        before["parameters"].as_array().into_iter().flatten().filter(|it| it["required"] == true).count();
    if required != before {
        problems.push(format!("{what}: {required} parameters are required, not {before}"));
    }
}

fn compare_answer(
    old: &Value,
    before: &Value,
    new: &Value,
    now: &Value,
    what: &str,
    problems: &mut Vec<String>,
) {
    if now.is_null() {
        if !NEVER_ANSWERED.contains(&what) {
            problems.push(format!("{what} is missing"));
        }
        return;
    }
    let difference = DIFFERENCES.iter().find(|(place, _)| *place == what);
    for (kind, content) in object(&before["content"]) {
        let kind = difference.map_or(kind.as_str(), |(_, kind)| kind);
        let found = &now["content"][kind];
        if found.is_null() {
            problems.push(format!("{what}: no {kind}"));
        } else if difference.is_none() && !what.ends_with("422") {
            compare(old, &content["schema"], new, &found["schema"], false, what, problems);
        }
    }
}

/// Every field of the old schema is in the new one, with the same type, and required where it was.
fn compare(
    old: &Value,
    before: &Value,
    new: &Value,
    now: &Value,
    is_request: bool,
    what: &str,
    problems: &mut Vec<String>,
) {
    if before["items"].is_object() {
        return compare(old, &before["items"], new, &now["items"], is_request, what, problems);
    }
    // Beside properties, choices say what goes together; alone, they are what an answer may be.
    let alone = follow(new, now)["properties"].is_null();
    if let (true, Value::Array(choices)) = (alone, &follow(new, now)["anyOf"]) {
        for choice in choices {
            compare(old, before, new, choice, is_request, what, problems);
        }
        return;
    }
    let name = now["$ref"].as_str().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
    let (before, now) = (follow(old, before), follow(new, now));
    for (field, schema) in object(&before["properties"]) {
        let found = &now["properties"][field];
        if found.is_null() {
            problems.push(format!("{what}: no field {field}"));
            continue;
        }
        let (mut types_before, mut types_now) = (types(old, schema), types(new, found));
        let may_be_null =
            is_request || NULLABLE.iter().any(|(of, it)| name.starts_with(of) && (*it == "*" || it == field));
        // In a request null is the same as not given; an answer may promise more than it did.
        if may_be_null || (!is_request && types_before.contains("null")) {
            types_before.remove("null");
            types_now.remove("null");
        }
        let hidden = name == "ForeignCa" && types_now.is_empty();
        if types_before != types_now && !hidden {
            problems.push(format!("{what}: {field} is {types_now:?}, not {types_before:?}"));
        }
    }
    let required = |schema: &Value| -> BTreeSet<String> {
        schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect()
    };
    let (mut required_before, required_now) = (required(before), required(now));
    required_before.retain(|field| !NO_LONGER_REQUIRED.contains(&(what, field)));
    let same =
        if is_request { required_before == required_now } else { required_before.is_subset(&required_now) };
    if !same {
        problems.push(format!("{what}: requires {required_now:?}, not {required_before:?}"));
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_id_is_unique() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some(reference) if name == "$ref" => found.push(reference.to_owned()),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = ours();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for operation in object(&document["paths"]).values().flat_map(|methods| object(methods).values()) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        assert!(!operation["summary"].as_str().unwrap().is_empty());
    }
    assert!(ids.len() >= 55 + 2);
}

#[test]
fn every_field_of_a_body_is_documented() {
    let document = ours();
    let mut bodies = 0;
    for operation in object(&document["paths"]).values().flat_map(|methods| object(methods).values()) {
        for content in object(&operation["requestBody"]["content"]).values() {
            bodies += 1;
            let schema = follow(&document, &content["schema"]);
            for (field, property) in object(&schema["properties"]) {
                let oauth = ["grant_type", "scope", "client_id", "client_secret"].contains(&field.as_str());
                assert!(oauth || property["description"].is_string(), "{}: {field}", content["schema"]);
            }
        }
    }
    assert_eq!(bodies, 19);
}

#[test]
fn documentation_is_served_when_asked_for_and_needs_nothing_from_elsewhere() {
    fastpki_testing::run(Kind::Sqlite, |database| {
        Box::pin(async move {
            let paths = ["/docs", "/redoc", "/api/v1/openapi.json"];
            let server = Server::start(&database, Options::default()).await;
            for path in paths {
                server.stranger().get(path).await.expect(StatusCode::NOT_FOUND);
            }
            let server = server.restart(Options { docs: true, ..Options::default() }).await;
            for path in &paths[..2] {
                let page = server.stranger().get(path).await;
                assert_eq!(
                    (page.status, page.header("content-type")),
                    (StatusCode::OK, "text/html; charset=utf-8")
                );
                assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
                let html = page.text();
                for word in [
                    "/api/v1/certificates/sign-csr",
                    "Spend a refresh token",
                    "san_dns_names",
                    "#schema-CaCreate",
                ] {
                    assert!(html.contains(word), "{word}");
                }
                for word in ["<script", "http://", "https://", "<link", "<img"] {
                    assert!(!html.contains(word), "{word}");
                }
            }
            let served = server.stranger().get(paths[2]).await.expect(StatusCode::OK);
            assert_eq!(served, ours());
        })
    });
}
