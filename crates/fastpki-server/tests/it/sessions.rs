use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Server, on_both_databases, on_postgresql};

on_both_databases! {
    refresh_token_is_spent_once,
    of_concurrent_refreshes_one_wins,
    refresh_tokens_end_and_need_an_active_user,
    sign_out_kills_both_tokens,
    nobody_signs_out_another,
    invalidation_kills_what_was_issued_before_and_nothing_after,
    who_keeps_refreshing_does_not_outlive_an_invalidation,
    sign_in_with_the_old_password_does_not_outlive_its_change,
}

on_postgresql! {
    refresh_that_waits_for_an_invalidation_fails,
    refresh_that_an_invalidation_waits_for_is_in_vain,
    sign_in_that_waits_for_a_deactivation_fails,
}

async fn pair(server: &Server, name: &str) -> (Client, Value) {
    let token = server.stranger().sign_in(name, PASSWORD).await.expect(StatusCode::OK);
    let client = Client { token: token["access_token"].as_str().map(str::to_owned), ..server.stranger() };
    (client, json!({"refresh_token": token["refresh_token"]}))
}

async fn refresh_token_is_spent_once(server: Server) {
    server.superuser().await;
    let (_, refresh) = pair(&server, "root").await;
    let stranger = server.stranger();
    let next = stranger.post("/api/v1/auth/refresh", refresh.clone()).await.expect(StatusCode::OK);
    let client = Client { token: next["access_token"].as_str().map(str::to_owned), ..server.stranger() };
    client.get("/api/v1/users/me").await.expect(StatusCode::OK);
    stranger.post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    let refresh = json!({"refresh_token": next["refresh_token"]});
    stranger.post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::OK);
    stranger
        .post("/api/v1/auth/refresh", json!({"refresh_token": "unknown"}))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    stranger.post("/api/v1/auth/refresh", json!({})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

async fn of_concurrent_refreshes_one_wins(server: Server) {
    server.superuser().await;
    let (_, refresh) = pair(&server, "root").await;
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let (stranger, refresh) = (server.stranger(), refresh.clone());
            tokio::spawn(async move { stranger.post("/api/v1/auth/refresh", refresh).await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for attempt in attempts {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401, 401, 401, 401, 401]);
}

async fn refresh_tokens_end_and_need_an_active_user(server: Server) {
    server.superuser().await;
    let (_, refresh) = pair(&server, "root").await;
    server.database.script("UPDATE users SET is_active = false").await;
    server.stranger().post("/api/v1/auth/refresh", refresh.clone()).await.expect(StatusCode::UNAUTHORIZED);
    server.database.script("UPDATE users SET is_active = true").await;
    server.clock.advance(1440 * 60);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
}

async fn sign_out_kills_both_tokens(server: Server) {
    let root = server.superuser().await;
    let (client, refresh) = pair(&server, "root").await;
    client.post("/api/v1/auth/logout", refresh.clone()).await.expect(StatusCode::NO_CONTENT);
    client.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
    client.post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    // Another session goes on, and an unknown refresh token is no error.
    root.post("/api/v1/auth/logout", json!({"refresh_token": "unknown"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let log =
        server.sign_in("root").await.get("/api/v1/audit-logs/?action=logout").await.expect(StatusCode::OK);
    assert_eq!((log.as_array().unwrap().len(), &log[0]["username"]), (2, &json!("root")));
    let known = "SELECT DISTINCT CAST(action AS VARCHAR) FROM audit_logs WHERE own_action IS NOT NULL";
    assert_eq!(server.database.peek(known).await, ["LOGIN_SUCCESS"]);
}

async fn nobody_signs_out_another(server: Server) {
    let world = server.world().await;
    let (_, refresh) = pair(&server, "red-user").await;
    world.blue_admin.post("/api/v1/auth/logout", refresh.clone()).await.expect(StatusCode::FORBIDDEN);
    server.stranger().post("/api/v1/auth/logout", refresh.clone()).await.expect(StatusCode::UNAUTHORIZED);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::OK);
}

async fn invalidation_kills_what_was_issued_before_and_nothing_after(server: Server) {
    let world = server.world().await;
    let (client, refresh) = pair(&server, "red-user").await;
    client.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
    for dead in [&client, &world.red_user] {
        dead.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
    }
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    world.red_admin.get("/api/v1/users/me").await.expect(StatusCode::OK);
    // Later within the same second.
    server.clock.advance_millis(2);
    let (client, refresh) = pair(&server, "red-user").await;
    client.get("/api/v1/users/me").await.expect(StatusCode::OK);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::OK);
    let log =
        world.red_admin.get("/api/v1/audit-logs/?action=tokens_invalidate").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 1);
}

async fn who_keeps_refreshing_does_not_outlive_an_invalidation(server: Server) {
    server.superuser().await;
    for _ in 0..10 {
        server.clock.advance_millis(2);
        let (victim, _) = pair(&server, "root").await;
        let (_, stolen) = pair(&server, "root").await;
        let stranger = server.stranger();
        let thief = tokio::spawn(async move {
            let mut refresh = stolen;
            for _ in 0..50 {
                let answer = stranger.post("/api/v1/auth/refresh", refresh.clone()).await;
                if answer.status != StatusCode::OK {
                    break;
                }
                refresh = json!({"refresh_token": answer.json()["refresh_token"]});
            }
            refresh
        });
        tokio::task::yield_now().await;
        victim.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
        let last = thief.await.unwrap();
        server.stranger().post("/api/v1/auth/refresh", last).await.expect(StatusCode::UNAUTHORIZED);
    }
}

/// The change comes after the old password was read and before the session is written.
async fn sign_in_with_the_old_password_does_not_outlive_its_change(server: Server) {
    let world = server.world().await;
    for round in 0..10 {
        let (stranger, root) = (server.stranger(), world.root.clone());
        let (old, new) = (format!("password {round}"), format!("password {}", round + 1));
        root.patch("/api/v1/users/3", json!({"password": old})).await.expect(StatusCode::OK);
        server.clock.advance_millis(2);
        let sign_ins: Vec<_> = (0..8)
            .map(|_| {
                let (stranger, old) = (stranger.clone(), old.clone());
                tokio::spawn(async move { stranger.sign_in("red-user", &old).await })
            })
            .collect();
        root.patch("/api/v1/users/3", json!({"password": new})).await.expect(StatusCode::OK);
        for sign_in in sign_ins {
            let answer = sign_in.await.unwrap();
            if answer.status == StatusCode::OK {
                let refresh = json!({"refresh_token": answer.json()["refresh_token"]});
                stranger.post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
            }
        }
    }
}

async fn refresh_that_waits_for_an_invalidation_fails(server: Server) {
    server.superuser().await;
    for (changes, back) in [
        ("UPDATE users SET tokens_invalidated_at = now(); UPDATE refresh_tokens SET revoked = true", ""),
        ("UPDATE users SET is_active = false", "UPDATE users SET is_active = true"),
    ] {
        let (_, refresh) = pair(&server, "root").await;
        let transaction = server.until_waited_for(changes).await;
        server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
        transaction.await.unwrap();
        server.database.script(back).await;
    }
}

/// The refresh is one in a transaction that has not ended when the invalidation comes.
async fn refresh_that_an_invalidation_waits_for_is_in_vain(server: Server) {
    let world = server.world().await;
    let spend = "PERFORM id FROM users WHERE id = 3 FOR UPDATE;
                 UPDATE refresh_tokens SET revoked = true WHERE user_id = 3;
                 INSERT INTO refresh_tokens (token_hash, user_id, expires_at, revoked, created_at)
                 VALUES (encode(sha256('next'), 'hex'), 3, '2999-01-01', false, now())";
    for round in 0..3 {
        server.clock.advance_millis(2);
        let (client, _) = pair(&server, "red-user").await;
        let transaction = server.until_waited_for(spend).await;
        let answer = match round {
            0 => client.post("/api/v1/auth/invalidate", json!({})).await,
            1 => world.red_admin.patch("/api/v1/users/3", json!({"password": PASSWORD})).await,
            _ => world.root.patch("/api/v1/users/3", json!({"is_active": false})).await,
        };
        assert!(answer.status.is_success(), "{}", answer.text());
        transaction.await.unwrap();
        let next = json!({"refresh_token": "next"});
        server.stranger().post("/api/v1/auth/refresh", next).await.expect(StatusCode::UNAUTHORIZED);
        let left = "SELECT count(*) FROM refresh_tokens WHERE user_id = 3 AND NOT revoked";
        assert_eq!(server.database.peek(left).await, ["0"]);
        server.database.script("DELETE FROM refresh_tokens").await;
    }
}

async fn sign_in_that_waits_for_a_deactivation_fails(server: Server) {
    server.superuser().await;
    for change in ["is_active = false", "hashed_password = 'another', is_active = true"] {
        let transaction = server.until_waited_for(&format!("UPDATE users SET {change}")).await;
        server.stranger().sign_in("root", PASSWORD).await.expect(StatusCode::UNAUTHORIZED);
        transaction.await.unwrap();
        server.database.script("UPDATE users SET is_active = true").await;
    }
}
