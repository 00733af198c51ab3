//! The API's description: as OpenAPI, and as a page that needs neither scripts nor the internet.

use axum::{
    Router,
    body::Bytes,
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

use crate::state::AppState;

/// `/docs`, `/redoc` and the document itself. They take no part in the description. All who read them share their bytes.
pub(crate) fn routes(api_prefix: &str, document: Value) -> Router<AppState> {
    let html = Bytes::from(page(&document, &format!("{api_prefix}/openapi.json")).into_string());
    let document = Bytes::from(document.to_string());
    let show = move || {
        let html = html.clone();
        async move { answer(html) }
    };
    Router::new().route("/docs", get(show.clone())).route("/redoc", get(show)).route(
        &format!("{api_prefix}/openapi.json"),
        get(move || {
            let document = document.clone();
            async move { ([(header::CONTENT_TYPE, "application/json")], document).into_response() }
        }),
    )
}

fn answer(html: Bytes) -> Response {
    // Its own style, and nothing else.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
}

fn page(document: &Value, source: &str) -> Markup {
    let title = text(&document["info"]["title"]);
    let empty = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    let schemas = document["components"]["schemas"].as_object().unwrap_or(&empty);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " API" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) " API " small { (text(&document["info"]["version"])) } }
                p { (text(&document["info"]["description"])) }
                p { "For programs: " a href=(source) { "OpenAPI 3.1" } }
                @for tag in tags(paths) {
                    h2 { (tag) }
                    @for (path, methods) in paths {
                        @for (method, operation) in methods.as_object().unwrap_or(&empty) {
                            @if operation["tags"][0] == *tag { (show_operation(path, method, operation)) }
                        }
                    }
                }
                h2 { "Objects" }
                @for (name, schema) in schemas { (show_schema(name, schema)) }
            }
        }
    }
}

/// Headings, each once, in the order of the paths.
fn tags(paths: &Map<String, Value>) -> Vec<&str> {
    let mut tags = Vec::new();
    for operation in paths.values().filter_map(Value::as_object).flat_map(Map::values) {
        let tag = text(&operation["tags"][0]);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn show_operation(path: &str, method: &str, operation: &Value) -> Markup {
    let empty = Map::new();
    let responses = operation["responses"].as_object().unwrap_or(&empty);
    html! {
        details id=(text(&operation["operationId"])) {
            summary {
                b class=(method) { (method.to_ascii_uppercase()) } " " code { (path) } " " (text(&operation["summary"]))
            }
            @if operation["security"].is_null() { p { "Without sign-in." } }
            @if let Some(parameters) = operation["parameters"].as_array() {
                table {
                    tr { th { "parameter" } th { "in" } th { "" } th { "" } }
                    @for parameter in parameters {
                        tr {
                            td { code { (text(&parameter["name"])) } }
                            td { (text(&parameter["in"])) }
                            td { @if parameter["required"] == true { "required" } }
                            td { (kind(&parameter["schema"])) }
                        }
                    }
                }
            }
            @if let Some(content) = operation["requestBody"]["content"].as_object() {
                @for (media_type, body) in content { p { "Body: " code { (media_type) } " " (kind(&body["schema"])) } }
            }
            table {
                tr { th { "status" } th { "" } th { "body" } }
                @for (status, response) in responses {
                    tr {
                        td { (status) }
                        td { (text(&response["description"])) }
                        td {
                            @for (media_type, body) in response["content"].as_object().unwrap_or(&empty) {
                                code { (media_type) } " " (kind(&body["schema"]))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn show_schema(name: &str, schema: &Value) -> Markup {
    let required = schema["required"].as_array();
    html! {
        details id={ "schema-" (name) } {
            summary { code { (name) } " " (text(&schema["description"])) }
            @match schema["properties"].as_object() {
                Some(properties) => table {
                    @for (field, property) in properties {
                        tr {
                            td { code { (field) } }
                            td { @if required.is_some_and(|names| names.iter().any(|it| it == field)) { "required" } }
                            td { (kind(property)) }
                            td { (text(&property["description"])) }
                        }
                    }
                },
                None => p { (kind(schema)) },
            }
        }
    }
}

/// What a schema takes, in a few words.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return html! {
            @for (index, choice) in choices.iter().enumerate() { @if index > 0 { " or " } (kind(choice)) }
        };
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
        one => text(one).to_owned(),
    };
    html! {
        (types)
        @if schema["items"].is_object() { " of " (kind(&schema["items"])) }
        @if let Some(format) = schema["format"].as_str() { " (" (format) ")" }
        @if let Some(values) = schema["enum"].as_array() {
            ": " (values.iter().filter(|value| !value.is_null()).map(plain).collect::<Vec<_>>().join(", "))
        }
        @for (keyword, words) in BOUNDS {
            @if !schema[keyword].is_null() { ", " (words) " " (plain(&schema[keyword])) }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const BOUNDS: [(&str, &str); 5] = [
    ("minimum", "from"),
    ("maximum", "to"),
    ("minLength", "characters from"),
    ("maxLength", "characters to"),
    ("maxItems", "items to"),
];

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer }
table { border-collapse: collapse; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0 }
code { font-family: ui-monospace, monospace }
b { display: inline-block; min-width: 4.5rem }
.delete { color: #c0392b }
";
