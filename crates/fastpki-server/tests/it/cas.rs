use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, on_both_databases, on_one_server, openssl, printed};

on_one_server! { public_addresses_are_the_parents }

on_both_databases! {
    root_is_made_as_asked,
    defaults_come_from_the_settings,
    each_key_type_makes_a_ca,
    intermediate_is_signed_by_its_parent,
    path_length_is_the_parents_minus_one_and_runs_out,
    parents_must_exist_and_be_the_callers,
    intermediate_never_outlives_its_parent,
    expired_parent_signs_nothing,
    chain_leads_to_the_root,
    children_are_listed,
    keys_are_given_to_who_may_and_audited,
    ca_with_children_is_not_deleted,
    deleting_a_ca_takes_its_certificates_along,
    ids_are_never_used_again,
    problems_of_a_ca_are_listed,
    malformed_subjects_are_400,
}

async fn root_is_made_as_asked(server: Server) {
    let root = server.superuser().await;
    let body = json!({
        "name": "Example Root", "description": "offline", "subject_dn": "C=CA,O=Example\\, Inc.,CN=Example Root",
        "key_type": "ec", "key_size": 384, "valid_days": 100, "path_length": 1, "allow_leaf_certs": false,
        "crl_base_url": "https://pki.example.com", "unknown_field": 1,
    });
    let ca = root.post("/api/v1/cas/", body).await.expect(StatusCode::CREATED);
    for (field, value) in [
        ("name", json!("Example Root")),
        ("description", json!("offline")),
        ("subject_dn", json!("C=CA,O=Example\\, Inc.,CN=Example Root")),
        ("key_type", json!("ec")),
        ("key_size", json!(384)),
        ("valid_days", json!(100)),
        ("path_length", json!(1)),
        ("allow_leaf_certs", json!(false)),
        ("crl_base_url", json!("https://pki.example.com")),
        ("parent_ca_id", json!(null)),
        ("organization_id", json!(null)),
        ("created_by_user_id", json!(1)),
        ("is_root", json!(true)),
    ] {
        assert_eq!(ca[field], value, "{field}");
    }
    let text = printed(&ca);
    assert!(text.contains("Subject: C=CA,O=Example\\, Inc.,CN=Example Root"), "{text}");
    assert!(text.contains("CA:TRUE, pathlen:1") && text.contains("Certificate Sign, CRL Sign"), "{text}");
    assert!(ca["private_key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let shown = root.get("/api/v1/cas/1").await.expect(StatusCode::OK);
    assert!(shown.get("private_key").is_none());
}

async fn defaults_come_from_the_settings(server: Server) {
    let root = server.superuser().await;
    let body = json!({"name": "Root", "subject_dn": "CN=Root"});
    let ca = root.post("/api/v1/cas", body).await.expect(StatusCode::CREATED);
    let defaults =
        (&ca["key_type"], &ca["key_size"], &ca["valid_days"], &ca["path_length"], &ca["allow_leaf_certs"]);
    assert_eq!(defaults, (&json!("rsa"), &json!(2048), &json!(3650), &json!(null), &json!(true)));
}

async fn each_key_type_makes_a_ca(server: Server) {
    let root = server.superuser().await;
    for (key_type, size, algorithm) in [
        ("rsa", 2048, "sha256WithRSAEncryption"),
        ("ec", 256, "ecdsa-with-SHA256"),
        ("ec", 384, "ecdsa-with-SHA384"),
        ("ed25519", 256, "ED25519"),
    ] {
        let name = format!("{key_type} {size}");
        let ca = root.create_ca(&name, json!({"key_type": key_type, "key_size": size})).await;
        assert_eq!((&ca["key_type"], &ca["key_size"]), (&json!(key_type), &json!(size)));
        assert!(printed(&ca).contains(&format!("Signature Algorithm: {algorithm}")));
    }
}

async fn intermediate_is_signed_by_its_parent(server: Server) {
    let root = server.superuser().await;
    let parent = root.create_ca("Root", json!({})).await;
    let child = root.create_ca("Issuing", json!({"parent_ca_id": parent["id"]})).await;
    assert_eq!((&child["parent_ca_id"], &child["is_root"]), (&parent["id"], &json!(false)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.pem");
    std::fs::write(&file, parent["certificate"].as_str().unwrap()).unwrap();
    let verdict = openssl(
        &["verify", "-x509_strict", "-CAfile", file.to_str().unwrap()],
        child["certificate"].as_str().unwrap().as_bytes(),
    );
    assert_eq!(verdict.trim(), "stdin: OK");
    // Who has intermediates issues no leaves any more.
    let parent = root.get(&format!("/api/v1/cas/{}", parent["id"])).await.expect(StatusCode::OK);
    assert_eq!(parent["allow_leaf_certs"], false);
    root.try_create_certificate(&parent, "www.example.com", json!({})).await.expect(StatusCode::BAD_REQUEST);
}

async fn path_length_is_the_parents_minus_one_and_runs_out(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({"path_length": 1})).await;
    let beyond = json!({"parent_ca_id": top["id"], "path_length": 1});
    root.try_create_ca("Beyond", beyond).await.expect(StatusCode::BAD_REQUEST);
    let middle = root.create_ca("Middle", json!({"parent_ca_id": top["id"]})).await;
    assert_eq!(middle["path_length"], 0);
    root.try_create_ca("Bottom", json!({"parent_ca_id": middle["id"]})).await.expect(StatusCode::BAD_REQUEST);
    let free = root.create_ca("Free", json!({})).await;
    let child = root.create_ca("Child", json!({"parent_ca_id": free["id"]})).await;
    assert_eq!(child["path_length"], json!(null));
}

async fn parents_must_exist_and_be_the_callers(server: Server) {
    let world = server.world().await;
    let blue = world.blue_admin.create_ca("Blue Root", json!({})).await;
    let missing = json!({"parent_ca_id": 99});
    world.red_admin.try_create_ca("Child", missing).await.expect(StatusCode::BAD_REQUEST);
    let foreign = json!({"parent_ca_id": blue["id"]});
    world.red_admin.try_create_ca("Child", foreign).await.expect(StatusCode::FORBIDDEN);
    assert_eq!(server.database.peek("SELECT count(*) FROM certificate_authorities").await, ["1"]);
    // A superuser's intermediate belongs to its parent's organization.
    let child = world.root.create_ca("Child", json!({"parent_ca_id": blue["id"]})).await;
    assert_eq!(child["organization_id"], world.blue);
}

async fn intermediate_never_outlives_its_parent(server: Server) {
    let root = server.superuser().await;
    let parent = root.create_ca("Root", json!({"valid_days": 10})).await;
    server.clock.advance(60);
    let child = root.create_ca("Child", json!({"parent_ca_id": parent["id"], "valid_days": 1000})).await;
    assert_eq!(child["valid_days"], 9);
    let end = |ca: &Value| printed(ca).lines().find(|line| line.contains("Not After")).unwrap().to_owned();
    assert_eq!(end(&child), end(&parent));
}

async fn expired_parent_signs_nothing(server: Server) {
    server.superuser().await;
    let root = server.sign_in("root").await;
    let parent = root.create_ca("Root", json!({"valid_days": 1})).await;
    server.clock.advance(24 * 3600 + 1);
    let root = server.sign_in("root").await;
    let child = root.try_create_ca("Child", json!({"parent_ca_id": parent["id"]})).await;
    assert!(child.expect(StatusCode::BAD_REQUEST)["detail"].as_str().unwrap().contains("expired"));
    root.try_create_certificate(&parent, "www.example.com", json!({})).await.expect(StatusCode::BAD_REQUEST);
}

async fn chain_leads_to_the_root(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let middle = root.create_ca("Middle", json!({"parent_ca_id": top["id"]})).await;
    let bottom = root.create_ca("Bottom", json!({"parent_ca_id": middle["id"]})).await;
    let chain = root.get(&format!("/api/v1/cas/{}/chain", bottom["id"])).await.expect(StatusCode::OK);
    let names: Vec<_> = chain.as_array().unwrap().iter().map(|ca| ca["name"].clone()).collect();
    assert_eq!(names, ["Bottom", "Middle", "Top"]);
    assert!(chain[0].get("private_key").is_none());
    root.get("/api/v1/cas/99/chain").await.expect(StatusCode::NOT_FOUND);
}

async fn children_are_listed(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let one = root.create_ca("One", json!({"parent_ca_id": top["id"]})).await;
    root.create_ca("Two", json!({"parent_ca_id": top["id"]})).await;
    root.create_ca("Grandchild", json!({"parent_ca_id": one["id"]})).await;
    let children = root.get(&format!("/api/v1/cas/{}/children", top["id"])).await.expect(StatusCode::OK);
    let names: Vec<_> = children.as_array().unwrap().iter().map(|ca| ca["name"].clone()).collect();
    assert_eq!(names, ["One", "Two"]);
}

async fn keys_are_given_to_who_may_and_audited(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    let path = format!("/api/v1/cas/{}/private-key", ca["id"]);
    let detail = world.red_admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(detail["private_key"], ca["private_key"]);
    world.red_user.get(&path).await.expect(StatusCode::FORBIDDEN);
    world.blue_admin.get(&path).await.expect(StatusCode::FORBIDDEN);
    let log = world.root.get("/api/v1/audit-logs/?action=ca_export_private_key").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!(log[0]["username"], "red-admin");
}

async fn ca_with_children_is_not_deleted(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let child = root.create_ca("Child", json!({"parent_ca_id": top["id"]})).await;
    root.delete(&format!("/api/v1/cas/{}", top["id"])).await.expect(StatusCode::CONFLICT);
    root.delete(&format!("/api/v1/cas/{}", child["id"])).await.expect(StatusCode::NO_CONTENT);
    root.delete(&format!("/api/v1/cas/{}", top["id"])).await.expect(StatusCode::NO_CONTENT);
    root.delete(&format!("/api/v1/cas/{}", top["id"])).await.expect(StatusCode::NOT_FOUND);
}

async fn deleting_a_ca_takes_its_certificates_along(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    let certificate = world.red_admin.create_certificate(&ca, "www.example.com", json!({})).await;
    let path = format!("/api/v1/certificates/{}", certificate["id"]);
    world.red_admin.post(&format!("{path}/renew"), json!({})).await.expect(StatusCode::CREATED);
    world.red_admin.post(&format!("{path}/revoke"), json!({})).await.expect(StatusCode::OK);
    server.stranger().get("/crl/red-root-1").await.expect(StatusCode::OK);
    world.red_user.delete("/api/v1/cas/1").await.expect(StatusCode::FORBIDDEN);
    world.red_admin.delete("/api/v1/cas/1").await.expect(StatusCode::NO_CONTENT);
    world.red_admin.get(&path).await.expect(StatusCode::NOT_FOUND);
    server.stranger().get("/crl/red-root-1").await.expect(StatusCode::NOT_FOUND);
    for table in ["certificates", "crl_entries", "certificate_authorities", "fastpki_crls"] {
        assert_eq!(server.database.peek(&format!("SELECT count(*) FROM {table}")).await, ["0"], "{table}");
    }
}

async fn ids_are_never_used_again(server: Server) {
    let root = server.superuser().await;
    let first = root.create_ca("First", json!({})).await;
    let certificate = root.create_certificate(&first, "www.example.com", json!({})).await;
    root.delete(&format!("/api/v1/cas/{}", first["id"])).await.expect(StatusCode::NO_CONTENT);
    let server = server.restart(Default::default()).await;
    let root = server.sign_in("root").await;
    let second = root.create_ca("Second", json!({})).await;
    assert_ne!(second["id"], first["id"]);
    let other = root.create_certificate(&second, "www.example.com", json!({})).await;
    assert_ne!(other["id"], certificate["id"]);
}

async fn problems_of_a_ca_are_listed(server: Server) {
    let root = server.superuser().await;
    let body = json!({
        "name": "two\nlines", "key_type": "dsa", "key_size": 0, "valid_days": 0, "path_length": 256,
        "allow_leaf_certs": "maybe", "crl_base_url": "ftp://example.com",
    });
    let answer = root.post("/api/v1/cas/", body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let mut fields: Vec<_> = answer["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["loc"][1].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    let mut expected = [
        "name",
        "subject_dn",
        "key_type",
        "key_size",
        "valid_days",
        "path_length",
        "allow_leaf_certs",
        "crl_base_url",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    for (key_type, size) in [("rsa", 1024), ("rsa", 2049), ("ec", 521), ("ed25519", 255)] {
        let more = json!({"key_type": key_type, "key_size": size});
        root.try_create_ca("Root", more).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn malformed_subjects_are_400(server: Server) {
    let root = server.superuser().await;
    for (subject, part) in
        [("CN", "CN"), ("CN=", "CN"), ("XY=1", "XY"), ("C=Canada", "Canada"), ("CN=x,,O=y", "")]
    {
        let answer =
            root.try_create_ca("Root", json!({"subject_dn": subject})).await.expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains(part), "{subject}: {answer}");
    }
    assert_eq!(server.database.peek("SELECT count(*) FROM certificate_authorities").await, ["0"]);
}

async fn public_addresses_are_the_parents(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Größe & Co", json!({})).await;
    let child = root
        .create_ca("Child", json!({"parent_ca_id": top["id"], "crl_base_url": "https://pki.example.com/"}))
        .await;
    let text = printed(&child);
    assert!(text.contains(&format!("URI:{}/crl/gr%C3%B6%C3%9Fe-co-1\n", server.base)), "{text}");
    assert!(
        text.contains(&format!("CA Issuers - URI:{}/ca/gr%C3%B6%C3%9Fe-co-1.crt\n", server.base)),
        "{text}"
    );
    let leaf = root.create_certificate(&child, "www.example.com", json!({})).await;
    assert!(printed(&leaf).contains("URI:https://pki.example.com/crl/child-2\n"));
    server.stranger().get("/ca/gr%C3%B6%C3%9Fe-co-1.crt").await.expect(StatusCode::OK);
}
