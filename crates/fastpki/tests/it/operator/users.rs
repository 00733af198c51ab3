//! `fastpki admin`.

use fastpki_testing::{Database, on_both_databases};
use reqwest::StatusCode;
use serde_json::Value;

use super::operate;
use crate::program::{Client, Ran, Server, Site};

on_both_databases! {
    first_user_is_made_without_a_server,
    user_is_taken_by_the_rules_of_the_api,
    user_is_made_while_a_server_runs,
    reset_password_ends_sessions_and_lets_in_with_the_new_one,
    reset_password_activates_where_it_is_told_to,
}

async fn first_user_is_made_without_a_server(database: Database) {
    let site = Site::of(database);
    let ran = create(&site, "alice", "superuser", &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, "created superuser 1 'alice'\n");
    let server = site.serve(&[]);
    assert!(sign_in(&server, "alice", "correct horse").await.is_some());
    let stranger = reqwest::Client::new().post(format!("{}/api/v1/users/", server.base_url));
    let body =
        serde_json::json!({"username": "eve", "email": "eve@example.com", "password": "correct horse"});
    let refused = stranger.json(&body).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let audit =
        site.database.peek("SELECT username FROM audit_logs WHERE detail = 'Created user ''alice'''").await;
    assert_eq!(audit, ["fastpki admin"]);
}

async fn user_is_taken_by_the_rules_of_the_api(database: Database) {
    let site = Site::of(database);
    let arguments = ["admin", "create-user", "--username", "", "--email", "nobody", "--role", "admin"];
    let ran = operate(&site, &[&arguments[..], &["--password-stdin"]].concat(), &[], "short\n");
    assert_eq!(ran.code, 1, "{ran:?}");
    for problem in ["username: should not be blank", "email: should be", "password: should have at least 8"] {
        assert!(ran.stderr.contains(problem), "{ran:?}");
    }
    let ran = create(&site, "alice", "user", &["--organization", "7"]);
    assert!(ran.code == 1 && ran.stderr.contains("there is no organization 7"), "{ran:?}");
    assert_eq!(create(&site, "alice", "user", &[]).code, 0);
    let ran = create(&site, "alice", "user", &[]);
    assert!(ran.code == 1 && ran.stderr.contains(" is taken"), "{ran:?}");
    let arguments = ["admin", "create-user", "--username", "b", "--email", "b@example.com", "--role", "user"];
    let ran = operate(&site, &arguments, &[], "correct horse\n");
    assert!(ran.code == 1 && ran.stderr.contains("say --password-stdin"), "{ran:?}");
    let ran = operate(&site, &[&arguments[..], &["--password-stdin"]].concat(), &[], "correct horse\nx\n");
    assert!(ran.code == 1 && ran.stderr.contains("more than one line"), "{ran:?}");
    assert_eq!(site.database.peek("SELECT count(*) FROM users").await, ["1"]);
}

async fn user_is_made_while_a_server_runs(database: Database) {
    let site = Site::of(database);
    let server = site.serve(&[]);
    let client = Client::first(&server.base_url).await;
    let ran = create(&site, "bob", "admin", &["--output", "json"]);
    let made = ran.json();
    let shown = client.get(&format!("/users/{}", made["id"])).await;
    assert_eq!((&shown["username"], &shown["role"]), (&made["username"], &Value::from("admin")));
    assert!(sign_in(&server, "bob", "correct horse").await.is_some());
}

async fn reset_password_ends_sessions_and_lets_in_with_the_new_one(database: Database) {
    let site = Site::of(database);
    assert_eq!(create(&site, "alice", "superuser", &[]).code, 0);
    let server = site.serve(&[]);
    let token = sign_in(&server, "alice", "correct horse").await.expect("a session");
    assert_eq!(me(&server, &token).await, StatusCode::OK);
    let ran = reset(&site, &["alice"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("all of their sessions have ended"), "{ran:?}");
    assert_eq!(me(&server, &token).await, StatusCode::UNAUTHORIZED);
    assert!(sign_in(&server, "alice", "correct horse").await.is_none());
    assert!(sign_in(&server, "alice", "battery staple").await.is_some());
    let sql = "SELECT username FROM audit_logs WHERE detail = 'Changed user ''alice'': password'";
    assert_eq!(site.database.peek(sql).await, ["fastpki admin"]);
    let ran = reset(&site, &["nobody"]);
    assert!(ran.code == 1 && ran.stderr.contains("there is no user 'nobody'"), "{ran:?}");
}

async fn reset_password_activates_where_it_is_told_to(database: Database) {
    let site = Site::of(database);
    assert_eq!(create(&site, "alice", "superuser", &[]).code, 0);
    site.database.script("UPDATE users SET is_active = FALSE").await;
    let ran = reset(&site, &["alice"]);
    assert!(ran.code == 0 && ran.stdout.contains("--activate"), "{ran:?}");
    let server = site.serve(&[]);
    assert!(sign_in(&server, "alice", "battery staple").await.is_none());
    assert_eq!(reset(&site, &["alice", "--activate"]).code, 0);
    assert!(sign_in(&server, "alice", "battery staple").await.is_some());
}

/// Creates a user whose password is the usual one.
pub(super) fn create(site: &Site, name: &str, role: &str, more: &[&str]) -> Ran {
    let email = format!("{name}@example.com");
    let arguments = ["admin", "create-user", "--username", name, "--email", &email, "--role", role];
    operate(site, &[&arguments[..], &["--password-stdin"], more].concat(), &[], "correct horse\n")
}

fn reset(site: &Site, arguments: &[&str]) -> Ran {
    let arguments = [&["admin", "reset-password", "--password-stdin"], arguments].concat();
    operate(site, &arguments, &[], "battery staple")
}

async fn sign_in(server: &Server, username: &str, password: &str) -> Option<String> {
    let form = [("username", username), ("password", password)];
    let url = format!("{}/api/v1/auth/token", server.base_url);
    let answer = reqwest::Client::new().post(url).form(&form).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    Some(body["access_token"].as_str()?.to_owned())
}

async fn me(server: &Server, token: &str) -> StatusCode {
    let url = format!("{}/api/v1/users/me", server.base_url);
    reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer").status()
}
