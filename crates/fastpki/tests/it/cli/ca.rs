use fastpki_testing::{Database, on_both_databases};
use serde_json::json;

use super::serve;

on_both_databases! {
    cas_are_created_shown_and_deleted,
    ca_is_changed_revoked_and_deleted,
    ca_is_moved_with_all_below_it,
}

async fn cas_are_created_shown_and_deleted(database: Database) {
    let (_server, root) = serve(database);
    let created = root.json(&[
        "ca",
        "create",
        "--name",
        "Root",
        "--subject-dn",
        "CN=Root,O=Example",
        "--description",
        "the root",
        "--key-type",
        "ec",
        "--key-size",
        "384",
        "--valid-days",
        "1000",
        "--path-length",
        "1",
        "--no-leaf-certs",
        "--crl-base-url",
        "http://crl.example.com",
    ]);
    let expected = json!({"name": "Root", "subject_dn": "CN=Root,O=Example", "description": "the root", "key_type": "ec",
        "key_size": 384, "valid_days": 1000, "path_length": 1, "allow_leaf_certs": false, "is_root": true,
        "crl_base_url": "http://crl.example.com"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&created[field], value, "{field}");
    }
    root.run(&["config", "set", "defaults.ca_valid_days", "20"]).succeeded();
    let shown = root.prints(&[
        "ca",
        "create",
        "-n",
        "Issuing, Ltd.",
        "--key-type",
        "ec",
        "-p",
        "1",
        "--allow-leaf-certs",
    ]);
    assert!(shown.contains("expires in 19 days") && !shown.contains("PRIVATE"), "{shown}");

    for (arguments, path) in [
        (["ca", "list"].as_slice(), "/cas/"),
        (&["ca", "list", "--skip", "1", "--limit", "1"], "/cas/?skip=1&limit=1"),
        (&["ca", "show", "2"], "/cas/2"),
        (&["ca", "chain", "2"], "/cas/2/chain"),
        (&["ca", "children", "1"], "/cas/1/children"),
        (&["ca", "private-key", "2"], "/cas/2/private-key"),
    ] {
        let json = root.run(&[arguments, &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stdout, root.api(path).await + "\n", "{arguments:?}");
        let table = root.run(arguments).succeeded();
        let part = if path.ends_with("key") { "-----BEGIN PRIVATE KEY-----" } else { "CN=Issuing\\, Ltd." };
        assert!(table.stdout.contains(part), "{arguments:?}: {table:?}");
    }
    assert_eq!(root.run(&["ca", "-o", "json", "list"]).stdout, root.api("/cas/").await + "\n", "-o before");

    let words = root.refused(&["ca", "delete", "2"]);
    assert!(words.contains("Issuing, Ltd.") && words.contains("--force"), "{words}");
    let words = root.refused(&["ca", "delete", "1", "--force"]);
    assert!(words.contains("409"), "{words}");
    let ran = root.run(&["ca", "delete", "2", "-f"]).succeeded();
    assert_eq!(ran.stdout, "");
    let words = root.refused(&["ca", "show", "2"]);
    assert!(words.contains("404") && words.contains("fastpki ca list"), "{words}");
}

async fn ca_is_changed_revoked_and_deleted(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    let ca = |name: &str| ["ca", "create", "-n", name, "--key-type", "ec", "-p", "1"].map(str::to_owned);
    for name in ["Two", "Three"] {
        root.json(&ca(name).iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(root.run(&["ca", "update", "1"]).code, 2);
    let changed = root.json(&["ca", "update", "1", "--allow-leaf-certs", "--name", "Top"]);
    assert_eq!((&changed["allow_leaf_certs"], &changed["name"]), (&json!(true), &json!("Top")));
    let changed =
        root.json(&["ca", "update", "1", "--no-leaf-certs", "--crl-base-url", "http://pki.example.com"]);
    assert_eq!((&changed["allow_leaf_certs"], &changed["name"]), (&json!(false), &json!("Top")));
    root.run(&["ca", "update", "1", "--crl-base-url", "", "-d", "the top"]).succeeded();
    assert_eq!(root.json(&["ca", "show", "1"])["crl_base_url"], json!(null));

    let words = root.refused(&["ca", "revoke", "3"]);
    assert!(words.contains("Two") && words.contains("--force"), "{words}");
    let words = root.refused(&["ca", "revoke", "1", "--force"]);
    assert!(words.contains("a root cannot be revoked"), "{words}");
    let shown = root.prints(&["ca", "revoke", "3", "--reason", "ca_compromise", "--force"]);
    assert!(shown.contains("revoked") && shown.contains("ca_compromise"), "{shown}");
    assert_eq!(root.json(&["ca", "show", "3"])["status"], "revoked");
    assert!(root.prints(&["ca", "list"]).contains("revoked"));
    root.run(&["ca", "delete", "4", "--no-revoke", "--force"]).succeeded();
    assert!(
        root.json(&["audit", "list", "--limit", "1"])[0]["detail"]
            .as_str()
            .unwrap()
            .contains("without revoking")
    );
}

async fn ca_is_moved_with_all_below_it(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    root.run(&["org", "create", "-n", "Example"]).succeeded();
    assert_eq!(root.json(&["ca", "assign-org", "2", "--org", "1"])["organization_id"], 1);
    assert!(
        root.prints(&["ca", "assign-org", "1", "--org", "1", "--cascade"]).contains("Organization       1")
    );
    assert_eq!(root.json(&["ca", "show", "1"])["organization_id"], 1);
    let words = root.refused(&["ca", "assign-org", "1", "--org", "9"]);
    assert!(words.contains("400"), "{words}");
}
