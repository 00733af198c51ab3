use fastpki_testing::{Database, on_both_databases};
use serde_json::{Value, json};

use super::{
    Person,
    members::check,
    serve,
    stub::{Reply, Stub},
};

on_both_databases! {
    service_account_works_within_its_policy,
}

async fn service_account_works_within_its_policy(database: Database) {
    let (_server, root) = serve(database);
    root.run(&["org", "create", "-n", "Example"]).succeeded();
    let admin = root.another("admin", &["-r", "admin", "--org", "1"]);
    admin.create_cas();
    let account = admin.json(&["service-account", "create", "-n", "ci", "--can-create-cert"]);
    assert_eq!((&account["organization_id"], &account["can_create_cert"]), (&json!(1), &json!(true)));
    let token =
        admin.prints(&["service-account", "token", "create", "1", "-n", "ci", "--expires-at", "2999-01-01"]);
    let as_account = |arguments: &[&str]| {
        super::ran(Person::new(&admin.server).command(arguments).env("FASTPKI_TOKEN", token.trim_end()))
    };
    let status = as_account(&["auth", "status"]).succeeded().stdout;
    assert!(status.contains("a service account's, from FASTPKI_TOKEN"), "{status}");
    as_account(&["auth", "status", "-o", "json"]).succeeded().json();
    let issue =
        ["cert", "create", "-c", "2", "--cn", "a.example.com", "--key-type", "ec", "-v", "20", "-o", "json"];
    let ran = as_account(&issue);
    assert!(ran.code == 1 && ran.stderr.contains("service_account_has_no_policy"), "{ran:?}");

    admin
        .run(&[
            "sa",
            "policy",
            "set",
            "1",
            "--cn-pattern",
            "*.example.com",
            "--allowed-ca-id",
            "2",
            "-t",
            "server",
            "--max-validity-days",
            "30",
        ])
        .succeeded();
    assert_eq!(as_account(&issue).succeeded().json()["created_by_service_account_id"], 1);
    let other = ["cert", "create", "-c", "2", "--cn", "a.example.org", "--key-type", "ec", "-v", "20"];
    let ran = as_account(&other);
    assert!(ran.stderr.contains("policy_violation, field: cn_patterns"), "{ran:?}");

    for (arguments, path) in [
        (["sa", "list"].as_slice(), "/service-accounts/"),
        (&["sa", "show", "1"], "/service-accounts/1"),
        (&["sa", "policy", "show", "1"], "/service-accounts/1/policy"),
        (&["sa", "token", "list", "1"], "/service-accounts/1/tokens"),
    ] {
        let json = admin.run(&[arguments, &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stdout, admin.api(path).await + "\n", "{arguments:?}");
        admin.run(arguments).succeeded();
    }
    assert!(admin.json(&["sa", "update", "1", "--disable", "-d", "off"])["disabled_at"].is_string());
    assert_eq!(as_account(&["ca", "list"]).code, 1);
    admin.run(&["sa", "update", "1", "--enable", "--no-can-create-cert"]).succeeded();
    as_account(&["ca", "list"]).succeeded();
    admin.run(&["sa", "token", "revoke", "1", "1", "-f"]).succeeded();
    assert!(admin.prints(&["sa", "token", "list", "1"]).contains("revoked"));
    assert_eq!(as_account(&["ca", "list"]).code, 1);
    admin.run(&["sa", "policy", "clear", "1", "-f"]).succeeded();
    assert!(admin.refused(&["sa", "policy", "show", "1"]).contains("404"));
    admin.run(&["sa", "delete", "1", "-f"]).succeeded();
    assert_eq!(admin.json(&["sa", "list"]), json!([]));
}

#[test]
fn service_account_commands_are_one_request_each() {
    let account = "/api/v1/service-accounts/1";
    let flags = |set: bool| {
        json!({"can_create_ca": false, "can_create_cert": set, "can_revoke_cert": set, "can_export_private_key": set,
               "can_delete_ca": false})
    };
    let mut created = flags(true);
    created["name"] = json!("ci");
    created["description"] = json!("d");
    created["organization_id"] = json!(2);
    let create = [
        "service-account",
        "create",
        "-n",
        "ci",
        "-d",
        "d",
        "--organization-id",
        "2",
        "--can-create-cert",
        "--can-revoke-cert",
        "--can-export-private-key",
    ];
    let policy = [
        "service-account",
        "policy",
        "set",
        "1",
        "--cn-pattern",
        "*.example.com",
        "--cn-pattern",
        "a",
        "--san-dns-pattern",
        "*.example.com",
        "--san-ip-cidr",
        "192.0.2.0/24",
        "--san-email-domain",
        "example.com",
        "--allowed-ca-id",
        "2",
        "--allowed-ca-id",
        "3",
        "--cert-type",
        "server",
        "--max-validity-days",
        "90",
    ];
    let rules = json!({"cn_patterns": ["*.example.com", "a"], "san_dns_patterns": ["*.example.com"],
        "san_ip_cidrs": ["192.0.2.0/24"], "san_email_domains": ["example.com"], "allowed_ca_ids": [2, 3],
        "allowed_certificate_types": ["server"], "max_validity_days": 90});
    for (arguments, line, body) in [
        (create.as_slice(), "POST /api/v1/service-accounts/".to_owned(), created),
        (&["sa", "show", "1"], format!("GET {account}"), Value::Null),
        (
            &["service-account", "update", "1", "--disable", "-n", "x"],
            format!("PATCH {account}"),
            json!({"disabled": true, "name": "x"}),
        ),
        (
            &["service-account", "update", "1", "--enable", "--no-can-create-cert", "--can-delete-ca"],
            format!("PATCH {account}"),
            json!({"disabled": false, "can_create_cert": false, "can_delete_ca": true}),
        ),
        (&["service-account", "delete", "1", "--force"], format!("DELETE {account}"), Value::Null),
        (
            &["service-account", "token", "revoke", "1", "3", "-f"],
            format!("DELETE {account}/tokens/3"),
            Value::Null,
        ),
        (&policy, format!("PUT {account}/policy"), rules),
        (&["service-account", "policy", "clear", "1", "-f"], format!("DELETE {account}/policy"), Value::Null),
    ] {
        check(arguments, None, &line, &body);
    }
}

#[test]
fn new_token_alone_is_on_standard_output() {
    crate::program::run(async {
        let answer =
            r#"{"id": 3, "public_id": "abc", "name": "ci", "revoked": false, "token": "fpki_sa_abc.def"}"#;
        let stub = Stub::start(move |_| Reply::json(201, answer));
        let person = Person::new(&stub.url);
        let create =
            ["service-account", "token", "create", "1", "--name", "ci", "--expires-at", "2030-12-31"];
        let ran = person.run(&create).succeeded();
        assert_eq!(ran.stdout, "fpki_sa_abc.def\n");
        assert!(!ran.stderr.contains("def"), "{ran:?}");
        assert_eq!(person.run(&[create.as_slice(), &["-o", "json"]].concat()).stdout, format!("{answer}\n"));
        let request = &stub.requests()[0];
        assert_eq!(request.line, "POST /api/v1/service-accounts/1/tokens");
        assert_eq!(request.json(), json!({"name": "ci", "expires_at": "2030-12-31T00:00:00.000000Z"}));
    });
}

#[test]
fn lists_say_what_is_disabled_revoked_and_expired() {
    crate::program::run(async {
        let stub = Stub::start(|request| match request.line.as_str() {
            "GET /api/v1/service-accounts/" => Reply::json(200, ACCOUNTS),
            "GET /api/v1/service-accounts/1/policy" => Reply::json(200, POLICY),
            "GET /api/v1/service-accounts/1/tokens" => Reply::json(200, TOKENS),
            line => panic!("{line}"),
        });
        let person = Person::new(&stub.url);
        let accounts = person.prints(&["service-account", "list", "--limit", "5"]);
        let rows: Vec<&str> = accounts.lines().collect();
        assert!(rows[1].contains("active") && rows[1].contains("create certificates"), "{accounts}");
        assert!(rows[2].contains("disabled"), "{accounts}");
        let one = person.json(&["service-account", "list", "--skip", "1", "--limit", "1"]);
        assert_eq!(
            one,
            json!([{"id": 2, "name": "old", "organization_id": 1, "disabled_at": "2020-01-01T00:00:00"}])
        );
        let last = person.json(&["sa", "token", "list", "1", "--skip", "2"]);
        assert_eq!((&last[0]["id"], last.as_array().map(Vec::len)), (&json!(3), Some(1)));
        let tokens = person.prints(&["sa", "token", "list", "1"]);
        let rows: Vec<&str> = tokens.lines().collect();
        assert!(
            rows[1].contains("valid") && rows[2].contains("expired") && rows[3].contains("revoked"),
            "{tokens}"
        );
        let policy = person.prints(&["sa", "policy", "show", "1"]);
        assert!(policy.contains("*.example.com, b") && policy.contains("server"), "{policy}");
    });
}

#[test]
fn what_cannot_be_undone_is_asked_first() {
    crate::program::run(async {
        let stub =
            Stub::start(|_| Reply::json(200, r#"{"name": "ci", "username": "u", "common_name": "c"}"#));
        let person = Person::new(&stub.url);
        for arguments in [
            ["service-account", "delete", "1"].as_slice(),
            &["service-account", "token", "revoke", "1", "3"],
            &["service-account", "policy", "clear", "1"],
            &["org", "delete", "1"],
            &["user", "delete", "1"],
            &["ca", "delete", "1"],
            &["cert", "revoke", "1"],
        ] {
            let words = person.refused(arguments);
            assert!(words.contains("add --force"), "{arguments:?}: {words}");
        }
        assert!(stub.requests().iter().all(|request| request.line.starts_with("GET")));
    });
}

const ACCOUNTS: &str = r#"[
    {"id": 1, "name": "ci", "organization_id": 1, "disabled_at": null, "can_create_cert": true},
    {"id": 2, "name": "old", "organization_id": 1, "disabled_at": "2020-01-01T00:00:00"}]"#;
const TOKENS: &str = r#"[
    {"id": 1, "public_id": "a", "name": null, "expires_at": null, "revoked": false},
    {"id": 2, "public_id": "b", "name": "b", "expires_at": "2020-01-01T00:00:00.000000", "revoked": false},
    {"id": 3, "public_id": "c", "name": "c", "expires_at": null, "revoked": true}]"#;
const POLICY: &str = r#"{"id": 1, "service_account_id": 1, "cn_patterns": ["*.example.com", "b"],
    "allowed_certificate_types": ["server"], "max_validity_days": 90}"#;
