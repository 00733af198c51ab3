//! `PATCH /cas/{id}`: a CA's name and settings.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, on_both_databases, printed};

on_both_databases! {
    admins_let_a_ca_issue_leaves_again,
    only_admins_of_its_organization_change_a_ca,
    renamed_ca_keeps_the_addresses_in_its_certificates,
    base_of_addresses_holds_from_now_on,
    what_is_the_same_is_no_change,
    superusers_move_and_change_at_once,
    changes_that_say_nothing_are_refused,
}

async fn admins_let_a_ca_issue_leaves_again(server: Server) {
    let world = server.world().await;
    let flags = json!({"can_create_ca": true});
    world.root.create_user("maker", "user", &world.red, flags).await;
    let maker = server.sign_in("maker").await;
    let ca = world.red_admin.create_ca("Issuing", json!({})).await;
    let leaf = async || world.red_admin.try_create_certificate(&ca, "www.example.com", json!({})).await;
    leaf().await.expect(StatusCode::CREATED);
    // A child ends it.
    maker.create_ca("Child", json!({"parent_ca_id": ca["id"]})).await;
    leaf().await.expect(StatusCode::BAD_REQUEST);
    let path = format!("/api/v1/cas/{}", ca["id"]);
    let changed =
        world.red_admin.patch(&path, json!({"allow_leaf_certs": true})).await.expect(StatusCode::OK);
    assert_eq!(
        (&changed["allow_leaf_certs"], &changed["name"], &changed["organization_id"]),
        (&json!(true), &json!("Issuing"), &world.red)
    );
    leaf().await.expect(StatusCode::CREATED);
    let log = world.red_admin.get("/api/v1/audit-logs/?action=ca_update").await.expect(StatusCode::OK);
    assert_eq!(log[0]["detail"], "Changed CA 'Issuing': allow_leaf_certs false to true");
    assert_eq!(log.as_array().unwrap().len(), 1);
}

async fn only_admins_of_its_organization_change_a_ca(server: Server) {
    let world = server.world().await;
    let every = json!({"can_create_ca": true, "can_create_cert": true, "can_revoke_cert": true, "can_export_private_key": true, "can_delete_ca": true});
    world.root.create_user("able", "user", &world.red, every.clone()).await;
    let able = server.sign_in("able").await;
    let (_, account) = server.service_account(&world.red_admin, "able account", every).await;
    // Not even who created it.
    let ca = able.create_ca("Red", json!({})).await;
    let path = format!("/api/v1/cas/{}", ca["id"]);
    for change in [
        json!({"allow_leaf_certs": false}),
        json!({"name": "x"}),
        json!({"crl_base_url": "http://evil.test"}),
    ] {
        for client in [&able, &account, &world.red_user, &world.blue_admin, &world.loner] {
            client.patch(&path, change.clone()).await.expect(StatusCode::FORBIDDEN);
        }
        server.stranger().patch(&path, change).await.expect(StatusCode::UNAUTHORIZED);
    }
    // An admin moves no CA, whatever else is asked for with it.
    let both = json!({"organization_id": world.blue, "name": "x"});
    world.red_admin.patch(&path, both).await.expect(StatusCode::FORBIDDEN);
    let same = world.root.get(&path).await.expect(StatusCode::OK);
    assert_eq!((&same["name"], &same["updated_at"]), (&json!("Red"), &ca["updated_at"]));
    // A CA of nobody is the superusers'.
    let free = world.root.create_ca("Free", json!({})).await;
    let path = format!("/api/v1/cas/{}", free["id"]);
    world.red_admin.patch(&path, json!({"description": "x"})).await.expect(StatusCode::FORBIDDEN);
    world.root.patch(&path, json!({"description": "x"})).await.expect(StatusCode::OK);
}

async fn renamed_ca_keeps_the_addresses_in_its_certificates(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("First", json!({})).await;
    let before = root.create_certificate(&ca, "a.example.com", json!({})).await;
    for name in ["Second", "Third"] {
        let renamed = root.patch("/api/v1/cas/1", json!({"name": name})).await.expect(StatusCode::OK);
        assert_eq!(renamed["name"], name);
        let after = root.create_certificate(&ca, "a.example.com", json!({})).await;
        for certificate in [&before, &after] {
            let text = printed(certificate);
            assert!(text.contains("/crl/first-1\n") && text.contains("/ca/first-1.crt\n"), "{text}");
        }
        let slugs = ["first-1".to_owned(), format!("{}-1", name.to_lowercase())];
        for path in slugs.iter().flat_map(|slug| [format!("/crl/{slug}"), format!("/ca/{slug}.crt")]) {
            assert_eq!(server.stranger().get(&path).await.status, StatusCode::OK, "{path}");
        }
    }
    server.stranger().get("/crl/second-1").await.expect(StatusCode::NOT_FOUND);
    let log = root.get("/api/v1/audit-logs/?action=ca_update").await.expect(StatusCode::OK);
    assert_eq!(log[0]["detail"], "Changed CA 'Second': name 'Second' to 'Third'");
    let server = server.restart(Default::default()).await;
    assert_eq!(server.stranger().get("/crl/first-1").await.status, StatusCode::OK);
}

async fn base_of_addresses_holds_from_now_on(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let address = async || printed(&root.create_certificate(&ca, "a.example.com", json!({})).await);
    let new = json!({"crl_base_url": "https://pki.example.com/x/"});
    root.patch("/api/v1/cas/1", new).await.expect(StatusCode::OK);
    assert!(address().await.contains("URI:https://pki.example.com/x/crl/root-1\n"));
    let reset = root.patch("/api/v1/cas/1", json!({"crl_base_url": ""})).await.expect(StatusCode::OK);
    assert_eq!(reset["crl_base_url"], Value::Null);
    assert!(!address().await.contains("pki.example.com"));
}

async fn what_is_the_same_is_no_change(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({"description": "offline"})).await;
    server.clock.advance(10);
    let same =
        json!({"name": "Root", "description": "offline", "allow_leaf_certs": true, "crl_base_url": null});
    let answer = root.patch("/api/v1/cas/1", same).await.expect(StatusCode::OK);
    assert_eq!(answer["updated_at"], ca["updated_at"]);
    assert_eq!(
        server.database.peek("SELECT count(*) FROM audit_logs WHERE action = 'CA_UPDATE'").await,
        ["0"]
    );
}

async fn superusers_move_and_change_at_once(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Root", json!({})).await;
    let path = format!("/api/v1/cas/{}", ca["id"]);
    let change = json!({"organization_id": world.blue, "name": "Blue Root", "allow_leaf_certs": false});
    let changed = world.root.patch(&path, change).await.expect(StatusCode::OK);
    assert_eq!(
        (&changed["organization_id"], &changed["name"], &changed["allow_leaf_certs"]),
        (&world.blue, &json!("Blue Root"), &json!(false))
    );
    let log = world.blue_admin.get("/api/v1/audit-logs/?action=ca_update").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 2, "{log}");
}

async fn changes_that_say_nothing_are_refused(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Root", json!({})).await;
    for body in [
        json!({}),
        json!({"cascade": true}),
        json!({"name": null, "allow_leaf_certs": null}),
        json!({"name": " "}),
        json!({"allow_leaf_certs": "maybe"}),
        json!({"crl_base_url": "ftp://example.com"}),
        json!({"crl_base_url": "http://example.com/\n"}),
    ] {
        root.patch("/api/v1/cas/1", body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    root.patch("/api/v1/cas/99", json!({"name": "x"})).await.expect(StatusCode::NOT_FOUND);
}
