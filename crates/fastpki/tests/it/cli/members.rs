//! Organizations, users and the audit log.

use fastpki_testing::{Database, on_both_databases};
use serde_json::{Value, json};

use super::{
    PASSWORD, Person, serve,
    stub::{Reply, Stub},
};

on_both_databases! {
    users_and_organizations_are_created_and_listed,
    audit_log_is_searched,
    users_and_organizations_are_changed_and_deleted,
}

async fn users_and_organizations_are_created_and_listed(database: Database) {
    let (_server, root) = serve(database);
    let created = root.json(&["org", "create", "--name", "Example", "--description", "Example Ltd."]);
    assert_eq!((&created["name"], &created["description"]), (&json!("Example"), &json!("Example Ltd.")));
    let alice = root.another(
        "alice",
        &["--org", "1", "--can-create-cert", "--can-export-private-key", "--can-revoke-cert"],
    );
    let bob = [
        "user",
        "create",
        "-u",
        "bob",
        "-e",
        "bob@example.com",
        "-p",
        PASSWORD,
        "-r",
        "admin",
        "--org",
        "1",
        "--inactive",
    ];
    assert_eq!(root.json(&bob)["is_active"], false);

    let me = alice.json(&["user", "me"]);
    let expected = json!({"username": "alice", "role": "user", "organization_id": 1, "can_create_ca": false,
        "can_create_cert": true, "can_revoke_cert": true, "can_export_private_key": true, "can_delete_ca": false});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&me[field], value, "{field}");
    }
    let table = alice.prints(&["user", "me"]);
    assert!(table.contains("create certificates, revoke certificates, export keys"), "{table}");
    for (arguments, path) in [
        (["user", "list"].as_slice(), "/users/"),
        (&["user", "list", "--skip", "1", "--limit", "1"], "/users/?skip=1&limit=1"),
        (&["user", "show", "2"], "/users/2"),
        (&["user", "me"], "/users/me"),
        (&["org", "list"], "/organizations/"),
    ] {
        let json = root.run(&[arguments, &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stdout, root.api(path).await + "\n", "{arguments:?}");
        root.run(arguments).succeeded();
    }
    let words = alice.refused(&["user", "list"]);
    assert!(words.contains("403"), "{words}");
    let words = root.refused(&["user", "create", "-u", "x", "-e", "nonsense", "-p", "short"]);
    assert!(
        words.contains("\n  email: ") && words.contains("\n  password: "),
        "a line to each problem: {words}"
    );
    let words = root.refused(&["user", "show", "99"]);
    assert!(words.contains("fastpki user list"), "{words}");
}

async fn audit_log_is_searched(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    root.run(&["cert", "create", "-c", "2", "--cn", "www.example.com", "--key-type", "ec"]).succeeded();
    for (search, query) in [
        ([].as_slice(), ""),
        (&["--limit", "2", "--skip", "1"], "?skip=1&limit=2"),
        (&["-a", "ca_create"], "?action=ca_create"),
        (
            &["--user", "1", "--resource-type", "ca", "--resource-id", "2"],
            "?user_id=1&resource_type=ca&resource_id=2",
        ),
        (&["--since", "2020-01-01", "--until", "2020-02-01T00:00:00Z"], "?until=2020-02-01"),
        (&["--service-account", "1"], "?service_account_id=1"),
    ] {
        let arguments = [["audit", "list"].as_slice(), search].concat();
        let json = root.run(&[arguments.as_slice(), &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stdout, root.api(&format!("/audit-logs/{query}")).await + "\n", "{search:?}");
        root.run(&arguments).succeeded();
    }
    let count = |search: &[&str]| root.json(&[&["audit", "list"], search].concat()).as_array().unwrap().len();
    assert_eq!(count(&["--since", "1h"]), count(&[]));
    assert_eq!(count(&["--until", "1h"]), 0);
    let table = root.prints(&["audit", "list", "-a", "cert_create"]);
    assert!(table.contains("root") && table.contains("certificate"), "{table}");
    assert_eq!(root.run(&["audit", "list", "--since", "yesterday"]).code, 2);
}

async fn users_and_organizations_are_changed_and_deleted(database: Database) {
    let (_server, root) = serve(database);
    root.run(&["org", "create", "-n", "Example"]).succeeded();
    let alice = root.another("alice", &["--can-create-cert"]);
    assert_eq!(root.json(&["org", "add-user", "1", "2"])["organization_id"], 1);
    for (arguments, path) in [
        (["org", "users", "1"].as_slice(), "/organizations/1/users"),
        (&["org", "show", "1"], "/organizations/1"),
    ] {
        let json = root.run(&[arguments, &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stdout, root.api(path).await + "\n", "{arguments:?}");
        root.run(arguments).succeeded();
    }
    assert_eq!(root.json(&["org", "update", "1", "--description", "d"])["description"], "d");
    let words = root.refused(&["org", "delete", "1", "--force"]);
    assert!(words.contains("400"), "it has a user: {words}");
    assert_eq!(root.json(&["org", "remove-user", "1", "2"])["organization_id"], Value::Null);
    assert!(alice.refused(&["user", "me"]).contains("your session is over"), "it ends with the membership");
    alice.sign_in("alice");
    root.run(&["org", "delete", "1", "--force"]).succeeded();
    assert!(root.refused(&["org", "show", "1"]).contains("fastpki org list"));

    let changed =
        root.json(&["user", "update", "2", "--no-create-cert", "--can-export-key", "-e", "new@example.com"]);
    let expected =
        json!({"can_create_cert": false, "can_export_private_key": true, "email": "new@example.com"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    assert_eq!(alice.json(&["user", "me"])["email"], "new@example.com");
    let told = alice.told(&["user", "update", "2", "--ask-password"], "another correct horse").succeeded();
    assert!(told.stderr.contains("fastpki auth login"), "{told:?}");
    assert!(alice.refused(&["user", "me"]).contains("your session is over"));
    alice.told(&["auth", "login", "-u", "alice"], "another correct horse").succeeded();
    assert_eq!(root.json(&["user", "update", "2", "--inactive"])["is_active"], false);
    alice.refused(&["user", "me"]);
    assert_eq!(root.json(&["user", "update", "2", "--active", "-r", "admin"])["role"], "admin");
    root.run(&["user", "delete", "2", "-f"]).succeeded();
    assert!(root.refused(&["user", "show", "2"]).contains("404"));
}

/// Each command sends one request; what it is, and its body.
#[test]
fn changes_of_members_are_one_request_each() {
    let user = "/api/v1/users/7";
    let org = "/api/v1/organizations/1";
    let put = ["org", "update", "1", "-n", "New", "--description", "d"];
    for (arguments, line, body) in [
        (["org", "show", "1"].as_slice(), format!("GET {org}"), Value::Null),
        (&put, format!("PUT {org}"), json!({"name": "New", "description": "d"})),
        (&["org", "delete", "1", "--force"], format!("DELETE {org}"), Value::Null),
        (&["org", "users", "1"], format!("GET {org}/users"), Value::Null),
        (&["org", "add-user", "1", "7"], format!("POST {org}/users/7"), Value::Null),
        (&["org", "remove-user", "1", "7"], format!("DELETE {org}/users/7"), Value::Null),
        (&["user", "delete", "7", "-f"], format!("DELETE {user}"), Value::Null),
        (
            &[
                "user",
                "update",
                "7",
                "--can-create-ca",
                "--no-export-key",
                "--no-can-delete-ca",
                "--inactive",
            ],
            format!("PATCH {user}"),
            json!({"can_create_ca": true, "can_export_private_key": false, "can_delete_ca": false, "is_active": false}),
        ),
        (
            &["user", "update", "7", "--email", "e@example.com", "--role", "admin", "--org", "2", "--active"],
            format!("PATCH {user}"),
            json!({"email": "e@example.com", "role": "admin", "organization_id": 2, "is_active": true}),
        ),
    ] {
        check(arguments, None, &line, &body);
    }
    let body = json!({"password": PASSWORD});
    check(&["user", "update", "7", "--ask-password"], Some(PASSWORD), &format!("PATCH {user}"), &body);
    check(&["user", "update", "7", "-p", PASSWORD], None, &format!("PATCH {user}"), &body);
}

#[test]
fn nothing_to_be_changed_is_a_usage_error() {
    let person = Person::new("http://127.0.0.1:9");
    for arguments in [["user", "update", "7"], ["org", "update", "1"], ["service-account", "update", "1"]] {
        assert_eq!(person.run(&arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(person.run(&["user", "update", "7", "--active", "--inactive"]).code, 2);
    assert_eq!(person.run(&["user", "update", "7", "--can-create-ca", "--no-create-ca"]).code, 2);
}

/// Runs a command against a server that answers to anything, and looks at what it sent.
pub(super) fn check(arguments: &[&str], input: Option<&str>, line: &str, body: &Value) {
    crate::program::run(async {
        let answer =
            if line.ends_with("/users") { "[]" } else { r#"{"id": 7, "username": "u", "name": "n"}"# };
        let deletes = line.starts_with("DELETE") && !line.contains("/1/users/");
        let stub = Stub::start(move |_| {
            Reply::json(if deletes { 204 } else { 200 }, if deletes { "" } else { answer })
        });
        let person = Person::new(&stub.url);
        let ran =
            input.map_or_else(|| person.run(arguments), |input| person.told(arguments, input)).succeeded();
        let requests = stub.requests();
        assert_eq!(requests.len(), 1, "{arguments:?}: {requests:?}");
        assert_eq!(requests[0].line, line, "{arguments:?}");
        let sent = if requests[0].body.is_empty() { Value::Null } else { without_nulls(requests[0].json()) };
        assert_eq!(&sent, body, "{arguments:?}");
        assert_eq!(ran.stdout.is_empty(), deletes || answer == "[]", "{ran:?}");
    });
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
