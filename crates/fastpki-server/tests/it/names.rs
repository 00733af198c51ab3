//! What a name looks like is what it is; names that are there already stay as they are.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Options, PASSWORD, Server, on_both_databases};

on_both_databases! {
    names_that_deceive_are_refused_everywhere,
    names_are_trimmed_and_composed,
    nobody_is_called_like_this_program,
    lookalike_of_a_taken_username_is_refused,
    lookalike_of_an_old_username_is_refused,
    of_two_lookalikes_at_once_one_is_created,
    things_are_called_as_people_write,
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
    for name in ["fastpki admin", "FastPKI  Serve", "fastpki", "fastpkl admin", "fastpk1"] {
        let user = json!({"username": name, "email": "new@example.com", "password": PASSWORD});
        world.root.post("/api/v1/users/", user).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let account = world.red_admin.post("/api/v1/service-accounts/", json!({"name": name})).await;
        account.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    world.root.post("/api/v1/organizations/", json!({"name": "FastPKI"})).await.expect(StatusCode::CREATED);
}

async fn lookalike_of_a_taken_username_is_refused(server: Server) {
    let root = server.superuser().await;
    let mut number = 0;
    let mut create = async |name: &str| {
        number += 1;
        let user = json!({"username": name, "email": format!("{number}@example.com"), "password": PASSWORD});
        root.post("/api/v1/users/", user).await
    };
    // All Cyrillic and all Latin, small letters and capitals, blanks, all Cyrillic and all Greek: whichever was first.
    for (taken, alike) in [
        ("coco", vec!["\u{441}\u{43e}\u{441}\u{43e}", "Coco", "COCO", "c0c0"]),
        ("\u{430}\u{440}\u{435}", vec!["ape", "APE"]),
        ("J\u{fc}rgen", vec!["j\u{fc}rgen"]),
        ("bill x", vec!["bi11 x", "BILL X", "bill  x", "blll x"]),
        ("\u{422}\u{415}\u{422}", vec!["\u{3a4}\u{395}\u{3a4}", "TET", "\u{442}\u{435}\u{442}"]),
    ] {
        create(taken).await.expect(StatusCode::CREATED);
        for name in alike {
            let detail = create(name).await.expect(StatusCode::BAD_REQUEST)["detail"].clone();
            assert!(detail.as_str().unwrap().contains(&format!("looks like '{taken}'")), "{name}: {detail}");
        }
    }
    for name in ["coco2", "Jurgen", "bill-x", "\u{441}\u{43e}\u{43a}"] {
        create(name).await.expect(StatusCode::CREATED);
    }
}

/// Users of before this was looked at, and whom FastPKI 0.4 created.
async fn lookalike_of_an_old_username_is_refused(server: Server) {
    let root = server.superuser().await;
    root.create_user("old", "user", &Value::Null, json!({})).await;
    let sql = "UPDATE users SET username = 'Old Name', name_skeleton = NULL, small_name_skeleton = NULL WHERE id = 2";
    server.database.script(sql).await;
    let server = server.restart(Options::default()).await;
    let user = json!({"username": "o1d name", "email": "new@example.com", "password": PASSWORD});
    let detail = server.sign_in("root").await.post("/api/v1/users/", user).await;
    let detail = detail.expect(StatusCode::BAD_REQUEST)["detail"].clone();
    assert!(detail.as_str().unwrap().contains("looks like 'Old Name'"), "{detail}");
    server.sign_in("Old Name").await;
}

async fn of_two_lookalikes_at_once_one_is_created(server: Server) {
    let root = server.superuser().await;
    for round in 0..4 {
        let create = |name: String| {
            let root = root.clone();
            let user =
                json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
            tokio::spawn(async move { root.post("/api/v1/users/", user).await.status })
        };
        let attempts = [create(format!("both{round}x")), create(format!("Both{round}x"))];
        let mut answers = Vec::new();
        for attempt in attempts {
            answers.push(attempt.await.unwrap());
        }
        answers.sort();
        assert_eq!(answers, [StatusCode::CREATED, StatusCode::BAD_REQUEST]);
    }
}

async fn things_are_called_as_people_write(server: Server) {
    let world = server.world().await;
    for name in ["Иван-CA", "株式会社ＮＴＴ", "علی\u{200c}رضا", "50µm H₂O", "ᏣᎳᎩ"] {
        let made = world.root.post("/api/v1/organizations/", json!({"name": name})).await;
        assert_eq!(made.expect(StatusCode::CREATED)["name"], name);
        assert_eq!(world.red_admin.create_ca(name, json!({})).await["name"], name);
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
