//! What only an adopted database holds: references to rows that are gone, values nobody checked.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Server, on_both_databases};

on_both_databases! {
    rows_of_an_organization_that_is_gone_can_be_used_and_cleared_away,
    certificate_whose_issuer_is_gone_can_be_revoked,
    strange_path_length_does_not_hide_the_list,
}

async fn rows_of_an_organization_that_is_gone_can_be_used_and_cleared_away(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    // PostgreSQL has always refused such references.
    if server.database.file().is_some() {
        for table in ["certificate_authorities", "certificates"] {
            server.database.script(&format!("UPDATE {table} SET organization_id = 77")).await;
        }
    }
    root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    root.create_certificate(&ca, "new.example.com", json!({})).await;
    root.create_ca("Child", json!({"parent_ca_id": 1})).await;
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    root.delete("/api/v1/cas/2").await.expect(StatusCode::NO_CONTENT);
    root.delete("/api/v1/cas/1").await.expect(StatusCode::NO_CONTENT);
}

async fn certificate_whose_issuer_is_gone_can_be_revoked(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    let orphan = if server.database.file().is_some() { "77" } else { "NULL" };
    server.database.script(&format!("UPDATE certificates SET issuer_id = {orphan}")).await;
    let revoked = root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    assert_eq!(revoked["status"], "revoked");
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::CONFLICT);
    let renewal = root.post("/api/v1/certificates/1/renew", json!({})).await.status;
    assert!(renewal.is_client_error(), "{renewal}");
}

async fn strange_path_length_does_not_hide_the_list(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Root", json!({})).await;
    server.database.script("UPDATE certificate_authorities SET path_length = 300").await;
    let list = root.get("/api/v1/cas/").await.expect(StatusCode::OK);
    assert_eq!(list[0]["path_length"], 300);
}
