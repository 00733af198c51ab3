//! `PATCH /cas/{id}`: a CA is given to another organization.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Server, World, on_both_databases};

on_both_databases! {
    superusers_give_a_ca_to_another_organization,
    cascade_takes_what_has_no_organization_and_stops_at_others,
    only_superusers_move_cas,
    impossible_moves_change_nothing,
}

async fn owner(client: &Client, kind: &str, id: u32) -> Value {
    client.get(&format!("/api/v1/{kind}/{id}")).await.expect(StatusCode::OK)["organization_id"].clone()
}

/// CAs of nobody: 1, below it 2 and 3, below 3 it is 4; 3 belongs to Blue. Each of 2 and 4 has a certificate.
async fn tree(server: &Server) -> World {
    let world = server.world().await;
    world.root.create_ca("Top", json!({})).await;
    world.root.create_ca("Left", json!({"parent_ca_id": 1})).await;
    world.root.create_ca("Right", json!({"parent_ca_id": 1})).await;
    world.root.create_ca("Below right", json!({"parent_ca_id": 3})).await;
    world.root.patch("/api/v1/cas/3", json!({"organization_id": world.blue})).await.expect(StatusCode::OK);
    for ca in [2, 4] {
        world.root.create_certificate(&json!({"id": ca}), "www.example.com", json!({})).await;
    }
    world
}

async fn superusers_give_a_ca_to_another_organization(server: Server) {
    let world = tree(&server).await;
    let moved =
        world.root.patch("/api/v1/cas/2", json!({"organization_id": world.red})).await.expect(StatusCode::OK);
    assert_eq!(moved["organization_id"], world.red);
    assert!(moved.get("private_key").is_none());
    // Without cascade its certificate stays nobody's.
    assert_eq!(owner(&world.root, "certificates", 1).await, Value::Null);
    world.red_admin.get("/api/v1/cas/2/private-key").await.expect(StatusCode::OK);
    world.root.patch("/api/v1/cas/2", json!({"organization_id": world.blue})).await.expect(StatusCode::OK);
    world.red_admin.get("/api/v1/cas/2").await.expect(StatusCode::FORBIDDEN);
    let log =
        world.root.get("/api/v1/audit-logs/?action=ca_update&resource_id=2").await.expect(StatusCode::OK);
    let detail = log[0]["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("from organization {} to {}", world.red, world.blue)), "{detail}");
    assert_eq!(
        (&log[0]["resource_type"], &log[0]["organization_id"], &log[1]["organization_id"]),
        (&json!("ca"), &world.blue, &world.red)
    );
    // Who loses a CA reads of it in their own log.
    let log = world.red_admin.get("/api/v1/audit-logs/?action=ca_update").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 2, "{log}");
}

async fn cascade_takes_what_has_no_organization_and_stops_at_others(server: Server) {
    let world = tree(&server).await;
    let change = json!({"organization_id": world.red, "cascade": true});
    world.root.patch("/api/v1/cas/1", change).await.expect(StatusCode::OK);
    for (kind, id, expected) in [
        ("cas", 1, &world.red),
        ("cas", 2, &world.red),
        ("certificates", 1, &world.red),
        ("cas", 3, &world.blue),
        // Behind Blue's CA nothing moves.
        ("cas", 4, &Value::Null),
        ("certificates", 2, &Value::Null),
    ] {
        assert_eq!(owner(&world.root, kind, id).await, *expected, "{kind} {id}");
    }
    let log = world.red_admin.get("/api/v1/audit-logs/?action=ca_update").await.expect(StatusCode::OK);
    let detail = log[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("from organization none") && detail.contains("1 CAs and 1 certificates"),
        "{detail}"
    );
}

async fn only_superusers_move_cas(server: Server) {
    let world = server.world().await;
    world.red_admin.create_ca("Red", json!({})).await;
    let change = json!({"organization_id": world.blue});
    for client in [&world.red_admin, &world.red_user, &world.blue_admin, &world.loner] {
        client.patch("/api/v1/cas/1", change.clone()).await.expect(StatusCode::FORBIDDEN);
    }
    assert_eq!(owner(&world.root, "cas", 1).await, world.red);
}

async fn impossible_moves_change_nothing(server: Server) {
    let world = server.world().await;
    world.red_admin.create_ca("Red", json!({})).await;
    world.root.patch("/api/v1/cas/1", json!({"organization_id": 99})).await.expect(StatusCode::BAD_REQUEST);
    world
        .root
        .patch("/api/v1/cas/99", json!({"organization_id": world.red}))
        .await
        .expect(StatusCode::NOT_FOUND);
    for body in [json!({}), json!({"organization_id": null}), json!({"organization_id": "red", "cascade": 7})]
    {
        world.root.patch("/api/v1/cas/1", body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(owner(&world.root, "cas", 1).await, world.red);
}
