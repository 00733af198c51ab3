//! Clocks that were ahead and came back, and clocks that were set back.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, PASSWORD, Server, on_both_databases, on_one_server, openssl};

on_both_databases! {
    crl_from_the_future_is_followed_by_one_with_a_higher_number,
    crl_that_a_wrong_clock_left_a_certificate_off_has_it_again,
    crl_of_a_moment_ahead_is_kept,
    crl_of_a_ca_from_the_future_is_made_once,
    revocation_from_the_future_is_not_after_its_crl,
    invalidation_by_a_clock_that_is_ahead_ends_once_the_clock_is_right,
    invalidation_by_a_clock_that_was_set_back_kills_older_tokens,
    new_password_by_a_clock_that_was_set_back_kills_older_tokens,
    deactivation_by_a_clock_that_was_set_back_kills_older_tokens,
    invalidation_by_the_old_system_counts,
    tokens_of_a_clock_that_was_far_ahead_are_refused,
    signed_out_token_stays_dead_when_a_clock_that_was_ahead_comes_back,
    sign_outs_are_forgotten_in_the_end,
}

on_one_server! {
    sweeps_go_on_after_a_clock_was_ahead,
    tokens_live_on_after_a_clock_was_ahead,
    use_of_a_token_is_noted_after_a_clock_was_ahead,
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

async fn crl(server: &Server) -> String {
    let answer = server.stranger().get("/crl/issuing-1").await;
    assert_eq!(answer.status, StatusCode::OK);
    openssl(&["crl", "-inform", "DER", "-noout", "-text"], &answer.bytes)
}

fn number(crl: &str) -> u64 {
    let mut lines = crl.lines().skip_while(|line| !line.contains("CRL Number"));
    lines.nth(1).unwrap().trim().parse().unwrap()
}

fn this_update(crl: &str) -> String {
    let line = crl.lines().find(|line| line.contains("Last Update")).unwrap();
    openssl_date(line.split_once(": ").unwrap().1)
}

/// `Nov  5 12:00:00 2030 GMT` in an order that compares.
fn openssl_date(text: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let month = MONTHS.iter().position(|month| *month == words[0]).unwrap();
    format!("{}-{month:02}-{:0>2} {}", words[3], words[1], words[2])
}

async fn pair(server: &Server, name: &str) -> (Client, Value) {
    let token = server.stranger().sign_in(name, PASSWORD).await.expect(StatusCode::OK);
    (server.with_token(&token["access_token"]), json!({"refresh_token": token["refresh_token"]}))
}

async fn status(client: &Client) -> StatusCode {
    client.get("/api/v1/users/me").await.status
}

async fn crl_from_the_future_is_followed_by_one_with_a_higher_number(server: Server) {
    server.superuser().await.create_ca("Issuing", json!({})).await;
    let before = crl(&server).await;
    server.clock.advance(YEAR);
    let ahead = crl(&server).await;
    server.clock.advance(-YEAR);
    let after = crl(&server).await;
    assert!(this_update(&ahead) > this_update(&after));
    assert_eq!(this_update(&before), this_update(&after));
    assert!(number(&before) < number(&ahead) && number(&ahead) < number(&after));
    // Set back once more: that one lies ahead now.
    server.clock.advance(-DAY);
    let set_back = crl(&server).await;
    assert!(number(&set_back) > number(&after) && this_update(&set_back) < this_update(&after));
    assert_eq!(number(&crl(&server).await), number(&set_back));
}

async fn crl_that_a_wrong_clock_left_a_certificate_off_has_it_again(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({"valid_days": 30})).await;
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    server.clock.advance(60 * DAY);
    assert!(crl(&server).await.contains("No Revoked Certificates"));
    server.clock.advance(-60 * DAY);
    assert!(crl(&server).await.contains("Serial Number"));
}

async fn crl_of_a_moment_ahead_is_kept(server: Server) {
    server.superuser().await.create_ca("Issuing", json!({})).await;
    let before = crl(&server).await;
    server.clock.advance(-3);
    assert_eq!(number(&crl(&server).await), number(&before));
}

/// It is not taken for one of another CA that had the id before.
async fn crl_of_a_ca_from_the_future_is_made_once(server: Server) {
    server.clock.advance(YEAR);
    server.superuser().await.create_ca("Issuing", json!({})).await;
    server.clock.advance(-YEAR);
    let first = number(&crl(&server).await);
    for _ in 0..4 {
        assert_eq!(number(&crl(&server).await), first);
    }
    let server = server.restart(Options::default()).await;
    server.clock.advance(-60);
    let second = number(&crl(&server).await);
    let server = server.restart(Options::default()).await;
    assert_eq!(number(&crl(&server).await), second);
}

async fn revocation_from_the_future_is_not_after_its_crl(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    server.clock.advance(60 * DAY);
    let root = server.sign_in("root").await;
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    server.clock.advance(-60 * DAY);
    let crl = crl(&server).await;
    let revoked = crl.lines().find(|line| line.contains("Revocation Date")).unwrap();
    assert_eq!(openssl_date(revoked.split_once(": ").unwrap().1), this_update(&crl));
}

async fn invalidation_by_a_clock_that_is_ahead_ends_once_the_clock_is_right(server: Server) {
    let before = server.superuser().await;
    server.clock.advance(HOUR);
    let (ahead, refresh) = pair(&server, "root").await;
    ahead.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(status(&ahead).await, StatusCode::UNAUTHORIZED);
    server.clock.advance(-HOUR);
    // Who signs in now has a token that works, and goes on to work as time passes the invalidation.
    let (after, next) = pair(&server, "root").await;
    assert_eq!(status(&after).await, StatusCode::OK);
    for minutes in [10, 40, 10, 10] {
        server.clock.advance(minutes * 60);
        let (later, _) = pair(&server, "root").await;
        assert_eq!(status(&later).await, StatusCode::OK);
        for dead in [&before, &ahead] {
            assert_eq!(status(dead).await, StatusCode::UNAUTHORIZED);
        }
    }
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    server.stranger().post("/api/v1/auth/refresh", next).await.expect(StatusCode::OK);
}

async fn invalidation_by_a_clock_that_was_set_back_kills_older_tokens(server: Server) {
    for back in [-60, -10 * 60, -HOUR] {
        let older = match server.stranger().sign_in("root", PASSWORD).await.status {
            StatusCode::OK => server.sign_in("root").await,
            _ => server.superuser().await,
        };
        let (_, refresh) = pair(&server, "root").await;
        server.clock.advance(back);
        let (younger, _) = pair(&server, "root").await;
        younger.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
        for dead in [&older, &younger] {
            assert_eq!(status(dead).await, StatusCode::UNAUTHORIZED, "{back}");
        }
        server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
        let (after, _) = pair(&server, "root").await;
        assert_eq!(status(&after).await, StatusCode::OK);
        server.clock.advance(-back);
        for dead in [&older, &younger] {
            assert_eq!(status(dead).await, StatusCode::UNAUTHORIZED, "{back}");
        }
    }
}

async fn new_password_by_a_clock_that_was_set_back_kills_older_tokens(server: Server) {
    let world = server.world().await;
    server.clock.advance(-5 * 60);
    assert_eq!(status(&world.red_user).await, StatusCode::OK);
    let new = json!({"password": "another good password"});
    world.root.patch("/api/v1/users/3", new).await.expect(StatusCode::OK);
    assert_eq!(status(&world.red_user).await, StatusCode::UNAUTHORIZED);
    server.clock.advance(5 * 60);
    assert_eq!(status(&world.red_user).await, StatusCode::UNAUTHORIZED);
    let answer = server.stranger().sign_in("red-user", "another good password").await.expect(StatusCode::OK);
    assert_eq!(status(&server.with_token(&answer["access_token"])).await, StatusCode::OK);
}

async fn deactivation_by_a_clock_that_was_set_back_kills_older_tokens(server: Server) {
    let world = server.world().await;
    server.clock.advance(-5 * 60);
    for is_active in [false, true] {
        world.root.patch("/api/v1/users/3", json!({"is_active": is_active})).await.expect(StatusCode::OK);
        assert_eq!(status(&world.red_user).await, StatusCode::UNAUTHORIZED);
    }
    server.clock.advance(5 * 60);
    assert_eq!(status(&world.red_user).await, StatusCode::UNAUTHORIZED);
}

/// It sets the time alone, by its own clock.
async fn invalidation_by_the_old_system_counts(server: Server) {
    let mut older = vec![server.superuser().await];
    for ahead in [HOUR, -HOUR, -2 * HOUR] {
        let mark = server.engine.now().plus_seconds(ahead).to_string().replace('T', " ").replace('Z', "");
        server.database.script(&format!("UPDATE users SET tokens_invalidated_at = '{mark}'")).await;
        for older in &older {
            assert_eq!(status(older).await, StatusCode::UNAUTHORIZED, "{ahead}");
        }
        let (after, _) = pair(&server, "root").await;
        assert_eq!(status(&after).await, StatusCode::OK, "{ahead}");
        for older in &older {
            assert_eq!(status(older).await, StatusCode::UNAUTHORIZED, "{ahead}");
        }
        older.push(after);
    }
}

async fn tokens_of_a_clock_that_was_far_ahead_are_refused(server: Server) {
    server.superuser().await;
    server.clock.advance(YEAR);
    let (ahead, refresh) = pair(&server, "root").await;
    assert_eq!(status(&ahead).await, StatusCode::OK);
    server.clock.advance(-YEAR);
    assert_eq!(status(&ahead).await, StatusCode::UNAUTHORIZED);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    // As far as clocks of servers differ, they are good.
    server.clock.advance(60);
    let (ahead, refresh) = pair(&server, "root").await;
    server.clock.advance(-60);
    assert_eq!(status(&ahead).await, StatusCode::OK);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::OK);
}

async fn signed_out_token_stays_dead_when_a_clock_that_was_ahead_comes_back(server: Server) {
    server.superuser().await;
    for ahead in [2 * HOUR, YEAR] {
        let (gone, refresh) = pair(&server, "root").await;
        gone.post("/api/v1/auth/logout", refresh).await.expect(StatusCode::NO_CONTENT);
        server.clock.advance(ahead);
        server.engine.sweep_tokens().await.unwrap();
        server.clock.advance(60);
        server.engine.sweep_tokens().await.unwrap();
        server.clock.advance(-ahead);
        assert_eq!(status(&gone).await, StatusCode::UNAUTHORIZED, "{ahead}");
    }
}

async fn sign_outs_are_forgotten_in_the_end(server: Server) {
    server.superuser().await;
    let (gone, refresh) = pair(&server, "root").await;
    gone.post("/api/v1/auth/logout", refresh).await.expect(StatusCode::NO_CONTENT);
    for _ in 0..3 {
        server.clock.advance(HOUR);
        server.engine.sweep_tokens().await.unwrap();
    }
    assert_eq!(server.database.peek("SELECT count(*) FROM blocklisted_tokens").await, ["0"]);
}

async fn sweeps_go_on_after_a_clock_was_ahead(server: Server) {
    server.superuser().await;
    server.clock.advance(YEAR);
    server.engine.sweep_tokens().await.unwrap();
    server.clock.advance(-YEAR);
    pair(&server, "root").await;
    server.clock.advance(2 * DAY);
    assert!(server.engine.sweep_tokens().await.unwrap() > 0);
    // The one that was just done is not done again.
    assert_eq!(server.engine.sweep_tokens().await.unwrap(), 0);
}

async fn tokens_live_on_after_a_clock_was_ahead(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    let expires_at = server.engine.now().plus_seconds(60 * DAY).to_string();
    let made =
        world.red_admin.post("/api/v1/service-accounts/1/tokens", json!({"expires_at": expires_at})).await;
    let runner = server.with_token(&made.expect(StatusCode::CREATED)["token"]);
    let (_, mut refresh) = pair(&server, "root").await;
    for ahead in [2 * HOUR, 200 * DAY, 2 * YEAR] {
        server.clock.advance(ahead);
        server.engine.sweep_tokens().await.unwrap();
        server.clock.advance(-ahead);
        server.engine.sweep_tokens().await.unwrap();
        runner.get("/api/v1/cas/").await.expect(StatusCode::OK);
        let again = server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::OK);
        refresh = json!({"refresh_token": again["refresh_token"]});
    }
}

async fn use_of_a_token_is_noted_after_a_clock_was_ahead(server: Server) {
    let world = server.world().await;
    let (account, client) = server.service_account(&world.red_admin, "runner", json!({})).await;
    let used = async || {
        client.get("/api/v1/cas/").await.expect(StatusCode::OK);
        server.engine.record_token_uses().await.unwrap();
        let tokens = format!("/api/v1/service-accounts/{}/tokens", account["id"]);
        let admin = server.sign_in("red-admin").await;
        let tokens = admin.get(&tokens).await.expect(StatusCode::OK);
        tokens[0]["last_used_at"].as_str().unwrap().to_owned()
    };
    server.clock.advance(YEAR);
    let ahead = used().await;
    server.clock.advance(-YEAR);
    let now = used().await;
    assert!(now < ahead);
    assert_eq!(now, server.engine.now().to_string());
    // By seconds it is left as it is.
    server.clock.advance(-3);
    assert_eq!(used().await, now);
}
