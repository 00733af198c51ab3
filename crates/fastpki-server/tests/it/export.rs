use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Server, on_both_databases};

on_both_databases! {
    files_have_their_names_and_types,
    keys_are_exported_to_who_may_and_audited,
    missing_things_are_404,
    asking_for_a_key_that_is_not_there_is_audited_too,
}

async fn files_have_their_names_and_types(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let issuing = root.create_ca("Issuing", json!({"parent_ca_id": top["id"]})).await;
    let leaf = root.create_certificate(&issuing, "www.example.com", json!({})).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let chain = text(&leaf["certificate"]) + &text(&issuing["certificate"]) + &text(&top["certificate"]);
    for (path, name, content) in [
        ("ca/2/certificate", "ca_2_certificate.pem", text(&issuing["certificate"])),
        ("ca/2/private-key", "ca_2_private_key.pem", text(&issuing["private_key"])),
        ("certificate/1", "certificate_1.pem", text(&leaf["certificate"])),
        ("certificate/1/private-key", "certificate_1_private_key.pem", text(&leaf["private_key"])),
        ("certificate/1/chain", "certificate_1_chain.pem", chain),
    ] {
        let answer = root.get(&format!("/api/v1/export/{path}")).await;
        assert_eq!(answer.header("content-type"), "application/x-pem-file");
        assert_eq!(answer.header("content-disposition"), format!("attachment; filename={name}"));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.text(), content, "{path}");
    }
}

async fn keys_are_exported_to_who_may_and_audited(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    world.red_admin.create_certificate(&ca, "www.example.com", json!({})).await;
    for path in ["ca/1", "certificate/1"] {
        let path = format!("/api/v1/export/{path}/private-key");
        world.red_user.get(&path).await.expect(StatusCode::FORBIDDEN);
        world.blue_admin.get(&path).await.expect(StatusCode::FORBIDDEN);
        world.red_admin.get(&path).await.expect(StatusCode::OK);
    }
    for action in ["ca_export_private_key", "cert_export_private_key"] {
        let log =
            world.red_admin.get(&format!("/api/v1/audit-logs/?action={action}")).await.expect(StatusCode::OK);
        assert_eq!(log.as_array().unwrap().len(), 1, "{action}");
    }
}

async fn missing_things_are_404(server: Server) {
    let root = server.superuser().await;
    for path in [
        "ca/1/certificate",
        "ca/1/private-key",
        "certificate/1",
        "certificate/1/private-key",
        "certificate/1/chain",
    ] {
        root.get(&format!("/api/v1/export/{path}")).await.expect(StatusCode::NOT_FOUND);
    }
}

async fn asking_for_a_key_that_is_not_there_is_audited_too(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({"include_private_key": false})).await;
    root.get("/api/v1/certificates/1/private-key").await.expect(StatusCode::OK);
    let log = root.get("/api/v1/audit-logs/?action=cert_export_private_key").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 1);
}
