use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Options, PASSWORD, Server, on_both_databases};

on_both_databases! {
    anybody_creates_the_first_user_and_nobody_the_second,
    of_concurrent_first_users_one_wins,
    names_are_not_told_to_strangers,
    admins_create_users_in_their_own_organization,
    admins_create_neither_admins_nor_foreign_users,
    plain_users_create_nobody,
    flags_are_honoured,
    taken_names_and_addresses_are_400,
    unknown_organization_is_400,
    passwords_have_8_characters_to_72_bytes,
    every_problem_of_a_user_is_listed,
    only_what_mail_can_go_to_is_an_email_address,
    open_registration_makes_plain_users,
    superusers_list_users_in_pages,
    users_are_visible_to_themselves_their_admins_and_superusers,
    superusers_change_everything_of_others,
    admins_change_plain_users_of_their_organization_and_nobody_else,
    users_change_their_own_address_and_password_and_no_more,
    nobody_changes_their_own_role_or_activity,
    one_superuser_stays_active_whatever_happens_at_once,
    new_password_and_inactivity_kill_all_tokens,
    what_is_not_given_or_null_stays,
    change_that_changes_nothing_leaves_no_trace,
    impossible_changes_are_400,
    change_of_a_user_who_was_promoted_meanwhile_is_refused,
    deleted_user_leaves_what_they_created_and_their_name,
    only_superusers_delete_and_not_themselves,
    id_of_a_deleted_user_is_never_used_again,
}

fn user(name: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD})
}

async fn anybody_creates_the_first_user_and_nobody_the_second(server: Server) {
    let stranger = server.stranger();
    let mut first = user("first");
    first["role"] = json!("superuser");
    let created = stranger.post("/api/v1/users", first).await.expect(StatusCode::CREATED);
    assert_eq!(
        (&created["role"], &created["is_active"], &created["id"]),
        (&json!("superuser"), &json!(true), &json!(1))
    );
    assert!(created.get("password").is_none() && created.get("hashed_password").is_none());
    stranger.post("/api/v1/users/", user("second")).await.expect(StatusCode::FORBIDDEN);
}

async fn of_concurrent_first_users_one_wins(server: Server) {
    let attempts: Vec<_> = (0..8)
        .map(|number| {
            let stranger = server.stranger();
            let mut new = user(&format!("user{number}"));
            new["role"] = json!("superuser");
            tokio::spawn(async move { stranger.post("/api/v1/users/", new).await.status })
        })
        .collect();
    let mut created = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            StatusCode::CREATED => created += 1,
            status => assert_eq!(status, StatusCode::FORBIDDEN),
        }
    }
    assert_eq!(created, 1);
    assert_eq!(server.database.peek("SELECT count(*) FROM users").await, ["1"]);
}

async fn names_are_not_told_to_strangers(server: Server) {
    let world = server.world().await;
    for name in ["root", "unknown"] {
        server.stranger().post("/api/v1/users/", user(name)).await.expect(StatusCode::FORBIDDEN);
        world.red_user.post("/api/v1/users/", user(name)).await.expect(StatusCode::FORBIDDEN);
    }
}

async fn admins_create_users_in_their_own_organization(server: Server) {
    let world = server.world().await;
    let created = world.red_admin.post("/api/v1/users/", user("new")).await.expect(StatusCode::CREATED);
    assert_eq!(created["organization_id"], world.red);
    assert_eq!(created["role"], "user");
}

async fn admins_create_neither_admins_nor_foreign_users(server: Server) {
    let world = server.world().await;
    for (field, value) in
        [("role", json!("admin")), ("role", json!("superuser")), ("organization_id", world.blue.clone())]
    {
        let mut new = user("new");
        new[field] = value;
        world.red_admin.post("/api/v1/users/", new).await.expect(StatusCode::FORBIDDEN);
    }
}

async fn plain_users_create_nobody(server: Server) {
    let world = server.world().await;
    for client in [&world.red_user, &world.loner] {
        client.post("/api/v1/users/", user("new")).await.expect(StatusCode::FORBIDDEN);
    }
}

async fn flags_are_honoured(server: Server) {
    let world = server.world().await;
    let mut new = user("new");
    new["can_create_cert"] = json!(true);
    let created = world.red_admin.post("/api/v1/users/", new).await.expect(StatusCode::CREATED);
    assert_eq!((&created["can_create_cert"], &created["can_create_ca"]), (&json!(true), &json!(false)));
}

async fn taken_names_and_addresses_are_400(server: Server) {
    let root = server.superuser().await;
    let mut same_name = user("root");
    same_name["email"] = json!("other@example.com");
    root.post("/api/v1/users/", same_name).await.expect(StatusCode::BAD_REQUEST);
    let mut same_address = user("other");
    same_address["email"] = json!("root@example.com");
    root.post("/api/v1/users/", same_address).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(server.database.peek("SELECT count(*) FROM users").await, ["1"]);
}

async fn unknown_organization_is_400(server: Server) {
    let root = server.superuser().await;
    let mut new = user("new");
    new["organization_id"] = json!(99);
    root.post("/api/v1/users/", new).await.expect(StatusCode::BAD_REQUEST);
}

async fn passwords_have_8_characters_to_72_bytes(server: Server) {
    let root = server.superuser().await;
    for (name, password, status) in [
        ("a", "1234567".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        ("b", "12345678".to_owned(), StatusCode::CREATED),
        ("c", "x".repeat(72), StatusCode::CREATED),
        ("d", "x".repeat(73), StatusCode::UNPROCESSABLE_ENTITY),
        ("e", "ü".repeat(37), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let mut new = user(name);
        new["password"] = json!(password);
        root.post("/api/v1/users/", new).await.expect(status);
    }
    server.stranger().sign_in("c", &"x".repeat(72)).await.expect(StatusCode::OK);
}

async fn every_problem_of_a_user_is_listed(server: Server) {
    let body = json!({"username": "", "email": "nonsense", "password": "s3cr3t", "role": "king", "is_active": "perhaps"});
    let answer =
        server.stranger().post("/api/v1/users/", body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> =
        answer["detail"].as_array().unwrap().iter().map(|problem| problem["loc"][1].clone()).collect();
    assert_eq!(fields, ["username", "email", "password", "role", "is_active"]);
    assert!(!answer.to_string().contains("s3cr3t"), "a password is not given back");
}

async fn only_what_mail_can_go_to_is_an_email_address(server: Server) {
    let root = server.superuser().await;
    let (good, bad) = (StatusCode::CREATED, StatusCode::UNPROCESSABLE_ENTITY);
    for (name, email, status) in [
        ("a", "first.last+tag@mail.example.com", good),
        ("b", "o'neil@ex-ample.com", good),
        ("c", "jörg@größe.example", good),
        ("d", "0@0.com*", bad),
        ("e", "a b@example.com", bad),
        ("f", "a@b@example.com", bad),
        ("g", ".a@example.com", bad),
        ("h", "a@example..com", bad),
        ("i", "a@-example.com", bad),
        ("j", "a@localhost", bad),
        ("k", "<a@example.com>", bad),
        // What cannot be seen, and a Cyrillic letter among Latin ones.
        ("l", "a\u{202e}b@example.com", bad),
        ("m", "\u{430}dmin@example.com", bad),
        ("n", "иван@пример.example", good),
        ("o", "ann@x.local", good),
        ("p", "a\u{200b}@example.com", bad),
        ("q", "ann@x.lo\u{200b}cal", bad),
        ("r", "ann@x.\u{ff4c}ocal", bad),
        ("s", "ann@\u{2603}.net", bad),
        ("t", "ann@xn--a.com", bad),
        ("u", &format!("ann@{}.com", "a".repeat(64)), bad),
    ] {
        let mut new = user(name);
        new["email"] = json!(email);
        root.post("/api/v1/users/", new).await.expect(status);
    }
}

async fn open_registration_makes_plain_users(server: Server) {
    let root = server.superuser().await;
    let server = server.restart(Options { open_registration: true, ..Options::default() }).await;
    let stranger = server.stranger();
    let created = stranger.post("/api/v1/users/", user("guest")).await.expect(StatusCode::CREATED);
    assert_eq!((&created["role"], &created["organization_id"]), (&json!("user"), &json!(null)));
    for (field, value) in
        [("role", json!("admin")), ("organization_id", json!(1)), ("can_create_ca", json!(true))]
    {
        let mut new = user("greedy");
        new[field] = value;
        stranger.post("/api/v1/users/", new).await.expect(StatusCode::FORBIDDEN);
    }
    let guest = server.sign_in("guest").await;
    guest.post("/api/v1/users/", user("friend")).await.expect(StatusCode::CREATED);
    drop(root);
}

async fn superusers_list_users_in_pages(server: Server) {
    let world = server.world().await;
    let all = world.root.get("/api/v1/users/").await.expect(StatusCode::OK);
    assert_eq!(all.as_array().unwrap().len(), 5);
    let page = world.root.get("/api/v1/users/?skip=1&limit=2").await.expect(StatusCode::OK);
    assert_eq!(page.as_array().unwrap()[..], all.as_array().unwrap()[1..3]);
    for query in ["limit=0", "limit=1001", "skip=-1", "limit=x"] {
        world.root.get(&format!("/api/v1/users/?{query}")).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    for client in [&world.red_admin, &world.red_user] {
        client.get("/api/v1/users/").await.expect(StatusCode::FORBIDDEN);
    }
}

async fn users_are_visible_to_themselves_their_admins_and_superusers(server: Server) {
    let world = server.world().await;
    let id = |name: &str| {
        format!(
            "/api/v1/users/{}",
            ["root", "red-admin", "red-user", "blue-admin"].iter().position(|n| *n == name).unwrap() + 1
        )
    };
    world.red_user.get(&id("red-user")).await.expect(StatusCode::OK);
    world.red_admin.get(&id("red-user")).await.expect(StatusCode::OK);
    world.root.get(&id("red-user")).await.expect(StatusCode::OK);
    world.red_user.get(&id("red-admin")).await.expect(StatusCode::FORBIDDEN);
    world.red_admin.get(&id("blue-admin")).await.expect(StatusCode::FORBIDDEN);
    world.red_admin.get(&id("root")).await.expect(StatusCode::FORBIDDEN);
    for path in ["/api/v1/users/999", "/api/v1/users/99999999999999999999", "/api/v1/users/-1"] {
        world.root.get(path).await.expect(StatusCode::NOT_FOUND);
    }
    world.root.get("/api/v1/users/one").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

fn path(id: impl std::fmt::Display) -> String {
    format!("/api/v1/users/{id}")
}

async fn superusers_change_everything_of_others(server: Server) {
    let world = server.world().await;
    let change = json!({
        "email": "new@example.com", "role": "admin", "organization_id": world.blue, "can_delete_ca": true,
    });
    let changed = world.root.patch(&path(3), change.clone()).await.expect(StatusCode::OK);
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(changed[field], *value, "{field}");
    }
    assert_eq!(world.root.get(&path(3)).await.expect(StatusCode::OK), changed);
    let log = world.root.get("/api/v1/audit-logs/?action=user_update").await.expect(StatusCode::OK);
    assert_eq!(
        (&log[0]["resource_type"], &log[0]["resource_id"], &log[0]["organization_id"]),
        (&json!("user"), &json!(3), &world.red)
    );
    let detail = log[0]["detail"].as_str().unwrap();
    assert!(detail.contains("role=admin") && detail.contains("can_delete_ca=true"), "{detail}");
}

async fn admins_change_plain_users_of_their_organization_and_nobody_else(server: Server) {
    let world = server.world().await;
    world.root.create_user("red-root", "superuser", &world.red, json!({})).await;
    let flags = json!({"can_create_cert": true, "can_revoke_cert": false});
    let changed = world.red_admin.patch(&path(3), flags).await.expect(StatusCode::OK);
    assert_eq!(changed["can_create_cert"], true);
    world.red_admin.patch(&path(3), json!({"password": "another password"})).await.expect(StatusCode::OK);
    server.stranger().sign_in("red-user", "another password").await.expect(StatusCode::OK);
    // A superuser, also one of the own organization, another organization's admin, somebody of none.
    for id in [1, 6, 4, 5] {
        for change in [
            json!({"password": "taken over!"}),
            json!({"email": "x@example.com"}),
            json!({"can_create_ca": true}),
        ] {
            world.red_admin.patch(&path(id), change).await.expect(StatusCode::FORBIDDEN);
        }
    }
    for change in
        [json!({"role": "superuser"}), json!({"is_active": false}), json!({"organization_id": world.blue})]
    {
        world.red_admin.patch(&path(3), change).await.expect(StatusCode::FORBIDDEN);
    }
    world.root.patch(&path(99), json!({})).await.expect(StatusCode::NOT_FOUND);
}

async fn users_change_their_own_address_and_password_and_no_more(server: Server) {
    let world = server.world().await;
    let change = json!({"email": "me@example.com", "password": "my new password"});
    world.red_user.patch(&path(3), change).await.expect(StatusCode::OK);
    server.clock.advance_millis(2);
    let token = server.stranger().sign_in("red-user", "my new password").await.expect(StatusCode::OK);
    let me = server.with_token(&token["access_token"]);
    for change in [
        json!({"role": "admin"}),
        json!({"can_create_ca": true}),
        json!({"organization_id": world.blue}),
        json!({"is_active": false}),
    ] {
        me.patch(&path(3), change).await.expect(StatusCode::FORBIDDEN);
    }
    for id in [1, 2, 4] {
        me.patch(&path(id), json!({"email": "evil@example.com"})).await.expect(StatusCode::FORBIDDEN);
    }
    // Without an organization nobody administers oneself.
    world.root.create_user("lone-admin", "admin", &Value::Null, json!({})).await;
    let lone = server.sign_in("lone-admin").await;
    lone.patch(&path(6), json!({"can_create_ca": true})).await.expect(StatusCode::FORBIDDEN);
}

async fn nobody_changes_their_own_role_or_activity(server: Server) {
    let world = server.world().await;
    for change in [json!({"role": "user"}), json!({"is_active": false})] {
        world.root.patch(&path(1), change).await.expect(StatusCode::FORBIDDEN);
    }
    world.root.patch(&path(1), json!({"role": "superuser", "is_active": true})).await.expect(StatusCode::OK);
    world.root.patch(&path(1), json!({"organization_id": world.red})).await.expect(StatusCode::OK);
}

async fn one_superuser_stays_active_whatever_happens_at_once(server: Server) {
    let root = server.superuser().await;
    let mut superusers = vec![root.clone()];
    for number in 2..=4 {
        let name = format!("root{number}");
        root.create_user(&name, "superuser", &Value::Null, json!({})).await;
        superusers.push(server.sign_in(&name).await);
    }
    // Everybody demotes, deactivates or deletes everybody else.
    let mut attempts = Vec::new();
    for (by, client) in superusers.iter().enumerate() {
        for of in (1..=4).filter(|of| *of != by + 1) {
            let client = client.clone();
            attempts.push(tokio::spawn(async move {
                match (by + of) % 3 {
                    0 => client.patch(&path(of), json!({"role": "user"})).await,
                    1 => client.patch(&path(of), json!({"is_active": false})).await,
                    _ => client.delete(&path(of)).await,
                }
                .status
                .as_u16()
            }));
        }
    }
    for attempt in attempts {
        let status = attempt.await.unwrap();
        assert!([200, 204, 401, 403, 404, 409].contains(&status), "{status}");
    }
    let left = "SELECT count(*) FROM users WHERE role = 'SUPERUSER' AND is_active";
    assert_ne!(server.database.peek(left).await, ["0"]);
}

async fn new_password_and_inactivity_kill_all_tokens(server: Server) {
    let world = server.world().await;
    for change in [json!({"password": "another password"}), json!({"is_active": false})] {
        world.root.patch(&path(3), json!({"password": PASSWORD})).await.expect(StatusCode::OK);
        server.clock.advance_millis(2);
        let token = server.stranger().sign_in("red-user", PASSWORD).await.expect(StatusCode::OK);
        let client = server.with_token(&token["access_token"]);
        client.get("/api/v1/users/me").await.expect(StatusCode::OK);
        world.root.patch(&path(3), change).await.expect(StatusCode::OK);
        client.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
        let refresh = json!({"refresh_token": token["refresh_token"]});
        server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    }
    // Active again, the old tokens stay dead.
    world.root.patch(&path(3), json!({"is_active": true})).await.expect(StatusCode::OK);
    world.red_user.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
}

async fn what_is_not_given_or_null_stays(server: Server) {
    let world = server.world().await;
    let before = world.root.get(&path(3)).await.expect(StatusCode::OK);
    let change =
        json!({"email": null, "role": null, "organization_id": null, "can_create_ca": null, "unknown": 7});
    assert_eq!(world.root.patch(&path(3), change).await.expect(StatusCode::OK), before);
    server.clock.advance(1);
    let after = world.root.patch(&path(3), json!({"can_create_ca": true})).await.expect(StatusCode::OK);
    for field in ["email", "role", "organization_id", "is_active", "can_create_cert", "created_at"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_ne!(after["updated_at"], before["updated_at"]);
}

async fn change_that_changes_nothing_leaves_no_trace(server: Server) {
    let world = server.world().await;
    let same =
        json!({"email": "red-user@example.com", "role": "user", "is_active": true, "can_create_ca": false});
    world.red_user.patch(&path(3), same).await.expect(StatusCode::OK);
    let log = world.root.get("/api/v1/audit-logs/?action=user_update").await.expect(StatusCode::OK);
    assert_eq!(log, json!([]));
}

async fn impossible_changes_are_400(server: Server) {
    let world = server.world().await;
    for change in [json!({"email": "root@example.com"}), json!({"organization_id": 99})] {
        world.root.patch(&path(3), change).await.expect(StatusCode::BAD_REQUEST);
    }
    let change = json!({"email": "nonsense", "password": "short", "role": "king"});
    let answer = world.root.patch(&path(3), change).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["detail"].as_array().unwrap().len(), 3);
}

/// The right to change a user is checked on what the user was when it was looked at, and again when it is changed.
async fn change_of_a_user_who_was_promoted_meanwhile_is_refused(server: Server) {
    let world = server.world().await;
    let caller = server.engine.authenticate(world.red_admin.token.as_ref().unwrap()).await.unwrap();
    let user = server.engine.any_user(fastpki_types::UserId(3)).await.unwrap();
    let change: fastpki_types::UserUpdate =
        serde_json::from_value(json!({"password": "taken over!"})).unwrap();
    let permit = caller.permit_update_user(user, change).unwrap();
    world.root.patch(&path(3), json!({"role": "superuser"})).await.expect(StatusCode::OK);
    let refused = server.engine.update_user(permit).await;
    assert!(matches!(refused, Err(fastpki_engine::Error::Conflict(_))));
    server.stranger().sign_in("red-user", "taken over!").await.expect(StatusCode::UNAUTHORIZED);
}

async fn deleted_user_leaves_what_they_created_and_their_name(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red", json!({})).await;
    let certificate = world.red_admin.create_certificate(&ca, "www.example.com", json!({})).await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    world.root.delete(&path(2)).await.expect(StatusCode::NO_CONTENT);
    world.root.get(&path(2)).await.expect(StatusCode::NOT_FOUND);
    world.red_admin.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
    server.stranger().sign_in("red-admin", PASSWORD).await.expect(StatusCode::UNAUTHORIZED);
    for (kind, id) in
        [("cas", &ca["id"]), ("certificates", &certificate["id"]), ("service-accounts", &json!(1))]
    {
        let left = world.red_user.get(&format!("/api/v1/{kind}/{id}")).await.expect(StatusCode::OK);
        assert_eq!(
            (&left["created_by_user_id"], &left["organization_id"]),
            (&Value::Null, &world.red),
            "{kind}"
        );
    }
    let log = world.root.get("/api/v1/audit-logs/?action=ca_create").await.expect(StatusCode::OK);
    assert_eq!((&log[0]["user_id"], &log[0]["username"]), (&Value::Null, &json!("red-admin")));
    let kept = "SELECT DISTINCT original_user_id FROM audit_logs WHERE original_user_id IS NOT NULL";
    assert_eq!(server.database.peek(kept).await, ["2"]);
    let log = world.root.get("/api/v1/audit-logs/?action=user_delete").await.expect(StatusCode::OK);
    assert_eq!((&log[0]["resource_id"], &log[0]["organization_id"]), (&json!(2), &world.red));
    let known = "SELECT CAST(action AS VARCHAR) FROM audit_logs WHERE own_action = 'USER_DELETE'";
    assert_eq!(server.database.peek(known).await, ["USER_UPDATE"]);
}

async fn only_superusers_delete_and_not_themselves(server: Server) {
    let world = server.world().await;
    for client in [&world.red_admin, &world.red_user, &world.loner] {
        client.delete(&path(3)).await.expect(StatusCode::FORBIDDEN);
    }
    world.root.delete(&path(1)).await.expect(StatusCode::BAD_REQUEST);
    world.root.delete(&path(99)).await.expect(StatusCode::NOT_FOUND);
}

async fn id_of_a_deleted_user_is_never_used_again(server: Server) {
    let root = server.superuser().await;
    let user = root.create_user("old", "user", &Value::Null, json!({})).await;
    let old = server.stranger().sign_in("old", PASSWORD).await.expect(StatusCode::OK);
    root.delete(&path(&user["id"])).await.expect(StatusCode::NO_CONTENT);
    let server = server.restart(Options::default()).await;
    let root = server.sign_in("root").await;
    let heir = root.create_user("old", "admin", &Value::Null, json!({})).await;
    assert_ne!(heir["id"], user["id"]);
    // Neither the access token nor the refresh token of the first 'old' is the second's.
    server.with_token(&old["access_token"]).get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
    let refresh = json!({"refresh_token": old["refresh_token"]});
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
}
