use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, on_both_databases};

on_both_databases! {
    admins_see_their_organizations_log_and_users_none,
    filters_narrow_the_log,
    every_change_has_its_entry,
}

fn actions(log: &Value) -> Vec<&str> {
    log.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

async fn admins_see_their_organizations_log_and_users_none(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red Root", json!({})).await;
    world.root.get(&format!("/api/v1/cas/{}/private-key", ca["id"])).await.expect(StatusCode::OK);
    let red = world.red_admin.get("/api/v1/audit-logs/").await.expect(StatusCode::OK);
    // What a superuser does to a tenant's key stands in the tenant's log.
    assert_eq!(actions(&red)[..2], ["ca_export_private_key", "ca_create"]);
    assert_eq!(red[0]["username"], "root");
    assert!(red.as_array().unwrap().iter().all(|entry| entry["organization_id"] == world.red));
    let blue = world.blue_admin.get("/api/v1/audit-logs/").await.expect(StatusCode::OK);
    assert!(!actions(&blue).contains(&"ca_create"));
    for client in [&world.red_user, &world.loner] {
        client.get("/api/v1/audit-logs/").await.expect(StatusCode::FORBIDDEN);
    }
    world.root.create_user("lost-admin", "admin", &Value::Null, json!({})).await;
    let lost = server.sign_in("lost-admin").await.get("/api/v1/audit-logs").await.expect(StatusCode::OK);
    assert_eq!(lost, json!([]));
}

async fn filters_narrow_the_log(server: Server) {
    let world = server.world().await;
    let get = async |query: &str| {
        world.root.get(&format!("/api/v1/audit-logs/?{query}")).await.expect(StatusCode::OK)
    };
    assert_eq!(actions(&get("action=org_create").await), ["org_create", "org_create"]);
    assert_eq!(actions(&get("resource_type=organization&resource_id=1").await), ["org_create"]);
    let by_root = get("user_id=1&limit=1000").await;
    assert!(by_root.as_array().unwrap().iter().all(|entry| entry["user_id"] == 1));
    assert_eq!(get("service_account_id=1").await, json!([]));
    let all = get("limit=1000").await;
    let newest = all[0]["created_at"].as_str().unwrap();
    assert!(!get(&format!("since={newest}")).await.as_array().unwrap().is_empty());
    assert_eq!(get(&format!("since={newest}&until=2000-01-01T00:00:00Z")).await, json!([]));
    let page = get("skip=1&limit=2").await;
    assert_eq!(page.as_array().unwrap()[..], all.as_array().unwrap()[1..3]);
    for query in ["action=nonsense", "limit=0", "limit=1001", "since=yesterday", "skip=-1"] {
        let path = format!("/api/v1/audit-logs/?{query}");
        world.root.get(&path).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn every_change_has_its_entry(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let certificate = root.create_certificate(&ca, "www.example.com", json!({})).await;
    let path = format!("/api/v1/certificates/{}", certificate["id"]);
    root.get(&format!("{path}/private-key")).await.expect(StatusCode::OK);
    root.post(&format!("{path}/renew"), json!({})).await.expect(StatusCode::CREATED);
    root.post(&format!("{path}/revoke"), json!({"reason": "superseded"})).await.expect(StatusCode::OK);
    root.delete(&format!("/api/v1/cas/{}", ca["id"])).await.expect(StatusCode::NO_CONTENT);
    let log = root.get("/api/v1/audit-logs/").await.expect(StatusCode::OK);
    let entries: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["resource_type"].as_str(),
                entry["resource_id"].as_i64(),
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            ("ca_delete", Some("ca"), Some(1)),
            ("cert_revoke", Some("certificate"), Some(1)),
            ("cert_create", Some("certificate"), Some(2)),
            ("cert_export_private_key", Some("certificate"), Some(1)),
            ("cert_create", Some("certificate"), Some(1)),
            ("ca_create", Some("ca"), Some(1)),
            ("login_success", None, None),
            ("user_create", Some("user"), Some(1)),
        ]
    );
}
