//! What a name looks like is what it is; names that are there already stay as they are.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Server, on_both_databases};

on_both_databases! {
    names_that_deceive_are_refused_everywhere,
    names_are_trimmed_and_composed,
    nobody_is_called_like_this_program,
    lookalike_of_a_taken_username_is_refused,
    names_that_are_there_stay,
    passwords_that_cannot_be_seen_are_refused,
    audit_log_tells_users_of_one_name_apart,
}

const DECEIVING: [&str; 6] =
    ["root\u{200b}", "r\u{43e}\u{43e}t", "\u{202e}toor", "\u{ff52}oot", "root\u{3164}", "ro\u{ad}ot"];

async fn names_that_deceive_are_refused_everywhere(server: Server) {
    let world = server.world().await;
    let red = format!("/api/v1/organizations/{}", world.red);
    world
        .red_admin
        .post("/api/v1/service-accounts/", json!({"name": "runner"}))
        .await
        .expect(StatusCode::CREATED);
    for name in DECEIVING {
        let user = json!({"username": name, "email": "new@example.com", "password": PASSWORD});
        let ca = json!({"name": name, "subject_dn": "CN=New", "key_type": "ec"});
        let name = json!({"name": name});
        for (answer, field) in [
            (world.root.post("/api/v1/users/", user).await, "username"),
            (world.root.post("/api/v1/organizations/", name.clone()).await, "name"),
            (world.red_admin.put(&red, name.clone()).await, "name"),
            (world.red_admin.post("/api/v1/service-accounts/", name.clone()).await, "name"),
            (world.red_admin.patch("/api/v1/service-accounts/1", name.clone()).await, "name"),
            (world.red_admin.post("/api/v1/service-accounts/1/tokens", name.clone()).await, "name"),
            (world.red_admin.post("/api/v1/cas/", ca).await, "name"),
        ] {
            let detail = answer.expect(StatusCode::UNPROCESSABLE_ENTITY)["detail"].clone();
            assert_eq!(
                (&detail[0]["loc"][1], &detail[0]["type"]),
                (&json!(field), &json!("value_error")),
                "{name}"
            );
        }
    }
}

async fn names_are_trimmed_and_composed(server: Server) {
    let root = server.superuser().await;
    let user = |name: &str| json!({"username": name, "email": "new@example.com", "password": PASSWORD});
    let answer = root.post("/api/v1/users/", user(" root ")).await.expect(StatusCode::BAD_REQUEST);
    assert!(answer["detail"].as_str().unwrap().contains("taken"), "{answer}");
    let made = root.post("/api/v1/users/", user(" Ju\u{308}rgen")).await.expect(StatusCode::CREATED);
    assert_eq!(made["username"], "J\u{fc}rgen");
    server.sign_in("J\u{fc}rgen").await;
    let made =
        root.post("/api/v1/organizations/", json!({"name": " Red  "})).await.expect(StatusCode::CREATED);
    assert_eq!(made["name"], "Red");
}

async fn nobody_is_called_like_this_program(server: Server) {
    let world = server.world().await;
    for name in ["fastpki admin", "FastPKI  Serve", "fastpki"] {
        let user = json!({"username": name, "email": "new@example.com", "password": PASSWORD});
        world.root.post("/api/v1/users/", user).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let account = world.red_admin.post("/api/v1/service-accounts/", json!({"name": name})).await;
        account.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    world.root.post("/api/v1/organizations/", json!({"name": "FastPKI"})).await.expect(StatusCode::CREATED);
}

async fn lookalike_of_a_taken_username_is_refused(server: Server) {
    let root = server.superuser().await;
    root.create_user("coco", "user", &Value::Null, json!({})).await;
    // All Cyrillic, and a Turkish letter.
    for name in ["\u{441}\u{43e}\u{441}\u{43e}", "coc\u{25b}", "\u{441}\u{43e}\u{441}\u{43e}2"] {
        let user =
            json!({"username": name, "email": format!("{}@example.com", name.len()), "password": PASSWORD});
        let answer = root.post("/api/v1/users/", user).await;
        match name.ends_with('\u{43e}') {
            true => {
                let detail = answer.expect(StatusCode::BAD_REQUEST)["detail"].clone();
                assert!(detail.as_str().unwrap().contains("looks like 'coco'"), "{detail}");
            }
            false => assert_ne!(answer.status, StatusCode::BAD_REQUEST, "{name} looks like nobody"),
        }
    }
}

async fn names_that_are_there_stay(server: Server) {
    let root = server.superuser().await;
    root.create_user("old", "admin", &Value::Null, json!({})).await;
    for name in DECEIVING {
        server.database.script(&format!("UPDATE users SET username = '{name}' WHERE id = 2")).await;
        let old = server.sign_in(name).await;
        assert_eq!(old.get("/api/v1/users/me").await.expect(StatusCode::OK)["username"], name);
        old.patch("/api/v1/users/2", json!({"email": format!("{}@example.com", name.len())})).await;
        root.patch("/api/v1/users/2", json!({"can_create_ca": true})).await.expect(StatusCode::OK);
    }
}

async fn passwords_that_cannot_be_seen_are_refused(server: Server) {
    let root = server.superuser().await;
    for password in
        ["        ", "\u{200b}\u{200b}\u{200b}\u{200b} \u{a0}\u{3000}\u{3164}", "\t\t\t\t\t\t\t\t"]
    {
        let user = json!({"username": "new", "email": "new@example.com", "password": password});
        root.post("/api/v1/users/", user).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let change = json!({"password": password});
        root.patch("/api/v1/users/1", change).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let phrase = json!({"password": "  a phrase with blanks  "});
    root.patch("/api/v1/users/1", phrase).await.expect(StatusCode::OK);
}

async fn audit_log_tells_users_of_one_name_apart(server: Server) {
    let world = server.world().await;
    server
        .service_account(&world.red_admin, "runner", json!({"can_create_ca": true}))
        .await
        .1
        .create_ca("Made", json!({}))
        .await;
    world.red_user.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
    world.red_admin.delete("/api/v1/service-accounts/1").await.expect(StatusCode::NO_CONTENT);
    world.root.delete("/api/v1/users/3").await.expect(StatusCode::NO_CONTENT);
    server.clock.advance_millis(2);
    world.root.create_user("red-user", "user", &world.red, json!({})).await;
    let again = server.sign_in("red-user").await;
    again.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
    let log =
        world.red_admin.get("/api/v1/audit-logs/?action=tokens_invalidate").await.expect(StatusCode::OK);
    let ids: Vec<_> = (log.as_array().unwrap().iter())
        .map(|entry| (&entry["username"], &entry["user_id"], &entry["original_user_id"]))
        .collect();
    let name = json!("red-user");
    assert_eq!(ids, [(&name, &json!(6), &Value::Null), (&name, &Value::Null, &json!(3))]);
    let log = world.red_admin.get("/api/v1/audit-logs/?action=ca_create").await.expect(StatusCode::OK);
    let (id, original) = (&log[0]["service_account_id"], &log[0]["original_service_account_id"]);
    assert_eq!((id, original, &log[0]["original_organization_id"]), (&Value::Null, &json!(1), &Value::Null));
}
