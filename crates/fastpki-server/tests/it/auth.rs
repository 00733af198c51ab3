use fastpki_engine::Clock;
use fastpki_server::settings::RateLimit;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, PASSWORD, Server, on_both_databases, on_one_server};

on_one_server! {
    too_many_sign_ins_are_429,
    forwarded_addresses_count_only_behind_trusted_proxies,
}

on_both_databases! {
    sign_in_gives_a_token_that_works,
    wrong_name_wrong_password_and_inactive_user_are_one_answer,
    sign_ins_are_audited,
    requests_without_a_good_token_are_401,
    access_token_ends,
    token_of_another_user_with_the_same_id_is_refused,
    tokens_that_have_ended_are_swept,
    spent_refresh_tokens_are_swept_and_refused_all_the_same,
    form_problems_are_listed,
    every_answer_carries_the_security_headers,
    cors_is_for_listed_origins,
}

async fn sign_in_gives_a_token_that_works(server: Server) {
    let root = server.superuser().await;
    let answer = server.stranger().sign_in("root", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["refresh_token"].as_str().unwrap().len(), 64);
    let me = root.get("/api/v1/users/me").await.expect(StatusCode::OK);
    assert_eq!((&me["username"], &me["role"]), (&json!("root"), &json!("superuser")));
}

async fn wrong_name_wrong_password_and_inactive_user_are_one_answer(server: Server) {
    let root = server.superuser().await;
    root.create_user("asleep", "user", &json!(null), json!({"is_active": false})).await;
    let stranger = server.stranger();
    let mut answers = Vec::new();
    for (name, password) in
        [("nobody", PASSWORD), ("root", "wrong"), ("asleep", PASSWORD), ("ROOT", PASSWORD)]
    {
        let answer = stranger.sign_in(name, password).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answers.push(answer.expect(StatusCode::UNAUTHORIZED));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

async fn sign_ins_are_audited(server: Server) {
    let root = server.superuser().await;
    server.stranger().sign_in("nobody", "wrong").await.expect(StatusCode::UNAUTHORIZED);
    let log = root.get("/api/v1/audit-logs/").await.expect(StatusCode::OK);
    assert_eq!((&log[0]["action"], &log[0]["username"]), (&json!("login_failure"), &json!("nobody")));
    assert_eq!(log[0]["user_id"], json!(null));
    assert_eq!((&log[1]["action"], &log[1]["username"]), (&json!("login_success"), &json!("root")));
}

async fn requests_without_a_good_token_are_401(server: Server) {
    server.superuser().await;
    let unsigned =
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290IiwiaWQiOjEsInJvbGUiOiJzdXBlcnVzZXIiLCJleHAiOjk5OTk5OTk5OTl9.";
    let long = "x".repeat(10_000);
    for token in [None, Some(""), Some("nonsense"), Some("a.b.c"), Some(unsigned), Some(long.as_str())] {
        let client = Client { token: token.map(str::to_owned), ..server.stranger() };
        for path in ["/api/v1/users/me", "/api/v1/cas/", "/api/v1/certificates/", "/api/v1/audit-logs/"] {
            let answer = client.get(path).await;
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            answer.expect(StatusCode::UNAUTHORIZED);
        }
    }
    let stranger = server.stranger();
    let dress = |request: reqwest::RequestBuilder| request.basic_auth("root", Some(PASSWORD));
    stranger.send(reqwest::Method::GET, "/api/v1/users/me", dress).await.expect(StatusCode::UNAUTHORIZED);
}

async fn access_token_ends(server: Server) {
    let root = server.superuser().await;
    server.clock.advance(15 * 60 - 1);
    root.get("/api/v1/users/me").await.expect(StatusCode::OK);
    server.clock.advance(1);
    root.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
}

async fn token_of_another_user_with_the_same_id_is_refused(server: Server) {
    server.superuser().await;
    let role = fastpki_types::UserRole::Superuser;
    let token = server.engine.access_token(fastpki_types::UserId(1), "predecessor", role, 0).unwrap();
    let client = Client { token: Some(token), ..server.stranger() };
    client.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
}

async fn tokens_that_have_ended_are_swept(server: Server) {
    server.superuser().await;
    server.clock.advance(1440 * 60 + 1);
    server.sign_in("root").await;
    // Nothing is removed because of one look at the clock.
    assert_eq!(server.engine.sweep_tokens().await.unwrap(), 0);
    server.clock.advance(3600);
    assert_eq!(server.engine.sweep_tokens().await.unwrap(), 1);
    assert_eq!(server.database.peek("SELECT count(*) FROM refresh_tokens").await, ["1"]);
}

async fn spent_refresh_tokens_are_swept_and_refused_all_the_same(server: Server) {
    server.superuser().await;
    let stranger = server.stranger();
    let pair = stranger.sign_in("root", PASSWORD).await.expect(StatusCode::OK);
    let refresh =
        async |token: &Value| stranger.post("/api/v1/auth/refresh", json!({"refresh_token": token})).await;
    // More than one page of them.
    let mut last = pair["refresh_token"].clone();
    for _ in 0..3 {
        last = refresh(&last).await.expect(StatusCode::OK)["refresh_token"].clone();
    }
    let more = "INSERT INTO refresh_tokens (id, token_hash, user_id, expires_at, revoked, created_at)
                WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 1200)
                SELECT 1000 + n, 'hash ' || n, 1, '2999-01-01 00:00:00', true, '2026-01-01 00:00:00' FROM g";
    server.database.script(more).await;
    // The server sweeps when it starts, which may be any time until now.
    server.clock.advance(3600);
    assert!(server.engine.sweep_tokens().await.unwrap() >= 1200);
    assert_eq!(
        server.database.peek("SELECT count(*) FROM refresh_tokens").await,
        ["2"],
        "the two that are good"
    );
    refresh(&pair["refresh_token"]).await.expect(StatusCode::UNAUTHORIZED);
    refresh(&last).await.expect(StatusCode::OK);
}

async fn form_problems_are_listed(server: Server) {
    let form = [("grant_type", "implicit")];
    let send = |request: reqwest::RequestBuilder| request.form(&form);
    let answer = server.stranger().send(reqwest::Method::POST, "/api/v1/auth/token", send).await;
    let problems = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let places: Vec<_> =
        problems["detail"].as_array().unwrap().iter().map(|problem| problem["loc"].clone()).collect();
    assert_eq!(
        places,
        [json!(["body", "grant_type"]), json!(["body", "username"]), json!(["body", "password"])]
    );
}

async fn too_many_sign_ins_are_429(server: Server) {
    server.superuser().await;
    let limit = Some(RateLimit { count: 5, window_seconds: 60 });
    let server = server.restart(Options { rate_limit: limit, ..Options::default() }).await;
    // The window is the minute of the clock: begin with a fresh one.
    server.clock.advance(60 - server.clock.now().as_seconds() % 60);
    for _ in 0..5 {
        server.stranger().sign_in("root", "wrong").await.expect(StatusCode::UNAUTHORIZED);
    }
    let answer = server.stranger().sign_in("root", PASSWORD).await;
    assert!((1..=60).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    answer.expect(StatusCode::TOO_MANY_REQUESTS);
    server.clock.advance(60);
    server.stranger().sign_in("root", PASSWORD).await.expect(StatusCode::OK);
}

async fn forwarded_addresses_count_only_behind_trusted_proxies(server: Server) {
    server.superuser().await;
    let limit = Some(RateLimit { count: 1, window_seconds: 60 });
    let from = async |server: &Server, address: &'static str| {
        let form = [("username", "root"), ("password", "wrong")];
        let dress = |r: reqwest::RequestBuilder| r.form(&form).header("x-forwarded-for", address);
        server.stranger().send(reqwest::Method::POST, "/api/v1/auth/token", dress).await.status
    };
    let server = server.restart(Options { rate_limit: limit, ..Options::default() }).await;
    assert_eq!(from(&server, "192.0.2.1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(from(&server, "192.0.2.2").await, StatusCode::TOO_MANY_REQUESTS);
    let trusted_proxies = vec!["127.0.0.0/8", "10.0.0.0/8"];
    let server = server.restart(Options { rate_limit: limit, trusted_proxies, ..Options::default() }).await;
    assert_eq!(from(&server, "192.0.2.1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(from(&server, "192.0.2.2").await, StatusCode::UNAUTHORIZED);
    // What the client claims itself stands left of the last untrusted address.
    assert_eq!(from(&server, "203.0.113.9, 192.0.2.2, 10.1.2.3").await, StatusCode::TOO_MANY_REQUESTS);
}

async fn every_answer_carries_the_security_headers(server: Server) {
    for path in ["/", "/nowhere", "/api/v1/users/me", "/healthz"] {
        let answer = server.stranger().get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "strict-origin-when-cross-origin");
        assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-request-id").len(), 16);
    }
    let dress = |request: reqwest::RequestBuilder| request.header("x-request-id", "my-own.id_7");
    let answer = server.stranger().send(reqwest::Method::GET, "/", dress).await;
    assert_eq!(answer.header("x-request-id"), "my-own.id_7");
}

async fn cors_is_for_listed_origins(server: Server) {
    let cors_origins = vec!["https://console.example.com"];
    let server = server.restart(Options { cors_origins, ..Options::default() }).await;
    let ask = async |origin: &'static str| {
        let dress = |r: reqwest::RequestBuilder| {
            r.header("origin", origin)
                .header("access-control-request-method", "PATCH")
                .header("access-control-request-headers", "authorization")
        };
        server.stranger().send(reqwest::Method::OPTIONS, "/api/v1/users/me", dress).await
    };
    let listed = ask("https://console.example.com").await;
    assert_eq!(listed.header("access-control-allow-origin"), "https://console.example.com");
    assert_eq!(listed.header("access-control-allow-credentials"), "true");
    assert_eq!(listed.header("access-control-allow-headers"), "authorization");
    assert!(ask("https://evil.example.com").await.headers.get("access-control-allow-origin").is_none());

    let server = server.restart(Options { cors_origins: vec!["*"], ..Options::default() }).await;
    let dress = |r: reqwest::RequestBuilder| r.header("origin", "https://anything.example");
    let answer = server.stranger().send(reqwest::Method::GET, "/", dress).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.headers.get("access-control-allow-credentials").is_none());
}
