//! `POST /cas/{id}/revoke`, and what deleting a CA says to those who trust it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, Server, on_both_databases, openssl};

on_both_databases! {
    revoked_ca_is_on_its_parents_crl_and_issues_nothing,
    revoking_a_ca_takes_the_right_to_revoke_under_its_parent,
    what_no_parent_here_signed_cannot_be_revoked,
    ca_that_two_revoke_at_once_is_revoked_once,
    deleting_a_valid_ca_revokes_it,
    ca_is_deleted_while_others_issue_under_it,
    deleting_without_revoking_takes_the_right_under_the_parent,
    ca_that_is_revoked_or_expired_is_deleted_without_another_entry,
    certificate_that_an_import_brought_is_revoked_with_its_ca,
    revoked_ca_stays_revoked_where_its_issuer_is_not_seen,
    ca_below_a_revoked_one_that_is_not_seen_issues_nothing,
}

async fn crl_of(server: &Server, slug: &str) -> String {
    let der = server.stranger().get(&format!("/crl/{slug}")).await;
    assert_eq!(der.status, StatusCode::OK, "{slug}");
    openssl(&["crl", "-inform", "DER", "-noout", "-text"], &der.bytes)
}

fn serial(ca: &Value) -> String {
    let pem = ca["certificate"].as_str().unwrap();
    let text = openssl(&["x509", "-noout", "-serial"], pem.as_bytes());
    text.trim().trim_start_matches("serial=").to_owned()
}

async fn revoke(client: &Client, ca: &Value, status: StatusCode) -> Value {
    let path = format!("/api/v1/cas/{}/revoke", ca["id"]);
    client.post(&path, json!({"reason": "ca_compromise"})).await.expect(status)
}

async fn revoked_ca_is_on_its_parents_crl_and_issues_nothing(server: Server) {
    let world = server.world().await;
    let admin = &world.red_admin;
    let top = admin.create_ca("Top", json!({})).await;
    let middle = admin.create_ca("Middle", json!({"parent_ca_id": top["id"]})).await;
    let bottom = admin.create_ca("Bottom", json!({"parent_ca_id": middle["id"]})).await;
    assert_eq!(
        (&middle["status"], &middle["revoked_at"], &middle["revocation_reason"]),
        (&json!("valid"), &Value::Null, &Value::Null)
    );
    let leaf = admin.create_certificate(&bottom, "www.example.com", json!({})).await;
    let revoked = revoke(admin, &middle, StatusCode::OK).await;
    assert_eq!(
        (&revoked["id"], &revoked["status"], &revoked["revocation_reason"]),
        (&middle["id"], &json!("revoked"), &json!("ca_compromise"))
    );
    assert!(revoked["revoked_at"].is_string() && revoked.get("private_key").is_none());
    // Everywhere it is shown.
    let path = format!("/api/v1/cas/{}", middle["id"]);
    assert_eq!(admin.get(&path).await.expect(StatusCode::OK)["status"], "revoked");
    for (path, place) in [
        ("/api/v1/cas/".to_owned(), 1),
        (format!("/api/v1/cas/{}/children", top["id"]), 0),
        (format!("/api/v1/cas/{}/chain", bottom["id"]), 1),
    ] {
        let list = admin.get(&path).await.expect(StatusCode::OK);
        assert_eq!(list[place]["status"], "revoked", "{path}");
        let others = list.as_array().unwrap().iter().filter(|ca| ca["status"] == "valid").count();
        assert_eq!(others, list.as_array().unwrap().len() - 1, "{path}");
    }
    // Programs see it, and those who look at the CRLs of all CAs.
    let crl = crl_of(&server, "top-1").await;
    assert!(crl.contains(&serial(&middle)) && crl.contains("CA Compromise"), "{crl}");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pem = |ca: &Value| ca["certificate"].as_str().unwrap().to_owned();
    let mut crls = String::new();
    for slug in ["top-1", "middle-2", "bottom-3"] {
        crls += &server.stranger().get(&format!("/crl/{slug}.pem")).await.text();
    }
    let (root, above, lists) =
        (file("root", &pem(&top)), file("above", &(pem(&middle) + &pem(&bottom))), file("crls", &crls));
    let arguments = ["verify", "-crl_check_all", "-CAfile", &root, "-untrusted", &above, "-CRLfile", &lists];
    let verdict = openssl(&arguments, pem(&leaf).as_bytes());
    assert!(verdict.contains("certificate revoked"), "{verdict}");
    // Nothing is issued under it, nor below it.
    for ca in [&middle, &bottom] {
        let child = admin.try_create_ca("Child", json!({"parent_ca_id": ca["id"]})).await;
        assert!(child.expect(StatusCode::BAD_REQUEST)["detail"].as_str().unwrap().contains("was revoked"));
    }
    admin.try_create_certificate(&bottom, "x.example.com", json!({})).await.expect(StatusCode::BAD_REQUEST);
    // What it issued can still be revoked, one by one.
    let path = format!("/api/v1/certificates/{}/revoke", leaf["id"]);
    admin.post(&path, json!({})).await.expect(StatusCode::OK);
    let again = revoke(admin, &middle, StatusCode::CONFLICT).await;
    assert!(again["detail"].as_str().unwrap().contains("already revoked"), "{again}");
    let log = admin.get("/api/v1/audit-logs/?action=ca_revoke").await.expect(StatusCode::OK);
    assert_eq!((log.as_array().unwrap().len(), &log[0]["resource_id"]), (1, &middle["id"]));
    assert_eq!(log[0]["detail"], "Revoked CA 'Middle' under CA 'Top': ca_compromise");
    let known = "SELECT CAST(action AS VARCHAR) FROM audit_logs WHERE own_action = 'CA_REVOKE'";
    assert_eq!(server.database.peek(known).await, ["CERT_REVOKE"]);
}

/// A CA of Red, and one below it that belongs to Blue.
async fn shared(world: &crate::harness::World) -> (Value, Value) {
    let top = world.red_admin.create_ca("Top", json!({})).await;
    let sub = world.red_admin.create_ca("Sub", json!({"parent_ca_id": top["id"]})).await;
    let path = format!("/api/v1/cas/{}", sub["id"]);
    world.root.patch(&path, json!({"organization_id": world.blue})).await.expect(StatusCode::OK);
    (top, sub)
}

async fn revoking_a_ca_takes_the_right_to_revoke_under_its_parent(server: Server) {
    let world = server.world().await;
    let (_, sub) = shared(&world).await;
    for client in [&world.blue_admin, &world.red_user, &world.loner] {
        revoke(client, &sub, StatusCode::FORBIDDEN).await;
    }
    revoke(&server.stranger(), &sub, StatusCode::UNAUTHORIZED).await;
    assert_eq!(server.database.peek("SELECT count(*) FROM crl_entries").await, ["0"]);
    let flags = json!({"can_revoke_cert": true});
    let (_, account) = server.service_account(&world.red_admin, "revoker", flags).await;
    revoke(&account, &sub, StatusCode::OK).await;
    // Both read of it: whose CA it is, and whose parent.
    for admin in [&world.red_admin, &world.blue_admin] {
        let log = admin.get("/api/v1/audit-logs/?action=ca_revoke").await.expect(StatusCode::OK);
        assert_eq!((log.as_array().unwrap().len(), &log[0]["service_account_name"]), (1, &json!("revoker")));
    }
}

async fn what_no_parent_here_signed_cannot_be_revoked(server: Server) {
    let world = server.world().await;
    let top = world.red_admin.create_ca("Top", json!({})).await;
    let sub = world.red_admin.create_ca("Sub", json!({"parent_ca_id": top["id"]})).await;
    revoke(&world.blue_admin, &top, StatusCode::FORBIDDEN).await;
    let refused = revoke(&world.red_admin, &top, StatusCode::BAD_REQUEST).await;
    assert!(refused["detail"].as_str().unwrap().contains("a root cannot be revoked"), "{refused}");
    let import = json!({"name": "Sub", "certificate": sub["certificate"], "private_key": sub["private_key"]});
    world.red_admin.delete(&format!("/api/v1/cas/{}", sub["id"])).await.expect(StatusCode::NO_CONTENT);
    // Blue may not create CAs under Red's: theirs stands alone.
    let alone = world.blue_admin.post("/api/v1/cas/import", import).await.expect(StatusCode::OK);
    let refused = revoke(&world.blue_admin, &alone["ca"], StatusCode::BAD_REQUEST).await;
    assert!(refused["detail"].as_str().unwrap().contains("is not here"), "{refused}");
    revoke(&world.root, &json!({"id": 99}), StatusCode::NOT_FOUND).await;
}

async fn ca_that_two_revoke_at_once_is_revoked_once(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let sub = root.create_ca("Sub", json!({"parent_ca_id": top["id"]})).await;
    let path = format!("/api/v1/cas/{}/revoke", sub["id"]);
    let attempts = futures_util::future::join_all((0..6).map(|_| root.post(&path, json!({})))).await;
    let count = |status| attempts.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(StatusCode::OK), count(StatusCode::CONFLICT)), (1, 5));
    assert_eq!(server.database.peek("SELECT count(*) FROM crl_entries").await, ["1"]);
}

async fn deleting_a_valid_ca_revokes_it(server: Server) {
    let world = server.world().await;
    let (_, sub) = shared(&world).await;
    // The right to delete it is enough to end it: Blue has no right to Red's CA above.
    let path = format!("/api/v1/cas/{}", sub["id"]);
    world.blue_admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    let crl = crl_of(&server, "top-1").await;
    assert!(crl.contains(&serial(&sub)) && crl.contains("Cessation Of Operation"), "{crl}");
    let deleted = world.blue_admin.get("/api/v1/audit-logs/?action=ca_delete").await.expect(StatusCode::OK);
    assert_eq!(deleted[0]["detail"], "Deleted CA 'Sub' and revoked it: cessation_of_operation");
    let revoked = world.red_admin.get("/api/v1/audit-logs/?action=ca_revoke").await.expect(StatusCode::OK);
    assert!(revoked[0]["detail"].as_str().unwrap().contains("since it was deleted"), "{revoked}");
}

async fn ca_is_deleted_while_others_issue_under_it(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    for round in 0..3 {
        let sub = root.create_ca(&format!("Sub {round}"), json!({"parent_ca_id": top["id"]})).await;
        let issue = async |number: i32| {
            for at in 0..4 {
                let name = format!("{number}-{at}.example.com");
                root.try_create_certificate(&sub, &name, json!({})).await;
            }
        };
        let path = format!("/api/v1/cas/{}", sub["id"]);
        let issuing = futures_util::future::join_all((0..6).map(issue));
        let (_, deleted) = futures_util::future::join(issuing, root.delete(&path)).await;
        deleted.expect(StatusCode::NO_CONTENT);
    }
    let left = "SELECT count(*) FROM certificates WHERE issuer_id IS NOT NULL";
    assert_eq!(server.database.peek(left).await, ["0"]);
}

async fn deleting_without_revoking_takes_the_right_under_the_parent(server: Server) {
    let world = server.world().await;
    let (_, sub) = shared(&world).await;
    let path = format!("/api/v1/cas/{}?revoke=false", sub["id"]);
    world.blue_admin.delete(&path).await.expect(StatusCode::FORBIDDEN);
    world.red_admin.delete(&path).await.expect(StatusCode::FORBIDDEN);
    world.root.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert!(crl_of(&server, "top-1").await.contains("No Revoked Certificates"));
    let log = world.blue_admin.get("/api/v1/audit-logs/?action=ca_delete").await.expect(StatusCode::OK);
    assert_eq!(log[0]["detail"], "Deleted CA 'Sub' without revoking it");
    // A root has nobody above it to be asked.
    let top = world.blue_admin.create_ca("Blue", json!({})).await;
    let path = format!("/api/v1/cas/{}?revoke=false", top["id"]);
    world.blue_admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
}

async fn ca_that_is_revoked_or_expired_is_deleted_without_another_entry(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let short = root.create_ca("Short", json!({"parent_ca_id": top["id"], "valid_days": 1})).await;
    let gone = root.create_ca("Gone", json!({"parent_ca_id": top["id"]})).await;
    revoke(&root, &gone, StatusCode::OK).await;
    root.delete(&format!("/api/v1/cas/{}", gone["id"])).await.expect(StatusCode::NO_CONTENT);
    server.clock.advance(24 * 3600 + 1);
    let root = server.sign_in("root").await;
    let path = format!("/api/v1/cas/{}", short["id"]);
    assert_eq!(root.get(&path).await.expect(StatusCode::OK)["status"], "expired");
    root.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(server.database.peek("SELECT reason FROM crl_entries").await, ["ca_compromise"]);
}

async fn certificate_that_an_import_brought_is_revoked_with_its_ca(server: Server) {
    let elsewhere = server.database_beside().await;
    let other = Server::start(&elsewhere, Options::default()).await;
    let there = other.superuser().await;
    let top = there.create_ca("Top", json!({})).await;
    let sub = there.create_ca("Sub", json!({"parent_ca_id": top["id"]})).await;
    let low = there.create_ca("Low", json!({"parent_ca_id": top["id"]})).await;
    other.stop().await;
    elsewhere.remove().await;
    server.clock.advance(60);
    let root = server.superuser().await;
    let import = |ca: &Value, certificates: Value| json!({"name": ca["name"], "certificate": ca["certificate"], "private_key": ca["private_key"], "certificates": certificates});
    let issued = json!([{"certificate": sub["certificate"]}, {"certificate": low["certificate"]}]);
    root.post("/api/v1/cas/import", import(&top, issued)).await.expect(StatusCode::OK);
    for ca in [&sub, &low] {
        root.post("/api/v1/cas/import", import(ca, json!([]))).await.expect(StatusCode::OK);
    }
    revoke(&root, &json!({"id": 2}), StatusCode::OK).await;
    let twin = root.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    assert_eq!(twin["status"], "revoked");
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::CONFLICT);
    // And the other way round.
    let reason = json!({"reason": "superseded"});
    root.post("/api/v1/certificates/2/revoke", reason).await.expect(StatusCode::OK);
    let low = root.get("/api/v1/cas/3").await.expect(StatusCode::OK);
    assert_eq!((&low["status"], &low["revocation_reason"]), (&json!("revoked"), &json!("superseded")));
    revoke(&root, &low, StatusCode::CONFLICT).await;
    root.try_create_certificate(&low, "www.example.com", json!({})).await.expect(StatusCode::BAD_REQUEST);
}

async fn revoked_ca_stays_revoked_where_its_issuer_is_not_seen(server: Server) {
    let world = server.world().await;
    let (_, sub) = shared(&world).await;
    let reason = json!({"reason": "they know why"});
    let path = format!("/api/v1/cas/{}", sub["id"]);
    world.red_admin.post(&format!("{path}/revoke"), reason).await.expect(StatusCode::OK);
    // Blue deletes it, and brings it back without Red's CA above it.
    world.blue_admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    let import =
        json!({"name": "Back", "certificate": sub["certificate"], "private_key": sub["private_key"]});
    let back = world.blue_admin.post("/api/v1/cas/import", import.clone()).await.expect(StatusCode::OK);
    assert_eq!(back["warnings"], json!(["its issuer revoked it: nothing can be issued under it"]));
    let path = format!("/api/v1/cas/{}", back["ca"]["id"]);
    let shown = world.blue_admin.get(&path).await.expect(StatusCode::OK);
    for ca in [&back["ca"], &shown] {
        let seen = (&ca["status"], &ca["revocation_reason"], &ca["parent_ca_id"]);
        assert_eq!(seen, (&json!("revoked"), &Value::Null, &Value::Null));
    }
    let refused = world.blue_admin.try_create_certificate(&shown, "www.example.com", json!({})).await;
    let refused = refused.expect(StatusCode::BAD_REQUEST);
    assert!(refused["detail"].as_str().unwrap().contains("was revoked"), "{refused}");
    let child = json!({"parent_ca_id": shown["id"]});
    world.blue_admin.try_create_ca("Child", child).await.expect(StatusCode::BAD_REQUEST);
    // Nor where it goes to.
    world.root.patch(&path, json!({"organization_id": world.red})).await.expect(StatusCode::OK);
    let refused = world.red_admin.try_create_certificate(&shown, "www.example.com", json!({})).await;
    refused.expect(StatusCode::BAD_REQUEST);
}

async fn ca_below_a_revoked_one_that_is_not_seen_issues_nothing(server: Server) {
    let world = server.world().await;
    let top = world.red_admin.create_ca("Top", json!({})).await;
    let middle = world.red_admin.create_ca("Middle", json!({"parent_ca_id": top["id"]})).await;
    let low = world.red_admin.create_ca("Low", json!({"parent_ca_id": middle["id"]})).await;
    let path = format!("/api/v1/cas/{}?revoke=false", low["id"]);
    world.red_admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    let import = json!({"name": "Low", "certificate": low["certificate"], "private_key": low["private_key"]});
    let alone = world.blue_admin.post("/api/v1/cas/import", import.clone()).await.expect(StatusCode::OK);
    assert_eq!((&alone["warnings"], &alone["ca"]["parent_ca_id"]), (&json!([]), &Value::Null));
    world.blue_admin.create_certificate(&alone["ca"], "www.example.com", json!({})).await;
    revoke(&world.red_admin, &middle, StatusCode::OK).await;
    let refused = world.blue_admin.try_create_certificate(&alone["ca"], "x.example.com", json!({})).await;
    let refused = refused.expect(StatusCode::BAD_REQUEST);
    let told = refused["detail"].as_str().unwrap();
    assert!(told.contains("a CA above") && !told.contains("Middle"), "{told}");
    let again = world.blue_admin.post("/api/v1/cas/import", import).await.expect(StatusCode::OK);
    assert!(again["warnings"][0].as_str().unwrap().contains("a CA above"), "{again}");
}
