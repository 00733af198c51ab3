use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, REFRESH_TOKEN, Server, on_both_databases};

on_both_databases! {
    admins_and_superusers_create_organizations,
    names_are_unique_and_not_blank,
    superusers_see_all_by_name_and_others_their_own,
    organization_is_shown_to_members_and_its_absence_to_superusers,
    admins_and_superusers_change_an_organization,
    organization_is_deleted_once_it_is_empty,
    members_are_listed_to_members,
    admins_add_only_users_without_an_organization,
    admin_takes_over_nobody_who_owns_something_elsewhere,
    admin_takes_over_nobody_who_owns_something_of_another_organization,
    possessions_of_the_last_moment_count,
    sessions_end_with_the_membership,
    password_of_an_admin_ends_with_the_membership,
    password_of_an_admin_is_no_superusers,
    admin_who_changes_the_password_as_the_user_gains_nothing,
    password_that_is_checked_while_the_user_leaves_is_refused,
    flags_stay_behind_in_the_organization_that_gave_them,
    superusers_add_and_remove_anybody,
    admins_remove_their_own_users_and_no_superusers,
}

async fn admins_and_superusers_create_organizations(server: Server) {
    let world = server.world().await;
    for (client, name) in [(&world.root, "One"), (&world.red_admin, "Two")] {
        let body = json!({"name": name, "description": "line one\nline two"});
        let created = client.post("/api/v1/organizations/", body).await.expect(StatusCode::CREATED);
        assert_eq!((&created["name"], &created["description"]), (&json!(name), &json!("line one\nline two")));
    }
    world
        .red_user
        .post("/api/v1/organizations/", json!({"name": "Three"}))
        .await
        .expect(StatusCode::FORBIDDEN);
    let log = world.root.get("/api/v1/audit-logs/?action=org_create&limit=1").await.expect(StatusCode::OK);
    assert_eq!(
        (&log[0]["resource_type"], &log[0]["username"]),
        (&json!("organization"), &json!("red-admin"))
    );
    assert_eq!(log[0]["organization_id"], log[0]["resource_id"]);
}

async fn names_are_unique_and_not_blank(server: Server) {
    let root = server.superuser().await;
    root.post("/api/v1/organizations/", json!({"name": "Red"})).await.expect(StatusCode::CREATED);
    root.post("/api/v1/organizations", json!({"name": "Red"})).await.expect(StatusCode::BAD_REQUEST);
    for name in ["", "   ", "two\nlines"] {
        root.post("/api/v1/organizations/", json!({"name": name}))
            .await
            .expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn superusers_see_all_by_name_and_others_their_own(server: Server) {
    let world = server.world().await;
    let names = async |client: &Client| {
        let list = client.get("/api/v1/organizations/").await.expect(StatusCode::OK);
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&world.root).await, ["Blue", "Red"]);
    assert_eq!(names(&world.red_user).await, ["Red"]);
    assert_eq!(names(&world.loner).await, Vec::<String>::new());
}

async fn organization_is_shown_to_members_and_its_absence_to_superusers(server: Server) {
    let world = server.world().await;
    let red = format!("/api/v1/organizations/{}", world.red);
    for client in [&world.root, &world.red_admin, &world.red_user] {
        assert_eq!(client.get(&red).await.expect(StatusCode::OK)["name"], "Red");
    }
    for client in [&world.blue_admin, &world.loner] {
        client.get(&red).await.expect(StatusCode::FORBIDDEN);
        client.get("/api/v1/organizations/99").await.expect(StatusCode::FORBIDDEN);
    }
    world.root.get("/api/v1/organizations/99").await.expect(StatusCode::NOT_FOUND);
}

async fn admins_and_superusers_change_an_organization(server: Server) {
    let world = server.world().await;
    let red = format!("/api/v1/organizations/{}", world.red);
    let changed = world.red_admin.put(&red, json!({"name": "Crimson"})).await.expect(StatusCode::OK);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Crimson"), &Value::Null));
    let changed = world.root.put(&red, json!({"description": "of the sea"})).await.expect(StatusCode::OK);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Crimson"), &json!("of the sea")));
    world.root.put(&red, json!({"name": "Blue"})).await.expect(StatusCode::BAD_REQUEST);
    world.root.put(&red, json!({"name": " "})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    for client in [&world.red_user, &world.blue_admin, &world.loner] {
        client.put(&red, json!({"name": "Taken"})).await.expect(StatusCode::FORBIDDEN);
    }
    world.root.put("/api/v1/organizations/99", json!({})).await.expect(StatusCode::NOT_FOUND);
    let log = world.red_admin.get("/api/v1/audit-logs/?action=org_update").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 2);
    assert_eq!((&log[1]["resource_id"], &log[1]["username"]), (&world.red, &json!("red-admin")));
}

async fn organization_is_deleted_once_it_is_empty(server: Server) {
    let root = server.superuser().await;
    let organization =
        root.post("/api/v1/organizations/", json!({"name": "Brief"})).await.expect(StatusCode::CREATED);
    let id = &organization["id"];
    let path = format!("/api/v1/organizations/{id}");
    let user = root.create_user("boss", "admin", id, json!({})).await;
    let boss = server.sign_in("boss").await;
    let ca = boss.create_ca("Brief CA", json!({})).await;
    let (account, _) = server.service_account(&boss, "runner", json!({})).await;
    let refused = async |what: &str| {
        let answer = root.delete(&path).await.expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains(what), "{answer}");
    };
    refused("users").await;
    boss.delete(&path).await.expect(StatusCode::FORBIDDEN);
    root.delete(&format!("{path}/users/{}", user["id"])).await.expect(StatusCode::OK);
    refused("CAs").await;
    root.delete(&format!("/api/v1/cas/{}", ca["id"])).await.expect(StatusCode::NO_CONTENT);
    refused("service accounts").await;
    root.delete(&format!("/api/v1/service-accounts/{}", account["id"])).await.expect(StatusCode::NO_CONTENT);
    root.delete(&path).await.expect(StatusCode::NO_CONTENT);
    root.delete(&path).await.expect(StatusCode::NOT_FOUND);
    // Its log is kept, and whose it was.
    let log = root.get("/api/v1/audit-logs/?action=ca_create").await.expect(StatusCode::OK);
    assert_eq!((&log[0]["organization_id"], &log[0]["username"]), (&Value::Null, &json!("boss")));
    let of_it = format!("SELECT count(*) FROM audit_logs WHERE original_organization_id = {id}");
    assert_eq!(server.database.peek(&of_it).await, ["10"]);
    let next =
        root.post("/api/v1/organizations/", json!({"name": "Brief"})).await.expect(StatusCode::CREATED);
    assert_ne!(next["id"], *id);
}

async fn members_are_listed_to_members(server: Server) {
    let world = server.world().await;
    let path = format!("/api/v1/organizations/{}/users", world.red);
    for client in [&world.root, &world.red_admin, &world.red_user] {
        let users = client.get(&path).await.expect(StatusCode::OK);
        let names: Vec<_> = users.as_array().unwrap().iter().map(|user| user["username"].clone()).collect();
        assert_eq!(names, ["red-admin", "red-user"]);
    }
    for client in [&world.blue_admin, &world.loner] {
        client.get(&path).await.expect(StatusCode::FORBIDDEN);
    }
    world.root.get("/api/v1/organizations/99/users").await.expect(StatusCode::NOT_FOUND);
}

async fn admins_add_only_users_without_an_organization(server: Server) {
    let world = server.world().await;
    world.root.create_user("lone-root", "superuser", &Value::Null, json!({})).await;
    let add = |user: u32| format!("/api/v1/organizations/{}/users/{user}", world.red);
    // Another organization's admin, superusers.
    for user in [4, 1, 6] {
        world.red_admin.post(&add(user), json!({})).await.expect(StatusCode::FORBIDDEN);
    }
    for client in [&world.red_user, &world.blue_admin, &world.loner] {
        client.post(&add(5), json!({})).await.expect(StatusCode::FORBIDDEN);
    }
    let added = world.red_admin.post(&add(5), json!({})).await.expect(StatusCode::OK);
    assert_eq!(added["organization_id"], world.red);
    world.red_admin.post(&add(5), json!({})).await.expect(StatusCode::OK);
    world.red_admin.post(&add(99), json!({})).await.expect(StatusCode::NOT_FOUND);
    let log = world.red_admin.get("/api/v1/audit-logs/?action=org_add_user").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!((&log[0]["resource_type"], &log[0]["resource_id"]), (&json!("organization"), &world.red));
}

async fn admin_takes_over_nobody_who_owns_something_elsewhere(server: Server) {
    let world = server.world().await;
    // Once a superuser without organization, as its CA is.
    world.root.create_user("owner", "superuser", &Value::Null, json!({})).await;
    server.sign_in("owner").await.create_ca("Lone", json!({})).await;
    world.root.patch("/api/v1/users/6", json!({"role": "user"})).await.expect(StatusCode::OK);
    let add = format!("/api/v1/organizations/{}/users/6", world.red);
    let refused = async |answer: Answer| {
        let detail = answer.expect(StatusCode::FORBIDDEN)["detail"].clone();
        assert!(detail.as_str().unwrap().contains("ask a superuser"), "{detail}");
    };
    let password = || json!({"password": "known to the admin"});
    // Add, set the password, remove, sign in, export: the first step fails.
    refused(world.red_admin.post(&add, json!({})).await).await;
    world.red_admin.patch("/api/v1/users/6", password()).await.expect(StatusCode::FORBIDDEN);
    // A superuser may add them. Then neither password nor e-mail address is the admin's to set,
    world.root.post(&add, json!({})).await.expect(StatusCode::OK);
    refused(world.red_admin.patch("/api/v1/users/6", password()).await).await;
    refused(world.red_admin.patch("/api/v1/users/6", json!({"email": "admin@example.com"})).await).await;
    // but flags are, and so are removals; what was theirs before is theirs again, and nobody else's.
    world.red_admin.patch("/api/v1/users/6", json!({"can_create_cert": true})).await.expect(StatusCode::OK);
    world.red_admin.delete(&add).await.expect(StatusCode::OK);
    refused(world.red_admin.post(&add, json!({})).await).await;
    let owner = server.sign_in("owner").await;
    owner.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    world.red_admin.get("/api/v1/cas/1").await.expect(StatusCode::FORBIDDEN);
    // Users do with their own account what they like, and superusers with all.
    owner.patch("/api/v1/users/6", json!({"email": "own@example.com"})).await.expect(StatusCode::OK);
    world.root.patch("/api/v1/users/6", password()).await.expect(StatusCode::OK);
}

async fn admin_takes_over_nobody_who_owns_something_of_another_organization(server: Server) {
    let world = server.world().await;
    world.root.create_ca("None", json!({})).await;
    world.blue_admin.create_ca("Blue", json!({})).await;
    // Who was in Blue and is in no organization now, or was moved to Red by a superuser.
    let add = |organization: &Value| format!("/api/v1/organizations/{organization}/users/4");
    world.root.delete(&add(&world.blue)).await.expect(StatusCode::OK);
    world.red_admin.post(&add(&world.red), json!({})).await.expect(StatusCode::FORBIDDEN);
    world.root.post(&add(&world.red), json!({})).await.expect(StatusCode::OK);
    let password = || json!({"password": "known to the admin"});
    world.red_admin.patch("/api/v1/users/4", password()).await.expect(StatusCode::FORBIDDEN);
    // A certificate counts like a CA: one of no organization, and one of another.
    for (who, ca) in [("red-user", 1), ("loner", 2)] {
        let id = if who == "loner" { 5 } else { 3 };
        world
            .root
            .patch(&format!("/api/v1/users/{id}"), json!({"role": "superuser"}))
            .await
            .expect(StatusCode::OK);
        let name = format!("{who}.example.com");
        server.sign_in(who).await.create_certificate(&json!({"id": ca}), &name, json!({})).await;
        world
            .root
            .patch(&format!("/api/v1/users/{id}"), json!({"role": "user"}))
            .await
            .expect(StatusCode::OK);
    }
    world.red_admin.patch("/api/v1/users/3", password()).await.expect(StatusCode::FORBIDDEN);
    let add = format!("/api/v1/organizations/{}/users/5", world.red);
    world.red_admin.post(&add, json!({})).await.expect(StatusCode::FORBIDDEN);
    // Their own organization's admin finds all of it at home.
    let add = format!("/api/v1/organizations/{}/users/5", world.blue);
    world.root.create_user("blue-boss", "admin", &world.blue, json!({})).await;
    let boss = server.sign_in("blue-boss").await;
    boss.post(&add, json!({})).await.expect(StatusCode::OK);
    boss.patch("/api/v1/users/5", password()).await.expect(StatusCode::OK);
}

/// What the user comes to own is looked at where the admin's change is written.
async fn possessions_of_the_last_moment_count(server: Server) {
    let world = server.world().await;
    let admin = server.caller(&world.red_admin).await;
    let red = fastpki_types::OrganizationId(1);
    let user = async |id: i32| server.engine.any_user(fastpki_types::UserId(id)).await.unwrap();
    let add = admin.permit_add_member(red, user(5).await).unwrap();
    let change = fastpki_types::UserUpdate { email: Some("x@example.com".into()), ..Default::default() };
    let update = admin.permit_update_user(user(3).await, change).unwrap();
    world.root.create_ca("None", json!({})).await;
    let give = async |id: i32| {
        server
            .database
            .script(&format!("UPDATE certificate_authorities SET created_by_user_id = {id}"))
            .await;
    };
    give(3).await;
    let refused = server.engine.update_user(update).await;
    assert!(matches!(refused, Err(fastpki_engine::Error::Forbidden(_))), "{refused:?}");
    give(5).await;
    let refused = server.engine.add_member(add).await;
    assert!(matches!(refused, Err(fastpki_engine::Error::Forbidden(_))), "{refused:?}");
}

/// A user and the tokens that they have.
async fn tokens(server: &Server, name: &str, password: &str) -> (Client, Value) {
    let tokens = server.stranger().sign_in(name, password).await.expect(StatusCode::OK);
    (server.with_token(&tokens["access_token"]), json!({"refresh_token": tokens["refresh_token"]}))
}

async fn sessions_end_with_the_membership(server: Server) {
    let world = server.world().await;
    let of = |organization: &Value| format!("/api/v1/organizations/{organization}/users/3");
    let ended = async |(client, refresh): (Client, Value)| {
        client.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
        server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    };
    let session = async || tokens(&server, "red-user", PASSWORD).await;
    let kept = session().await;
    world.red_admin.delete(&of(&world.red)).await.expect(StatusCode::OK);
    ended(kept).await;
    // To come into an organization ends nothing.
    let kept = session().await;
    world.red_admin.post(&of(&world.red), json!({})).await.expect(StatusCode::OK);
    kept.0.get("/api/v1/users/me").await.expect(StatusCode::OK);
    world.root.post(&of(&world.blue), json!({})).await.expect(StatusCode::OK);
    ended(kept).await;
    let kept = session().await;
    let back = json!({"organization_id": world.red});
    world.root.patch("/api/v1/users/3", back).await.expect(StatusCode::OK);
    ended(kept).await;
    // Nor does a move to where one is.
    let kept = session().await;
    world.root.post(&of(&world.red), json!({})).await.expect(StatusCode::OK);
    kept.0.get("/api/v1/users/me").await.expect(StatusCode::OK);
}

const KNOWN: &str = "known to the admin";

async fn password_of_an_admin_ends_with_the_membership(server: Server) {
    let world = server.world().await;
    let of =
        |organization: &Value, user: &Value| format!("/api/v1/organizations/{organization}/users/{user}");
    let stranger = server.stranger();
    // Set at the creation, and later.
    let made = world.red_admin.create_user("made", "user", &world.red, json!({"password": KNOWN})).await;
    world.red_admin.post(&of(&world.red, &json!(5)), json!({})).await.expect(StatusCode::OK);
    world.red_admin.patch("/api/v1/users/5", json!({"password": KNOWN})).await.expect(StatusCode::OK);
    for (name, id) in [("made", made["id"].clone()), ("loner", json!(5))] {
        let itself = format!("/api/v1/users/{id}");
        tokens(&server, name, KNOWN).await;
        world.red_admin.delete(&of(&world.red, &id)).await.expect(StatusCode::OK);
        let refused = stranger.sign_in(name, KNOWN).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(refused, stranger.sign_in(name, "wrong password").await.expect(StatusCode::UNAUTHORIZED));
        world.root.post(&of(&world.blue, &id), json!({})).await.expect(StatusCode::OK);
        stranger.sign_in(name, KNOWN).await.expect(StatusCode::UNAUTHORIZED);
        // Where the admin has a say, it is good again.
        world.root.patch(&itself, json!({"organization_id": world.red})).await.expect(StatusCode::OK);
        tokens(&server, name, KNOWN).await;
        // The admin of where they are, or a superuser, gives them another.
        world.root.post(&of(&world.blue, &id), json!({})).await.expect(StatusCode::OK);
        world
            .blue_admin
            .patch(&itself, json!({"password": "of the blue admin"}))
            .await
            .expect(StatusCode::OK);
        tokens(&server, name, "of the blue admin").await;
        world.root.patch(&itself, json!({"organization_id": world.red})).await.expect(StatusCode::OK);
        stranger.sign_in(name, "of the blue admin").await.expect(StatusCode::UNAUTHORIZED);
        world.root.patch(&itself, json!({"password": PASSWORD})).await.expect(StatusCode::OK);
        tokens(&server, name, PASSWORD).await;
        world.root.post(&of(&world.blue, &id), json!({})).await.expect(StatusCode::OK);
        let (own, _) = tokens(&server, name, PASSWORD).await;
        // What they choose themselves then goes everywhere with them.
        own.patch(&itself, json!({"password": "their very own"})).await.expect(StatusCode::OK);
        world.root.post(&of(&world.red, &id), json!({})).await.expect(StatusCode::OK);
        tokens(&server, name, "their very own").await;
    }
}

async fn password_of_an_admin_is_no_superusers(server: Server) {
    let world = server.world().await;
    world.red_admin.patch("/api/v1/users/3", json!({"password": KNOWN})).await.expect(StatusCode::OK);
    let (kept, refresh) = tokens(&server, "red-user", KNOWN).await;
    world.root.patch("/api/v1/users/3", json!({"role": "admin"})).await.expect(StatusCode::OK);
    kept.get("/api/v1/users/me").await.expect(StatusCode::OK);
    world.root.patch("/api/v1/users/3", json!({"role": "superuser"})).await.expect(StatusCode::OK);
    kept.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    server.stranger().sign_in("red-user", KNOWN).await.expect(StatusCode::UNAUTHORIZED);
    world.root.patch("/api/v1/users/3", json!({"password": PASSWORD})).await.expect(StatusCode::OK);
    server.sign_in("red-user").await.get("/api/v1/users/").await.expect(StatusCode::OK);
}

async fn admin_who_changes_the_password_as_the_user_gains_nothing(server: Server) {
    let world = server.world().await;
    world.red_admin.patch("/api/v1/users/3", json!({"password": KNOWN})).await.expect(StatusCode::OK);
    let (as_user, _) = tokens(&server, "red-user", KNOWN).await;
    as_user.patch("/api/v1/users/3", json!({"password": "another of theirs"})).await.expect(StatusCode::OK);
    tokens(&server, "red-user", "another of theirs").await;
    world.root.patch("/api/v1/users/3", json!({"organization_id": world.blue})).await.expect(StatusCode::OK);
    server.stranger().sign_in("red-user", "another of theirs").await.expect(StatusCode::UNAUTHORIZED);
}

/// The engine looks before the password is checked, the store again where the session is written.
async fn password_that_is_checked_while_the_user_leaves_is_refused(server: Server) {
    let world = server.world().await;
    world.red_admin.patch("/api/v1/users/3", json!({"password": KNOWN})).await.expect(StatusCode::OK);
    let stranger = server.stranger();
    let sign_in = async move { stranger.sign_in("red-user", KNOWN).await };
    let of = format!("/api/v1/organizations/{}/users/3", world.red);
    let answer = server.gate.meanwhile(REFRESH_TOKEN, sign_in, world.red_admin.delete(&of)).await;
    answer.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(
        server.database.peek("SELECT count(*) FROM refresh_tokens WHERE user_id = 3 AND NOT revoked").await,
        ["0"]
    );
}

async fn flags_stay_behind_in_the_organization_that_gave_them(server: Server) {
    let world = server.world().await;
    let flags = json!({"can_export_private_key": true, "can_delete_ca": true});
    world.red_admin.patch("/api/v1/users/3", flags).await.expect(StatusCode::OK);
    let of = |organization: &Value| format!("/api/v1/organizations/{organization}/users/3");
    world.red_admin.delete(&of(&world.red)).await.expect(StatusCode::OK);
    let added = world.blue_admin.post(&of(&world.blue), json!({})).await.expect(StatusCode::OK);
    for flag in
        ["can_create_ca", "can_create_cert", "can_revoke_cert", "can_export_private_key", "can_delete_ca"]
    {
        assert_eq!(added[flag], false, "{flag}");
    }
}

async fn superusers_add_and_remove_anybody(server: Server) {
    let world = server.world().await;
    let of = |organization: &Value, user: u32| format!("/api/v1/organizations/{organization}/users/{user}");
    let moved = world.root.post(&of(&world.blue, 2), json!({})).await.expect(StatusCode::OK);
    assert_eq!(moved["organization_id"], world.blue);
    world.root.delete(&of(&world.red, 2)).await.expect(StatusCode::BAD_REQUEST);
    let removed = world.root.delete(&of(&world.blue, 2)).await.expect(StatusCode::OK);
    assert_eq!(removed["organization_id"], Value::Null);
    world.root.delete(&of(&world.blue, 2)).await.expect(StatusCode::BAD_REQUEST);
    world.root.post(&of(&json!(99), 2), json!({})).await.expect(StatusCode::NOT_FOUND);
    world.root.delete(&of(&world.red, 99)).await.expect(StatusCode::NOT_FOUND);
    let log = world.root.get("/api/v1/audit-logs/?action=org_remove_user").await.expect(StatusCode::OK);
    assert_eq!((&log[0]["resource_id"], &log[0]["organization_id"]), (&world.blue, &world.blue));
}

async fn admins_remove_their_own_users_and_no_superusers(server: Server) {
    let world = server.world().await;
    world.root.create_user("red-root", "superuser", &world.red, json!({})).await;
    let of = |organization: &Value, user: u32| format!("/api/v1/organizations/{organization}/users/{user}");
    world.red_admin.delete(&of(&world.red, 3)).await.expect(StatusCode::OK);
    for (organization, user) in [(&world.red, 6), (&world.red, 3), (&world.red, 4), (&world.blue, 4)] {
        world.red_admin.delete(&of(organization, user)).await.expect(StatusCode::FORBIDDEN);
    }
    let removed = server.sign_in("red-user").await;
    removed.delete(&of(&world.red, 2)).await.expect(StatusCode::FORBIDDEN);
    // Who was removed sees nothing of it any more.
    removed.get(&format!("/api/v1/organizations/{}", world.red)).await.expect(StatusCode::FORBIDDEN);
}
