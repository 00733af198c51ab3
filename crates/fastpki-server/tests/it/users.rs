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
