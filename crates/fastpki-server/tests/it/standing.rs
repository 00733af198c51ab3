//! Rights are those of the moment at which something is done, not of the request's beginning.

use fastpki_engine::{CreateCa, DeleteCa, Engine, Error, ExportKey, Issue, Revoke};
use fastpki_types::{
    CaId, CaUpdate, CertificateId, OrganizationId, ServiceAccountId, ServiceAccountTokenId, UserCreate,
    UserId, UserUpdate,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Client, P256, PUBLIC_ID, SERIAL, Server, World, new_csr, on_both_databases, on_one_server,
    on_postgresql, openssl,
};

on_both_databases! {
    deactivated_admin_makes_no_service_account_token,
    admin_who_signs_out_or_changes_the_password_makes_no_token,
    demoted_or_moved_admin_creates_no_ca,
    disabled_account_has_no_csr_signed,
    account_that_loses_its_token_or_its_flag_gets_no_certificate,
    account_whose_policy_changes_gets_no_certificate,
    certificate_is_not_issued_by_a_ca_that_moved,
    certificate_is_not_issued_by_a_ca_that_stopped,
    ca_is_not_created_under_a_parent_that_moved,
}

on_one_server! {
    no_change_outlives_its_actors_standing,
    long_list_ends_with_the_right_to_it,
    no_change_outlives_its_actors_rights,
    nothing_is_done_to_what_changed_meanwhile,
}

const TOKENS: &str = "/api/v1/service-accounts/1/tokens";

async fn count(server: &Server, table: &str) -> String {
    server.database.peek(&format!("SELECT count(*) FROM {table}")).await.remove(0)
}

fn post(client: &Client, path: &'static str, body: Value) -> impl Future<Output = Answer> + Send + 'static {
    let client = client.clone();
    async move { client.post(path, body).await }
}

async fn deactivated_admin_makes_no_service_account_token(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    let deactivate = world.root.patch("/api/v1/users/2", json!({"is_active": false}));
    let request = post(&world.red_admin, TOKENS, json!({}));
    let answer = server.gate.meanwhile(PUBLIC_ID, request, deactivate).await;
    let detail = answer.expect(StatusCode::UNAUTHORIZED)["detail"].clone();
    assert!(detail.as_str().unwrap().contains("nothing was done"), "{detail}");
    assert_eq!(count(&server, "service_account_tokens").await, "1");
    let log = "SELECT count(*) FROM audit_logs WHERE action = 'SERVICE_ACCOUNT_TOKEN_CREATE'";
    assert_eq!(server.database.peek(log).await, ["1"]);
}

async fn admin_who_signs_out_or_changes_the_password_makes_no_token(server: Server) {
    let world = server.world().await;
    server.service_account(&world.red_admin, "runner", json!({})).await;
    for (path, body) in
        [("/api/v1/auth/logout", json!({"refresh_token": "unknown"})), ("/api/v1/auth/invalidate", json!({}))]
    {
        server.clock.advance_millis(2);
        let admin = server.sign_in("red-admin").await;
        let request = post(&admin, TOKENS, json!({}));
        let answer = server.gate.meanwhile(PUBLIC_ID, request, admin.post(path, body)).await;
        answer.expect(StatusCode::UNAUTHORIZED);
    }
    server.clock.advance_millis(2);
    let admin = server.sign_in("red-admin").await;
    let request = post(&admin, TOKENS, json!({}));
    let change = world.root.patch("/api/v1/users/2", json!({"password": "another password"}));
    server.gate.meanwhile(PUBLIC_ID, request, change).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(count(&server, "service_account_tokens").await, "1");
}

async fn demoted_or_moved_admin_creates_no_ca(server: Server) {
    let world = server.world().await;
    let body = json!({"name": "Mine", "subject_dn": "CN=Mine", "key_type": "ec"});
    for (change, refusal) in [
        (json!({"role": "user"}), StatusCode::FORBIDDEN),
        (json!({"role": "admin", "organization_id": world.blue}), StatusCode::UNAUTHORIZED),
    ] {
        let change = world.root.patch("/api/v1/users/2", change);
        let request = post(&world.red_admin, "/api/v1/cas/", body.clone());
        server.gate.meanwhile(SERIAL, request, change).await.expect(refusal);
        world.root.patch("/api/v1/users/2", json!({"role": "admin"})).await.expect(StatusCode::OK);
    }
    assert_eq!(count(&server, "certificate_authorities").await, "0");
}

/// A service account that may have `*.svc.example.com` issued as servers under CA 1.
async fn runner(server: &Server) -> (World, Client) {
    let world = server.world().await;
    world.red_admin.create_ca("Red", json!({})).await;
    let (_, runner) =
        server.service_account(&world.red_admin, "runner", json!({"can_create_cert": true})).await;
    world.red_admin.put(POLICY, rules("*.svc.example.com")).await.expect(StatusCode::OK);
    (world, runner)
}

const POLICY: &str = "/api/v1/service-accounts/1/policy";

fn rules(pattern: &str) -> Value {
    json!({
        "cn_patterns": [pattern],
        "allowed_ca_ids": [1],
        "allowed_certificate_types": ["server"],
        "max_validity_days": 365,
    })
}

/// With an RSA key, which takes its time.
fn issue(client: &Client) -> impl Future<Output = Answer> + Send + 'static {
    let body = json!({"common_name": "a.svc.example.com", "subject_dn": "CN=a.svc.example.com",
                      "certificate_type": "server", "key_type": "rsa", "key_size": 2048});
    post(client, "/api/v1/certificates/?ca_id=1", body)
}

fn sign_csr(client: &Client) -> impl Future<Output = Answer> + Send + 'static {
    let csr = new_csr(&P256, "/CN=a.svc.example.com", &[]);
    post(
        client,
        "/api/v1/certificates/sign-csr",
        json!({"csr": csr, "ca_id": 1, "certificate_type": "server"}),
    )
}

async fn disabled_account_has_no_csr_signed(server: Server) {
    let (world, runner) = runner(&server).await;
    let disable = || world.red_admin.patch("/api/v1/service-accounts/1", json!({"disabled": true}));
    server.gate.meanwhile(SERIAL, sign_csr(&runner), disable()).await.expect(StatusCode::UNAUTHORIZED);
    let enable = json!({"disabled": false});
    world.red_admin.patch("/api/v1/service-accounts/1", enable).await.expect(StatusCode::OK);
    server.gate.meanwhile(SERIAL, issue(&runner), disable()).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(count(&server, "certificates").await, "0");
}

async fn account_that_loses_its_token_or_its_flag_gets_no_certificate(server: Server) {
    let (world, runner) = runner(&server).await;
    let stop = world.red_admin.patch("/api/v1/service-accounts/1", json!({"can_create_cert": false}));
    server.gate.meanwhile(SERIAL, sign_csr(&runner), stop).await.expect(StatusCode::FORBIDDEN);
    let flag = json!({"can_create_cert": true});
    world.red_admin.patch("/api/v1/service-accounts/1", flag).await.expect(StatusCode::OK);
    let revoke = world.red_admin.delete("/api/v1/service-accounts/1/tokens/1");
    server.gate.meanwhile(SERIAL, sign_csr(&runner), revoke).await.expect(StatusCode::UNAUTHORIZED);
    let token = world.red_admin.post(TOKENS, json!({})).await.expect(StatusCode::CREATED);
    let again = server.with_token(&token["token"]);
    let delete = world.red_admin.delete("/api/v1/service-accounts/1");
    server.gate.meanwhile(SERIAL, sign_csr(&again), delete).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(count(&server, "certificates").await, "0");
}

async fn account_whose_policy_changes_gets_no_certificate(server: Server) {
    let (world, runner) = runner(&server).await;
    let narrow = world.red_admin.put(POLICY, rules("b.svc.example.com"));
    server.gate.meanwhile(SERIAL, issue(&runner), narrow).await.expect(StatusCode::CONFLICT);
    world.red_admin.put(POLICY, rules("*.svc.example.com")).await.expect(StatusCode::OK);
    let remove = world.red_admin.delete(POLICY);
    server.gate.meanwhile(SERIAL, sign_csr(&runner), remove).await.expect(StatusCode::CONFLICT);
    assert_eq!(count(&server, "certificates").await, "0");
    world.red_admin.put(POLICY, rules("*.svc.example.com")).await.expect(StatusCode::OK);
    let same = world.red_admin.put(POLICY, rules("*.svc.example.com"));
    server.gate.meanwhile(SERIAL, sign_csr(&runner), same).await.expect(StatusCode::CREATED);
}

async fn certificate_is_not_issued_by_a_ca_that_moved(server: Server) {
    let (world, runner) = runner(&server).await;
    let to =
        |organization: &Value| world.root.patch("/api/v1/cas/1", json!({"organization_id": organization}));
    for client in [&runner, &world.red_admin, &world.root] {
        let answer = server.gate.meanwhile(SERIAL, issue(client), to(&world.blue)).await;
        answer.expect(StatusCode::CONFLICT);
        to(&world.red).await.expect(StatusCode::OK);
    }
    assert_eq!(count(&server, "certificates").await, "0");
    let certificate =
        world.red_admin.create_certificate(&json!({"id": 1}), "www.example.com", json!({})).await;
    let renewal = post(&world.red_admin, "/api/v1/certificates/1/renew", json!({}));
    server.gate.meanwhile(SERIAL, renewal, to(&world.blue)).await.expect(StatusCode::CONFLICT);
    assert_eq!((&certificate["id"], count(&server, "certificates").await.as_str()), (&json!(1), "1"));
}

async fn certificate_is_not_issued_by_a_ca_that_stopped(server: Server) {
    let (world, runner) = runner(&server).await;
    // While the child is made, leaves are issued no more.
    let child = json!({"name": "Child", "subject_dn": "CN=Child", "key_type": "ec", "parent_ca_id": 1});
    let stop = world.red_admin.post("/api/v1/cas/", child);
    server.gate.meanwhile(SERIAL, sign_csr(&runner), stop).await.expect(StatusCode::CONFLICT);
    let request = post(
        &world.red_admin,
        "/api/v1/certificates/?ca_id=2",
        json!({"common_name": "www.example.com", "subject_dn": "CN=www.example.com",
               "certificate_type": "server", "key_type": "ec"}),
    );
    let serial = "SELECT serial_number FROM fastpki_serials WHERE issuer_id = 1";
    let serials = server.database.peek(serial).await;
    // The CA's own number is among them.
    let entries: String = (serials.iter().enumerate())
        .map(|(at, serial)| {
            format!(
                "INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, ca_id)
                 VALUES ({}, '2030-01-01 00:00:00', '{serial}', '2030-01-01 00:00:00', 1);",
                900 + at
            )
        })
        .collect();
    let answer = server.gate.meanwhile(SERIAL, request, server.database.script(&entries)).await;
    let detail = answer.expect(StatusCode::CONFLICT)["detail"].clone();
    assert!(detail.as_str().unwrap().contains("was revoked"), "{detail}");
    assert_eq!(count(&server, "certificates").await, "0");
}

async fn ca_is_not_created_under_a_parent_that_moved(server: Server) {
    let world = server.world().await;
    world.red_admin.create_ca("Red", json!({})).await;
    let body = json!({"name": "Child", "subject_dn": "CN=Child", "key_type": "ec", "parent_ca_id": 1});
    let move_it = world.root.patch("/api/v1/cas/1", json!({"organization_id": world.blue}));
    let request = post(&world.red_admin, "/api/v1/cas/", body);
    server.gate.meanwhile(SERIAL, request, move_it).await.expect(StatusCode::CONFLICT);
    assert_eq!(count(&server, "certificate_authorities").await, "1");
}

/// Every act that there is, its permit given now, to be done later.
type Acts<'e> = Vec<(&'static str, std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'e>>)>;

macro_rules! acts {
    ($($name:ident: $act:expr;)*) => {
        vec![$((stringify!($name), Box::pin(async move { $act.await.map(drop) })),)*]
    };
}

/// By somebody who is a superuser of Red. Red has CA 1 with certificate 1, CA 3 below CA 2, service account 1 with token 1, and user 3.
async fn acts<'e>(engine: &'e Engine, server: &Server, client: &Client) -> Acts<'e> {
    let caller = server.caller(client).await;
    let red = OrganizationId(1);
    let ca = engine.authority(CaId(1)).await.unwrap();
    let leaf = engine.certificate(CertificateId(1)).await.unwrap();
    let account = engine.service_account(&caller, ServiceAccountId(1)).await.unwrap();
    let member = engine.any_user(UserId(3)).await.unwrap();
    let loner = engine.any_user(UserId(5)).await.unwrap();
    let new_user = || UserCreate {
        username: "new".into(),
        email: "new@example.com".into(),
        password: "correct horse".to_owned().into(),
        role: None,
        is_active: None,
        organization_id: None,
        flags: Default::default(),
    };
    let change = || UserUpdate { email: Some("other@example.com".into()), ..UserUpdate::default() };
    let manage = || caller.permit_manage(account.clone()).unwrap();
    let create_user = caller.permit_create_user(new_user()).unwrap();
    let update_user = caller.permit_update_user(member.clone(), change()).unwrap();
    let update_self = caller
        .permit_update_user(engine.any_user(caller.user_id().unwrap()).await.unwrap(), change())
        .unwrap();
    let delete_user = caller.permit_delete_user(member.clone()).unwrap();
    let create_organization = caller.permit_create_organization().unwrap();
    let update_organization = caller.permit_update_organization(red).unwrap();
    let delete_organization = caller.permit_delete_organization(red).unwrap();
    let add_member = caller.permit_add_member(red, loner).unwrap();
    let remove_member = caller.permit_remove_member(red, member).unwrap();
    let create_account = caller.permit_create_service_account(Some(red)).unwrap();
    let (update_account, delete_account, make_token, revoke_token, set_policy, clear_policy) =
        (manage(), manage(), manage(), manage(), manage(), manage());
    let create_root = caller.permit_create_ca().unwrap();
    let (home, parent) =
        (caller.permit_create_ca().unwrap(), caller.permit::<CreateCa, _>(ca.clone()).unwrap());
    let issue = caller.permit::<Issue, _>(ca.clone()).unwrap();
    let renew = caller.permit::<Issue, _>(leaf.clone()).unwrap();
    let revoke = caller.permit::<Revoke, _>(leaf.clone()).unwrap();
    let export_leaf = caller.permit::<ExportKey, _>(leaf).unwrap();
    let export_ca = caller.permit::<ExportKey, _>(ca.clone()).unwrap();
    let to_blue = CaUpdate { organization_id: Some(OrganizationId(2)), cascade: true, ..CaUpdate::default() };
    let renamed = CaUpdate { name: Some("Other".into()), ..CaUpdate::default() };
    let move_ca = caller.permit_update_authority(ca.clone(), &to_blue).unwrap();
    let rename_ca = caller.permit_update_authority(ca.clone(), &renamed).unwrap();
    let (above, below) = (engine.authority(CaId(2)).await.unwrap(), engine.authority(CaId(3)).await.unwrap());
    let revoke_ca = caller.permit_revoke_authority(below, Some(above)).unwrap();
    let delete_ca = caller.permit::<DeleteCa, _>(ca).unwrap();
    let import = caller.permit_import(Some(red)).unwrap();
    let new_ca = |parent: Option<i32>| {
        serde_json::from_value::<fastpki_types::CaCreate>(
            json!({"name": "New", "subject_dn": "CN=New", "key_type": "ec", "parent_ca_id": parent}),
        )
        .unwrap()
    };
    let new_certificate: fastpki_types::CertificateCreate = serde_json::from_value(
        json!({"common_name": "b.example.com", "subject_dn": "CN=b.example.com", "certificate_type": "server",
               "key_type": "ec", "include_private_key": true}),
    )
    .unwrap();
    let rules: fastpki_types::IssuanceRules = serde_json::from_value(rules("*")).unwrap();
    let (issuer, renewer, importer, deleter) =
        (caller.clone(), caller.clone(), caller.clone(), caller.clone());
    let imported = imported_ca();
    const BASE: &str = "http://pki.example.com";
    acts! {
        create_user: engine.create_user(create_user);
        update_user: engine.update_user(update_user);
        update_self: engine.update_user(update_self);
        delete_user: engine.delete_user(delete_user);
        create_organization: engine.create_organization(create_organization, serde_json::from_value(json!({"name": "New"})).unwrap());
        update_organization: engine.update_organization(update_organization, serde_json::from_value(json!({"name": "New"})).unwrap());
        delete_organization: engine.delete_organization(delete_organization);
        add_member: engine.add_member(add_member);
        remove_member: engine.remove_member(remove_member);
        create_account: engine.create_service_account(create_account, serde_json::from_value(json!({"name": "new"})).unwrap());
        update_account: engine.update_service_account(update_account, serde_json::from_value(json!({"name": "new"})).unwrap());
        delete_account: engine.delete_service_account(delete_account);
        make_token: engine.create_service_account_token(make_token, serde_json::from_value(json!({})).unwrap());
        revoke_token: engine.revoke_service_account_token(revoke_token, ServiceAccountTokenId(1));
        set_policy: engine.set_policy(set_policy, rules);
        clear_policy: engine.clear_policy(clear_policy);
        create_root: engine.create_root(create_root, new_ca(None));
        create_intermediate: engine.create_intermediate(home, parent, new_ca(Some(1)), BASE);
        issue: engine.issue(issue, &issuer, new_certificate, BASE);
        renew: engine.renew(renew, &renewer, serde_json::from_value(json!({})).unwrap(), BASE);
        revoke: engine.revoke(revoke, None);
        export_leaf: engine.export_certificate_key(export_leaf);
        export_ca: engine.export_authority_key(export_ca);
        move_ca: engine.update_authority(move_ca, to_blue);
        rename_ca: engine.update_authority(rename_ca, renamed);
        revoke_ca: engine.revoke_authority(revoke_ca, None);
        delete_ca: engine.delete_authority(&deleter, delete_ca, true);
        import: engine.import_authority(&importer, import, imported);
    }
}

/// A CA that OpenSSL made.
fn imported_ca() -> fastpki_types::CaImport {
    let arguments = [
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-keyout",
        "/dev/stdout",
        "-subj",
        "/CN=Old",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ];
    let made = openssl(&arguments, b"");
    let part = |name: &str| {
        let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
        let start = made.find(&begin).unwrap_or_else(|| panic!("{made}"));
        made[start..made.find(&end).unwrap()].to_owned() + &end + "\n"
    };
    let import =
        json!({"name": "Old", "certificate": part("CERTIFICATE"), "private_key": part("PRIVATE KEY")});
    serde_json::from_value(import).unwrap()
}

/// Red with a CA, a certificate, a service account that has a token and a policy; and a superuser of Red, user 6.
async fn red_with_a_boss(server: &Server) -> World {
    let (world, _) = runner(server).await;
    world.red_admin.create_certificate(&json!({"id": 1}), "www.example.com", json!({})).await;
    world.red_admin.create_ca("Top", json!({})).await;
    world.red_admin.create_ca("Sub", json!({"parent_ca_id": 2})).await;
    world.root.create_user("boss", "superuser", &world.red, json!({})).await;
    world
}

async fn no_change_outlives_its_actors_standing(server: Server) {
    let world = red_with_a_boss(&server).await;
    for end in ["sign out", "invalidate", "move", "deactivate", "delete"] {
        server.clock.advance_millis(2);
        let boss = server.sign_in("boss").await;
        let acts = acts(&server.engine, &server, &boss).await;
        let answer = match end {
            "sign out" => boss.post("/api/v1/auth/logout", json!({"refresh_token": "unknown"})).await,
            "invalidate" => boss.post("/api/v1/auth/invalidate", json!({})).await,
            "move" => world.root.patch("/api/v1/users/6", json!({"organization_id": world.blue})).await,
            "deactivate" => world.root.patch("/api/v1/users/6", json!({"is_active": false})).await,
            _ => world.root.delete("/api/v1/users/6").await,
        };
        assert!(answer.status.is_success(), "{end}: {}", answer.text());
        let entries = count(&server, "audit_logs").await;
        for (name, act) in acts {
            let refused = act.await;
            assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{name} after {end}: {refused:?}");
        }
        assert_eq!(count(&server, "audit_logs").await, entries, "{end}");
        let again = json!({"is_active": true, "organization_id": world.red});
        world.root.patch("/api/v1/users/6", again).await;
    }
}

async fn no_change_outlives_its_actors_rights(server: Server) {
    let world = red_with_a_boss(&server).await;
    for change in [json!({"can_delete_ca": true}), json!({"role": "admin"})] {
        let boss = server.sign_in("boss").await;
        let acts = acts(&server.engine, &server, &boss).await;
        world.root.patch("/api/v1/users/6", change.clone()).await.expect(StatusCode::OK);
        let entries = count(&server, "audit_logs").await;
        for (name, act) in acts {
            let refused = act.await;
            assert!(matches!(refused, Err(Error::Forbidden(_))), "{name} after {change}: {refused:?}");
        }
        assert_eq!(count(&server, "audit_logs").await, entries, "{change}");
    }
}

/// Lists ask this between two of their parts.
async fn long_list_ends_with_the_right_to_it(server: Server) {
    let (world, runner) = runner(&server).await;
    let (user, account) = (server.caller(&world.red_user).await, server.caller(&runner).await);
    assert!(server.engine.check_standing(&user).await.is_ok());
    world.root.patch("/api/v1/users/3", json!({"is_active": false})).await.expect(StatusCode::OK);
    world.red_admin.delete("/api/v1/service-accounts/1/tokens/1").await.expect(StatusCode::NO_CONTENT);
    for caller in [user, account] {
        let refused = server.engine.check_standing(&caller).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{refused:?}");
    }
}

async fn nothing_is_done_to_what_changed_meanwhile(server: Server) {
    let world = red_with_a_boss(&server).await;
    let boss = server.sign_in("boss").await;
    let acts = acts(&server.engine, &server, &boss).await;
    world.root.patch("/api/v1/cas/1", json!({"organization_id": world.blue})).await.expect(StatusCode::OK);
    world.root.patch("/api/v1/cas/2", json!({"organization_id": world.blue})).await.expect(StatusCode::OK);
    server.database.script("UPDATE certificates SET organization_id = 2").await;
    world.root.delete("/api/v1/service-accounts/1").await.expect(StatusCode::NO_CONTENT);
    world.root.patch("/api/v1/users/3", json!({"role": "superuser"})).await.expect(StatusCode::OK);
    let entries = count(&server, "audit_logs").await;
    let mut refused = 0;
    for (name, act) in acts {
        if name.starts_with("create_") && name != "create_intermediate" {
            continue;
        }
        if matches!(
            name,
            "update_self" | "add_member" | "update_organization" | "delete_organization" | "import"
        ) {
            continue;
        }
        let outcome = act.await;
        assert!(matches!(outcome, Err(Error::Conflict(_))), "{name}: {outcome:?}");
        refused += 1;
    }
    assert_eq!((refused, count(&server, "audit_logs").await), (19, entries));
}

on_postgresql! {
    change_that_is_not_committed_yet_is_waited_for,
    users_who_change_each_other_do_not_block_each_other,
}

async fn change_that_is_not_committed_yet_is_waited_for(server: Server) {
    let (world, runner) = runner(&server).await;
    for (sql, status) in [
        ("UPDATE service_accounts SET can_create_cert = false", StatusCode::FORBIDDEN),
        ("UPDATE service_accounts SET can_create_cert = true, disabled_at = now()", StatusCode::UNAUTHORIZED),
        ("PERFORM id FROM service_accounts FOR UPDATE; DELETE FROM issuance_policies", StatusCode::CONFLICT),
        ("UPDATE certificate_authorities SET organization_id = 2", StatusCode::CONFLICT),
    ] {
        server
            .database
            .script("UPDATE service_accounts SET can_create_cert = true, disabled_at = NULL")
            .await;
        world.red_admin.put(POLICY, rules("*.svc.example.com")).await.expect(StatusCode::OK);
        let mut transaction = None;
        let change = async { transaction = Some(server.until_waited_for(sql).await) };
        let answer = server.gate.meanwhile(SERIAL, sign_csr(&runner), change).await;
        assert_eq!(answer.status, status, "{sql}: {}", answer.text());
        transaction.unwrap().await.unwrap();
    }
    assert_eq!(count(&server, "certificates").await, "0");
    let mut transaction = None;
    let change = async {
        transaction = Some(server.until_waited_for("UPDATE users SET is_active = false WHERE id = 2").await);
    };
    let request = post(&world.red_admin, TOKENS, json!({}));
    server.gate.meanwhile(PUBLIC_ID, request, change).await.expect(StatusCode::UNAUTHORIZED);
    transaction.unwrap().await.unwrap();
    assert_eq!(count(&server, "service_account_tokens").await, "1");
}

async fn users_who_change_each_other_do_not_block_each_other(server: Server) {
    let world = server.world().await;
    world.root.create_user("boss", "superuser", &world.red, json!({})).await;
    let boss = server.sign_in("boss").await;
    for round in 0..20 {
        let email = |name: &str| json!({"email": format!("{name}{round}@example.com")});
        let (one, other) = tokio::join!(
            world.root.patch("/api/v1/users/6", email("boss")),
            boss.patch("/api/v1/users/1", email("root")),
        );
        assert_eq!(
            (one.status, other.status),
            (StatusCode::OK, StatusCode::OK),
            "{} {}",
            one.text(),
            other.text()
        );
    }
}
