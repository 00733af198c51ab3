use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Server, on_both_databases};

on_both_databases! {
    admins_and_superusers_create_organizations,
    names_are_unique_and_not_blank,
    superusers_see_all_by_name_and_others_their_own,
}

async fn admins_and_superusers_create_organizations(server: Server) {
    let world = server.world().await;
    for (client, name) in [(&world.root, "One"), (&world.red_admin, "Two")] {
        let body = json!({"name": name, "description": "line one\nline two"});
        let created = client.post("/api/v1/organizations/", body).await.expect(StatusCode::CREATED);
        assert_eq!((&created["name"], &created["description"]), (&json!(name), &json!("line one\nline two")));
    }
    world
        .red_user
        .post("/api/v1/organizations/", json!({"name": "Three"}))
        .await
        .expect(StatusCode::FORBIDDEN);
    let log = world.root.get("/api/v1/audit-logs/?action=org_create&limit=1").await.expect(StatusCode::OK);
    assert_eq!(
        (&log[0]["resource_type"], &log[0]["username"]),
        (&json!("organization"), &json!("red-admin"))
    );
    assert_eq!(log[0]["organization_id"], log[0]["resource_id"]);
}

async fn names_are_unique_and_not_blank(server: Server) {
    let root = server.superuser().await;
    root.post("/api/v1/organizations/", json!({"name": "Red"})).await.expect(StatusCode::CREATED);
    root.post("/api/v1/organizations", json!({"name": "Red"})).await.expect(StatusCode::BAD_REQUEST);
    for name in ["", "   ", "two\nlines"] {
        root.post("/api/v1/organizations/", json!({"name": name}))
            .await
            .expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn superusers_see_all_by_name_and_others_their_own(server: Server) {
    let world = server.world().await;
    let names = async |client: &crate::harness::Client| {
        let list = client.get("/api/v1/organizations/").await.expect(StatusCode::OK);
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&world.root).await, ["Blue", "Red"]);
    assert_eq!(names(&world.red_user).await, ["Red"]);
    assert_eq!(names(&world.loner).await, Vec::<String>::new());
}
