//! Bodies: the right is asked before they are read, and those that anybody may send are small.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    harness::{Client, Server, on_both_databases, on_one_server},
    raw::{Raw, head},
};

on_both_databases! {
    callers_without_the_right_are_refused_before_a_body_is_read,
    refused_import_gets_its_answer_after_all_of_it_was_sent,
    bodies_that_anybody_may_send_are_small,
    bodies_of_very_many_values_are_refused,
}

on_one_server! {
    user_who_sends_imports_keeps_nobody_else_from_it,
    lists_of_one_user_leave_the_database_to_others,
}

async fn callers_without_the_right_are_refused_before_a_body_is_read(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red", json!({})).await;
    world.red_admin.create_certificate(&ca, "www.example.com", json!({})).await;
    let account = json!({"name": "ci"});
    world.red_admin.post("/api/v1/service-accounts/", account).await.expect(StatusCode::CREATED);
    let red = format!("/organizations/{}", world.red);
    for (method, path) in [
        ("POST", "/cas/import"),
        ("POST", "/cas/"),
        ("PATCH", "/cas/1"),
        ("POST", "/certificates/?ca_id=1"),
        ("POST", "/certificates/1/revoke"),
        ("POST", "/certificates/1/renew"),
        ("POST", "/users/"),
        ("PATCH", "/users/1"),
        ("POST", "/organizations/"),
        ("PUT", &red),
        ("POST", "/service-accounts/"),
        ("PATCH", "/service-accounts/1"),
        ("POST", "/service-accounts/1/tokens"),
        ("PUT", "/service-accounts/1/policy"),
    ] {
        // The body does not come at all.
        let request = head(&world.red_user, method, &format!("/api/v1{path}"), 10_000);
        let status = Raw::connect(&server).send(request).status();
        assert_eq!(status, 403, "{method} {path}");
    }
    let stranger = head(&server.stranger(), "POST", "/api/v1/users/", 10_000);
    assert_eq!(Raw::connect(&server).send(stranger).status(), 403);
}

async fn refused_import_gets_its_answer_after_all_of_it_was_sent(server: Server) {
    let world = server.world().await;
    let send = |client: Client| async move {
        let body = vec![b' '; 30 * 1024 * 1024];
        client.send(Method::POST, "/api/v1/cas/import", |request| request.body(body)).await.status
    };
    for _ in 0..3 {
        assert_eq!(send(world.red_user.clone()).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(send(world.red_admin.clone()).await, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn bodies_that_anybody_may_send_are_small(server: Server) {
    for path in ["auth/token", "auth/refresh", "users/"] {
        let path = format!("/api/v1/{path}");
        let request = head(&server.stranger(), "POST", &path, 17 * 1024);
        assert_eq!(Raw::connect(&server).send(request).status(), 413, "{path}");
        let body = format!("{{\"x\":\"{}\"}}", "x".repeat(17 * 1024));
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        assert_eq!(Raw::connect(&server).send(chunked).status(), 413, "{path}, in chunks");
    }
    // The longest name and password that may be, as forms write them.
    let (name, password) = ("😀".repeat(255), "😀".repeat(1024));
    server.superuser().await;
    server.stranger().sign_in(&name, &password).await.expect(StatusCode::UNAUTHORIZED);
}

async fn bodies_of_very_many_values_are_refused(server: Server) {
    let root = server.superuser().await;
    for (path, item, count) in [
        ("/api/v1/cas/import", "0", 3_000_000),
        ("/api/v1/cas/import", "{\"x\":0}", 500_000),
        ("/api/v1/cas/", "0", 11_000),
    ] {
        let body = format!("{{\"certificates\":[{}]}}", vec![item; count].join(","));
        let answer = root.send(Method::POST, path, |request| request.body(body)).await;
        let answer = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer["detail"][0]["type"], "too_long", "{path} {item}: {answer}");
    }
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
}

async fn user_who_sends_imports_keeps_nobody_else_from_it(server: Server) {
    let world = server.world().await;
    let request = head(&world.red_admin, "POST", "/api/v1/cas/import", 1000);
    // One is being sent: its body does not come.
    let mut withheld = Raw::connect(&server);
    withheld.send(&request);
    let mut refusal = String::new();
    for _ in 0..10 {
        let mut client = Raw::connect(&server);
        client.send(&request);
        if client.is_answered_within(Duration::from_secs(1)) {
            refusal = client.head();
            break;
        }
        // It was there first.
        withheld = client;
    }
    assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("retry-after: "), "{refusal}");
    // Others import, and whatever else the user does goes on.
    let other = world.blue_admin.post("/api/v1/cas/import", json!({})).await;
    other.expect(StatusCode::UNPROCESSABLE_ENTITY);
    world.red_admin.get("/api/v1/cas/").await.expect(StatusCode::OK);
    world.red_admin.create_ca("Root", json!({})).await;
    // Once the body is there, the user is served again.
    withheld.send(" ".repeat(1000));
    assert_eq!(withheld.status(), 422);
    world.red_admin.post("/api/v1/cas/import", json!({})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

async fn lists_of_one_user_leave_the_database_to_others(server: Server) {
    if server.database.file().is_some() {
        // There, sign-in reads by key, in place: no list can keep it waiting. The engine's own tests ask the turns.
        return;
    }
    let root = server.superuser().await;
    let lock = server.database.clone();
    let locked = tokio::spawn(async move {
        lock.script("BEGIN; LOCK TABLE certificate_authorities; SELECT pg_sleep(50)").await;
    });
    let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'certificate_authorities'::regclass";
    while server.database.peek(held).await != ["1"] {
        tokio::task::yield_now().await;
    }
    // More than there are connections to the database, and none of them can be answered.
    let lists: Vec<_> = (0..40)
        .map(|_| {
            let root = root.clone();
            tokio::spawn(async move { root.get("/api/v1/cas/").await.status })
        })
        .collect();
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'certificate_authorities'::regclass";
    while server.database.peek(waiting).await == ["0"] {
        tokio::task::yield_now().await;
    }
    for _ in 0..5 {
        server.sign_in("root").await;
    }
    assert_eq!(server.database.peek(held).await, ["1"], "it was locked all the time");
    assert!(lists.iter().all(|list| !list.is_finished()));
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)' AND pid <> pg_backend_pid() AND datname = current_database()";
    server.database.peek(end).await;
    assert!(locked.await.is_err());
    for list in lists {
        assert_eq!(list.await.unwrap(), StatusCode::OK);
    }
}
