use fastpki_engine::Clock;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Options, SECRET_KEY, Server, on_both_databases, on_one_server};

on_both_databases! {
    tokens_are_listed_for_a_while_after_their_end_and_then_swept,
    admins_and_superusers_create_service_accounts,
    names_are_unique_within_an_organization,
    accounts_are_listed_by_name_to_their_organization,
    another_organizations_account_is_not_there,
    members_read_and_admins_manage,
    account_is_changed_and_disabled,
    deleted_account_leaves_what_it_had_issued,
    token_is_shown_once_and_kept_as_its_digest,
    useless_tokens_are_one_and_the_same_401,
    revoked_token_dies_at_once,
    accounts_see_neither_users_nor_organizations_nor_audit_nor_accounts,
    accounts_act_under_their_own_name,
    id_of_a_deleted_account_is_never_used_again,
}

on_one_server! {
    use_of_a_token_is_noted_about_once_a_minute,
    digest_under_the_well_known_key_is_taken_once_and_replaced,
}

const ACCOUNTS: &str = "/api/v1/service-accounts/";

async fn admins_and_superusers_create_service_accounts(server: Server) {
    let world = server.world().await;
    let body = json!({"name": "runner", "description": "deploys", "can_create_cert": true});
    let account = world.red_admin.post(ACCOUNTS, body).await.expect(StatusCode::CREATED);
    for (field, expected) in [
        ("id", json!(1)),
        ("name", json!("runner")),
        ("description", json!("deploys")),
        ("organization_id", world.red.clone()),
        ("created_by_user_id", json!(2)),
        ("disabled_at", Value::Null),
        ("can_create_cert", json!(true)),
        ("can_create_ca", json!(false)),
    ] {
        assert_eq!(account[field], expected, "{field}");
    }
    let of_blue = json!({"name": "runner", "organization_id": world.blue});
    let account = world.root.post(ACCOUNTS, of_blue.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(account["organization_id"], world.blue);
    world.root.post(ACCOUNTS, json!({"name": "nobody's"})).await.expect(StatusCode::BAD_REQUEST);
    world
        .root
        .post(ACCOUNTS, json!({"name": "x", "organization_id": 99}))
        .await
        .expect(StatusCode::BAD_REQUEST);
    for client in [&world.red_user, &world.loner, &world.red_admin] {
        client.post(ACCOUNTS, of_blue.clone()).await.expect(StatusCode::FORBIDDEN);
    }
    world.red_user.post(ACCOUNTS, json!({"name": "mine"})).await.expect(StatusCode::FORBIDDEN);
    let log =
        world.red_admin.get("/api/v1/audit-logs/?action=service_account_create").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!((&log[0]["resource_type"], &log[0]["resource_id"]), (&json!("service_account"), &json!(1)));
}

async fn names_are_unique_within_an_organization(server: Server) {
    let world = server.world().await;
    for name in ["one", "two"] {
        world.red_admin.post(ACCOUNTS, json!({"name": name})).await.expect(StatusCode::CREATED);
    }
    world.red_admin.post(ACCOUNTS, json!({"name": "one"})).await.expect(StatusCode::BAD_REQUEST);
    world
        .red_admin
        .patch(&format!("{ACCOUNTS}2"), json!({"name": "one"}))
        .await
        .expect(StatusCode::BAD_REQUEST);
    world.blue_admin.post(ACCOUNTS, json!({"name": "one"})).await.expect(StatusCode::CREATED);
    for name in ["", "  ", "two\nlines"] {
        world.red_admin.post(ACCOUNTS, json!({"name": name})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn accounts_are_listed_by_name_to_their_organization(server: Server) {
    let world = server.world().await;
    for name in ["zebra", "ant"] {
        world.red_admin.post(ACCOUNTS, json!({"name": name})).await.expect(StatusCode::CREATED);
    }
    world.blue_admin.post(ACCOUNTS, json!({"name": "mouse"})).await.expect(StatusCode::CREATED);
    for (client, expected) in [
        (&world.root, vec!["ant", "mouse", "zebra"]),
        (&world.red_admin, vec!["ant", "zebra"]),
        (&world.red_user, vec!["ant", "zebra"]),
        (&world.blue_admin, vec!["mouse"]),
        (&world.loner, vec![]),
    ] {
        let list = client.get("/api/v1/service-accounts").await.expect(StatusCode::OK);
        let names: Vec<_> =
            list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected);
    }
}

async fn another_organizations_account_is_not_there(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    let policy = json!({"max_validity_days": 1});
    for client in [&world.blue_admin, &world.loner] {
        for path in ["1", "1/tokens", "1/policy"] {
            client.get(&format!("{ACCOUNTS}{path}")).await.expect(StatusCode::NOT_FOUND);
        }
        for path in ["1", "1/policy", "1/tokens/1"] {
            client.delete(&format!("{ACCOUNTS}{path}")).await.expect(StatusCode::NOT_FOUND);
        }
        client.patch(&format!("{ACCOUNTS}1"), json!({"name": "mine"})).await.expect(StatusCode::NOT_FOUND);
        client.post(&format!("{ACCOUNTS}1/tokens"), json!({})).await.expect(StatusCode::NOT_FOUND);
        client.put(&format!("{ACCOUNTS}1/policy"), policy.clone()).await.expect(StatusCode::NOT_FOUND);
    }
}

async fn members_read_and_admins_manage(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    let policy = json!({"max_validity_days": 1});
    world.red_admin.get(&format!("{ACCOUNTS}1/policy")).await.expect(StatusCode::NOT_FOUND);
    world.red_admin.put(&format!("{ACCOUNTS}1/policy"), policy.clone()).await.expect(StatusCode::OK);
    for path in ["1", "1/tokens", "1/policy"] {
        world.red_user.get(&format!("{ACCOUNTS}{path}")).await.expect(StatusCode::OK);
    }
    for path in ["1", "1/policy", "1/tokens/1"] {
        world.red_user.delete(&format!("{ACCOUNTS}{path}")).await.expect(StatusCode::FORBIDDEN);
    }
    world
        .red_user
        .patch(&format!("{ACCOUNTS}1"), json!({"name": "mine"}))
        .await
        .expect(StatusCode::FORBIDDEN);
    world.red_user.post(&format!("{ACCOUNTS}1/tokens"), json!({})).await.expect(StatusCode::FORBIDDEN);
    world.red_user.put(&format!("{ACCOUNTS}1/policy"), policy).await.expect(StatusCode::FORBIDDEN);
}

async fn account_is_changed_and_disabled(server: Server) {
    let world = server.world().await;
    let (_, client) =
        server.service_account(&world.red_admin, "runner", json!({"description": "deploys"})).await;
    let path = format!("{ACCOUNTS}1");
    let change = json!({"name": "walker", "can_revoke_cert": true});
    let changed = world.red_admin.patch(&path, change).await.expect(StatusCode::OK);
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["can_revoke_cert"]),
        (&json!("walker"), &json!("deploys"), &json!(true))
    );
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    let disabled = world.red_admin.patch(&path, json!({"disabled": true})).await.expect(StatusCode::OK);
    assert!(disabled["disabled_at"].is_string());
    client.get("/api/v1/cas/").await.expect(StatusCode::UNAUTHORIZED);
    server.clock.advance(60);
    // Since when it is disabled does not move.
    let again =
        world.red_admin.patch(&path, json!({"disabled": true, "name": "w"})).await.expect(StatusCode::OK);
    assert_eq!(again["disabled_at"], disabled["disabled_at"]);
    world.red_admin.patch(&path, json!({"disabled": false})).await.expect(StatusCode::OK);
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    let log =
        world.red_admin.get("/api/v1/audit-logs/?action=service_account_update").await.expect(StatusCode::OK);
    let verbs: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["detail"].as_str().unwrap().split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(verbs, ["Enabled", "Disabled", "Disabled", "Changed"]);
}

async fn deleted_account_leaves_what_it_had_issued(server: Server) {
    let world = server.world().await;
    let flags = json!({"can_create_cert": true, "can_create_ca": true});
    let (_, client) = server.service_account(&world.red_admin, "runner", flags).await;
    let policy = json!({"cn_patterns": ["*"], "allowed_ca_ids": [1], "allowed_certificate_types": ["server"], "max_validity_days": 365});
    world.red_admin.put(&format!("{ACCOUNTS}1/policy"), policy).await.expect(StatusCode::OK);
    let ca = client.create_ca("Runner's", json!({})).await;
    let certificate = client.create_certificate(&ca, "www.example.com", json!({})).await;
    assert_eq!(certificate["created_by_service_account_id"], 1);
    world.red_admin.delete(&format!("{ACCOUNTS}1")).await.expect(StatusCode::NO_CONTENT);
    world.red_admin.get(&format!("{ACCOUNTS}1")).await.expect(StatusCode::NOT_FOUND);
    client.get("/api/v1/cas/").await.expect(StatusCode::UNAUTHORIZED);
    let left = world.red_admin.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    assert_eq!(left["created_by_service_account_id"], Value::Null);
    for table in ["service_account_tokens", "issuance_policies"] {
        assert_eq!(server.database.peek(&format!("SELECT count(*) FROM {table}")).await, ["0"]);
    }
    let log = world.red_admin.get("/api/v1/audit-logs/?action=cert_create").await.expect(StatusCode::OK);
    assert_eq!(
        (&log[0]["service_account_id"], &log[0]["service_account_name"]),
        (&Value::Null, &json!("runner"))
    );
}

async fn token_is_shown_once_and_kept_as_its_digest(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    let tokens = format!("{ACCOUNTS}1/tokens");
    let ends = "2126-01-01T00:00:00.000000Z";
    let made = world
        .red_admin
        .post(&tokens, json!({"name": "ci", "expires_at": ends}))
        .await
        .expect(StatusCode::CREATED);
    let token = made["token"].as_str().unwrap();
    let (public_id, secret) = token.strip_prefix("fpki_sa_").unwrap().split_once('.').unwrap();
    assert_eq!((public_id.len(), secret.len()), (16, 43));
    assert_eq!(
        (&made["public_id"], &made["name"], &made["expires_at"]),
        (&json!(public_id), &json!("ci"), &json!(ends))
    );
    let list = world.red_admin.get(&tokens).await.expect(StatusCode::OK);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(
        (&list[1]["id"], &list[1]["revoked"], list[1].get("token")),
        (&made["id"], &json!(false), None)
    );
    let script = format!(
        "import hmac, hashlib; print(hmac.new(b'{SECRET_KEY}', b'{secret}', hashlib.sha256).hexdigest())"
    );
    let digest = std::process::Command::new("python3").args(["-c", &script]).output().unwrap();
    let kept = format!("SELECT digest FROM service_account_tokens WHERE public_id = '{public_id}'");
    assert_eq!(server.database.peek(&kept).await, [String::from_utf8(digest.stdout).unwrap().trim()]);
    for body in [json!({"expires_at": "2020-01-01T00:00:00Z"})] {
        world.red_admin.post(&tokens, body).await.expect(StatusCode::BAD_REQUEST);
    }
    world
        .red_admin
        .post(&tokens, json!({"expires_at": "soon"}))
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
}

async fn useless_tokens_are_one_and_the_same_401(server: Server) {
    let world = server.world().await;
    let (_, disabled) = server.service_account(&world.red_admin, "disabled", json!({})).await;
    world.red_admin.patch(&format!("{ACCOUNTS}1"), json!({"disabled": true})).await.expect(StatusCode::OK);
    let (_, good) = server.service_account(&world.red_admin, "good", json!({})).await;
    let tokens = format!("{ACCOUNTS}2/tokens");
    let soon = json!({"expires_at": "2126-01-01T00:00:00Z"});
    let expired = world.red_admin.post(&tokens, soon).await.expect(StatusCode::CREATED);
    let sql = format!(
        "UPDATE service_account_tokens SET expires_at = '2020-01-01 00:00:00.000000' WHERE id = {}",
        expired["id"]
    );
    server.database.script(&sql).await;
    let revoked = world.red_admin.post(&tokens, json!({})).await.expect(StatusCode::CREATED);
    world.red_admin.delete(&format!("{tokens}/{}", revoked["id"])).await.expect(StatusCode::NO_CONTENT);
    let token = good.token.clone().unwrap();
    let (public_id, _) = token.split_once('.').unwrap();
    let mut answers = Vec::new();
    for token in [
        disabled.token.as_deref().unwrap(),
        expired["token"].as_str().unwrap(),
        revoked["token"].as_str().unwrap(),
        &format!("{public_id}.AAAA"),
        public_id,
        &format!("fpki_sa_unknown.{}", "A".repeat(43)),
        "fpki_sa_",
        "fpki_sa_.",
    ] {
        let answer = server.with_token(&json!(token)).get("/api/v1/cas/").await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answers.push(answer.expect(StatusCode::UNAUTHORIZED));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    good.get("/api/v1/cas/").await.expect(StatusCode::OK);
}

async fn revoked_token_dies_at_once(server: Server) {
    let world = server.world().await;
    let (_, client) = server.service_account(&world.red_admin, "runner", json!({})).await;
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    let token = format!("{ACCOUNTS}1/tokens/1");
    for _ in 0..2 {
        world.red_admin.delete(&token).await.expect(StatusCode::NO_CONTENT);
    }
    client.get("/api/v1/cas/").await.expect(StatusCode::UNAUTHORIZED);
    client.get("/api/v1/cas/").await.expect(StatusCode::UNAUTHORIZED);
    world.red_admin.delete(&format!("{ACCOUNTS}1/tokens/99")).await.expect(StatusCode::NOT_FOUND);
    let log = world
        .red_admin
        .get("/api/v1/audit-logs/?action=service_account_token_revoke")
        .await
        .expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 1);
}

async fn accounts_see_neither_users_nor_organizations_nor_audit_nor_accounts(server: Server) {
    let world = server.world().await;
    let flags = json!({"can_create_cert": true, "can_create_ca": true, "can_revoke_cert": true, "can_export_private_key": true, "can_delete_ca": true});
    let (_, client) = server.service_account(&world.red_admin, "runner", flags).await;
    for path in [
        "users/",
        "users/me",
        "users/1",
        "organizations/",
        "organizations/1",
        "audit-logs/",
        "service-accounts/",
        "service-accounts/1",
    ] {
        client.get(&format!("/api/v1/{path}")).await.expect(StatusCode::UNAUTHORIZED);
    }
    client
        .post("/api/v1/users/", json!({"username": "x", "email": "x@example.com", "password": "12345678"}))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    client.post("/api/v1/auth/logout", json!({"refresh_token": "x"})).await.expect(StatusCode::UNAUTHORIZED);
}

async fn accounts_act_under_their_own_name(server: Server) {
    let world = server.world().await;
    let (_, client) =
        server.service_account(&world.red_admin, "runner", json!({"can_create_ca": true})).await;
    let ca = client.create_ca("Runner's", json!({})).await;
    assert_eq!((&ca["organization_id"], &ca["created_by_user_id"]), (&world.red, &Value::Null));
    // What it created is its own, without flags; what others created is not.
    client.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    world.red_admin.create_ca("Admin's", json!({})).await;
    client.get("/api/v1/cas/2").await.expect(StatusCode::OK);
    client.get("/api/v1/cas/2/private-key").await.expect(StatusCode::FORBIDDEN);
    world.blue_admin.create_ca("Blue's", json!({})).await;
    client.get("/api/v1/cas/3").await.expect(StatusCode::FORBIDDEN);
    let log = world
        .red_admin
        .get("/api/v1/audit-logs/?service_account_id=1&action=ca_create")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&log[0]["service_account_name"], &log[0]["user_id"], &log[0]["username"]),
        (&json!("runner"), &Value::Null, &Value::Null)
    );
}

async fn id_of_a_deleted_account_is_never_used_again(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "old", json!({})).await;
    world.red_admin.delete(&format!("{ACCOUNTS}1")).await.expect(StatusCode::NO_CONTENT);
    let heir = world.red_admin.post(ACCOUNTS, json!({"name": "old"})).await.expect(StatusCode::CREATED);
    assert_eq!(heir["id"], 2);
}

async fn use_of_a_token_is_noted_about_once_a_minute(server: Server) {
    let world = server.world().await;
    let (_, client) = server.service_account(&world.red_admin, "runner", json!({})).await;
    let last_used = async || {
        server.engine.record_token_uses().await.unwrap();
        world.red_admin.get(&format!("{ACCOUNTS}1/tokens")).await.expect(StatusCode::OK)[0]["last_used_at"]
            .clone()
    };
    assert_eq!(last_used().await, Value::Null);
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    let first = last_used().await;
    assert!(first.is_string());
    server.clock.advance(30);
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    assert_eq!(last_used().await, first);
    server.clock.advance(31);
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    assert_ne!(last_used().await, first);
}

/// FastPKI 0.4 without `SECRET_KEY` digested under a key that everybody knows.
async fn digest_under_the_well_known_key_is_taken_once_and_replaced(server: Server) {
    let world = server.world().await;
    let (_, client) = server.service_account(&world.red_admin, "runner", json!({})).await;
    let token = client.token.clone().unwrap();
    let (_, secret) = token.split_once('.').unwrap();
    let script = format!(
        "import hmac, hashlib; print(hmac.new(b'supersecretkey', b'{secret}', hashlib.sha256).hexdigest())"
    );
    let output = std::process::Command::new("python3").args(["-c", &script]).output().unwrap();
    let old = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let current = server.database.peek("SELECT digest FROM service_account_tokens").await;
    server.database.script(&format!("UPDATE service_account_tokens SET digest = '{old}'")).await;
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    assert_eq!(server.database.peek("SELECT digest FROM service_account_tokens").await, current);
    let server = server.restart(Options::default()).await;
    server.with_token(&json!(token)).get("/api/v1/cas/").await.expect(StatusCode::OK);
}

async fn tokens_are_listed_for_a_while_after_their_end_and_then_swept(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    let tokens = "/api/v1/service-accounts/1/tokens";
    let soon = server.clock.now().plus_seconds(60).to_string();
    for body in
        [json!({"expires_at": soon}), json!({"name": "revoked"}), json!({"name": "of the old system"})]
    {
        world.red_admin.post(tokens, body).await.expect(StatusCode::CREATED);
    }
    world.red_admin.delete(&format!("{tokens}/3")).await.expect(StatusCode::NO_CONTENT);
    server.database.script("UPDATE service_account_tokens SET revoked = true WHERE id = 4").await;
    let ids = "SELECT id FROM service_account_tokens ORDER BY id";
    let days = |count: i64| count * 24 * 3600;
    for (later, left) in [(days(1), &["1", "2", "3", "4"][..]), (days(90), &["1", "4"]), (days(1), &["1"])] {
        for later in [later - 3600, 3600] {
            server.clock.advance(later);
            server.engine.sweep_tokens().await.unwrap();
        }
        assert_eq!(server.database.peek(ids).await, left);
    }
}
