//! No tenant reaches another's.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Server, on_both_databases};

on_both_databases! {
    foreign_cas_and_certificates_are_out_of_reach,
    lists_show_ones_own,
    members_read_and_do_what_their_flags_say,
    chain_and_children_hide_other_tenants,
    creators_lose_their_rights_with_their_organization,
    certificate_belongs_to_its_cas_organization,
}

async fn foreign_cas_and_certificates_are_out_of_reach(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    world.red_admin.create_certificate(&ca, "www.example.com", json!({})).await;
    for client in [&world.blue_admin, &world.loner] {
        for path in [
            "cas/1",
            "cas/1/private-key",
            "cas/1/chain",
            "cas/1/children",
            "certificates/1",
            "certificates/1/private-key",
            "export/ca/1/certificate",
            "export/ca/1/private-key",
            "export/certificate/1",
            "export/certificate/1/private-key",
            "export/certificate/1/chain",
        ] {
            client.get(&format!("/api/v1/{path}")).await.expect(StatusCode::FORBIDDEN);
        }
        for path in ["certificates/1/revoke", "certificates/1/renew"] {
            client.post(&format!("/api/v1/{path}"), json!({})).await.expect(StatusCode::FORBIDDEN);
        }
        client.try_create_certificate(&ca, "evil.example.com", json!({})).await.expect(StatusCode::FORBIDDEN);
        client.delete("/api/v1/cas/1").await.expect(StatusCode::FORBIDDEN);
        client.try_create_ca("Evil", json!({"parent_ca_id": 1})).await.expect(StatusCode::FORBIDDEN);
    }
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates WHERE status = 'VALID'").await, ["1"]);
}

async fn lists_show_ones_own(server: Server) {
    let world = server.world().await;
    let red = world.red_admin.create_ca("Red Root", json!({})).await;
    let blue = world.blue_admin.create_ca("Blue Root", json!({})).await;
    let lone = world.root.create_ca("Lone Root", json!({})).await;
    for (client, ca) in [(&world.red_admin, &red), (&world.blue_admin, &blue), (&world.root, &lone)] {
        client.create_certificate(ca, "www.example.com", json!({})).await;
    }
    for (client, expected) in [
        (&world.root, vec![1, 2, 3]),
        (&world.red_admin, vec![1]),
        (&world.red_user, vec![1]),
        (&world.blue_admin, vec![2]),
        (&world.loner, vec![]),
    ] {
        for list in ["cas", "certificates"] {
            let answer = client.get(&format!("/api/v1/{list}/")).await;
            assert_eq!(answer.header("x-total-count"), expected.len().to_string());
            let ids: Vec<_> = answer
                .expect(StatusCode::OK)
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_i64().unwrap())
                .collect();
            assert_eq!(ids, expected);
        }
    }
    let foreign = world.blue_admin.get("/api/v1/certificates/?ca_id=1").await.expect(StatusCode::OK);
    assert_eq!(foreign, json!([]));
}

async fn members_read_and_do_what_their_flags_say(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    world.red_admin.create_certificate(&ca, "www.example.com", json!({})).await;
    for path in ["cas/1", "cas/1/chain", "certificates/1", "export/certificate/1/chain"] {
        let answer = world.red_user.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    world
        .red_user
        .try_create_certificate(&ca, "x.example.com", json!({}))
        .await
        .expect(StatusCode::FORBIDDEN);
    world.red_user.try_create_ca("Mine", json!({})).await.expect(StatusCode::FORBIDDEN);
    world.red_user.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::FORBIDDEN);
    let flags = json!({"can_create_cert": true, "can_revoke_cert": true, "can_export_private_key": true, "can_create_ca": true, "can_delete_ca": true});
    world.red_admin.create_user("able", "user", &world.red, flags).await;
    let able = server.sign_in("able").await;
    able.create_certificate(&ca, "x.example.com", json!({})).await;
    able.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    able.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    able.create_ca("Mine", json!({})).await;
    able.delete("/api/v1/cas/1").await.expect(StatusCode::NO_CONTENT);
    // Who creates has every right to the creation, without flags.
    let flags = json!({"can_create_cert": true});
    world.red_admin.create_user("maker", "user", &world.red, flags).await;
    let maker = server.sign_in("maker").await;
    let own = maker.create_certificate(&json!({"id": 2}), "own.example.com", json!({})).await;
    maker.get(&format!("/api/v1/certificates/{}/private-key", own["id"])).await.expect(StatusCode::OK);
    maker.post(&format!("/api/v1/certificates/{}/revoke", own["id"]), json!({})).await.expect(StatusCode::OK);
}

async fn chain_and_children_hide_other_tenants(server: Server) {
    let world = server.world().await;
    let top = world.root.create_ca("Shared Root", json!({"description": "secret plans"})).await;
    let child = world.root.create_ca("Red Issuing", json!({"parent_ca_id": top["id"]})).await;
    // A superuser hands the intermediate to a tenant.
    let sql = format!(
        "UPDATE certificate_authorities SET organization_id = {} WHERE id = {}",
        world.red, child["id"]
    );
    server.database.peek(&sql).await;
    let chain = world.red_user.get("/api/v1/cas/2/chain").await.expect(StatusCode::OK);
    assert_eq!(chain[0]["name"], "Red Issuing");
    let foreign = chain[1].as_object().unwrap();
    for (field, value) in foreign {
        match field.as_str() {
            "id" | "name" | "certificate" | "is_root" => assert_eq!(*value, top[field], "{field}"),
            _ => assert!(value.is_null() || value == "", "{field} is shown: {value}"),
        }
    }
    let blue = world.root.create_ca("Blue Issuing", json!({"parent_ca_id": top["id"]})).await;
    let sql = format!("UPDATE certificate_authorities SET organization_id = {} WHERE id = 1", world.red);
    server.database.peek(&sql).await;
    let sql = format!(
        "UPDATE certificate_authorities SET organization_id = {} WHERE id = {}",
        world.blue, blue["id"]
    );
    server.database.peek(&sql).await;
    let children = world.red_user.get("/api/v1/cas/1/children").await.expect(StatusCode::OK);
    let names: Vec<_> = children.as_array().unwrap().iter().map(|ca| ca["name"].clone()).collect();
    assert_eq!(names, ["Red Issuing"]);
}

async fn creators_lose_their_rights_with_their_organization(server: Server) {
    let world = server.world().await;
    world.red_admin.create_ca("Red Root", json!({})).await;
    let sql = format!("UPDATE users SET organization_id = {} WHERE username = 'red-admin'", world.blue);
    server.database.peek(&sql).await;
    for path in ["/api/v1/cas/1", "/api/v1/cas/1/private-key"] {
        world.red_admin.get(path).await.expect(StatusCode::FORBIDDEN);
    }
}

async fn certificate_belongs_to_its_cas_organization(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    let certificate = world.root.create_certificate(&ca, "www.example.com", json!({})).await;
    assert_eq!(certificate["organization_id"], world.red);
    world.red_admin.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
}
