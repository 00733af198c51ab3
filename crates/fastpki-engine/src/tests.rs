//! What cannot be seen from outside: what is kept in memory, and what is refused of a changed database.

use std::sync::Arc;

use fastpki_store::DatabaseConfig;
use fastpki_types::{CaCreate, CaId, KeyType, UserId, UserRole};

use super::*;

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

async fn engine(folder: &tempfile::TempDir, clock: Arc<ManualClock>) -> Engine {
    Engine::start(Config {
        database: DatabaseConfig::Sqlite { path: folder.path().join("fastpki.db") },
        encryption_keys: vec![FernetKey::parse(KEY).unwrap()],
        progress: Arc::default(),
        secret_key: "0123456789abcdef0123456789abcdef".to_owned().into(),
        service_account_pepper: None,
        algorithm: JwtAlgorithm::Hs256,
        access_token_minutes: 15,
        refresh_token_minutes: 1440,
        defaults: IssuingDefaults { ca_key_size: 2048, cert_key_size: 2048, ca_days: 3650, cert_days: 365 },
        password_cost: 4,
        clock,
        entropy: Arc::new(SystemEntropy),
    })
    .await
    .unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2030-01-01T00:00:00Z".parse().unwrap()))
}

async fn root(engine: &Engine, name: &str) -> CaId {
    let new = CaCreate {
        name: name.into(),
        description: None,
        subject_dn: format!("CN={name}"),
        key_type: Some(KeyType::Ec),
        key_size: None,
        valid_days: None,
        parent_ca_id: None,
        path_length: None,
        allow_leaf_certs: None,
        crl_base_url: None,
    };
    let caller = Caller {
        id: PrincipalId::User(UserId(1)),
        name: "root".into(),
        role: UserRole::Superuser,
        organization_id: None,
        flags: Default::default(),
        access_token: None,
        tokens_invalidated_at: None,
        token_generation: 0,
        account_token: None,
    };
    engine.create_root(caller.permit_create_ca().unwrap(), new).await.unwrap().0.ca.id
}

async fn with_user(engine: &Engine) {
    let user = fastpki_types::UserCreate {
        username: "root".into(),
        email: "root@example.com".into(),
        password: "correct horse".to_owned().into(),
        role: Some(UserRole::Superuser),
        is_active: None,
        organization_id: None,
        flags: Default::default(),
    };
    engine.create_first_user(Permit::bootstrap(user)).await.unwrap();
}

#[tokio::test]
async fn key_that_a_clock_ahead_was_used_by_is_not_kept_until_then() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let engine = engine(&folder, clock.clone()).await;
    with_user(&engine).await;
    let id = root(&engine, "Root").await;
    clock.advance(86_400);
    engine.signer(id).await.unwrap();
    clock.advance(-3);
    engine.drop_idle_keys();
    assert!(engine.keyring.holds(id), "by seconds clocks differ");
    clock.advance(3 - 86_400);
    engine.drop_idle_keys();
    assert!(!engine.keyring.holds(id));
}

#[tokio::test]
async fn key_is_kept_while_used_and_dropped_when_idle() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let engine = engine(&folder, clock.clone()).await;
    with_user(&engine).await;
    let id = root(&engine, "Root").await;
    assert!(!engine.keyring.holds(id));
    let first = engine.signer(id).await.unwrap();
    clock.advance(590);
    assert!(Arc::ptr_eq(&first, &engine.signer(id).await.unwrap()), "it is opened once");
    clock.advance(590);
    engine.drop_idle_keys();
    assert!(engine.keyring.holds(id));
    clock.advance(20);
    engine.drop_idle_keys();
    assert!(!engine.keyring.holds(id));
}

#[tokio::test]
async fn key_swapped_in_the_database_signs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder, clock()).await;
    with_user(&engine).await;
    let (one, two) = (root(&engine, "One").await, root(&engine, "Two").await);
    let sql = format!(
        "UPDATE certificate_authorities SET private_key =
         (SELECT private_key FROM certificate_authorities WHERE id = {two}) WHERE id = {one}"
    );
    let file = folder.path().join("fastpki.db");
    assert!(std::process::Command::new("sqlite3").arg(file).arg(sql).status().unwrap().success());
    let refused = engine.signer(one).await.err().unwrap().to_string();
    assert!(refused.contains("does not belong"), "{refused}");
}

#[tokio::test]
async fn unknown_user_costs_as_much_as_a_wrong_password() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder, clock()).await;
    with_user(&engine).await;
    let known = engine.store.user_by_name("root").await.unwrap().unwrap().password.0;
    let nobody = engine.passwords.hash_of_nobody();
    assert_eq!(known[..7], nobody[..7], "the same algorithm at the same cost");
    assert!(matches!(bcrypt::verify("wrong password", nobody), Ok(false)), "it is computed to the end");
    for name in ["root", "nobody"] {
        let before = sessions::CHECKS.load(std::sync::atomic::Ordering::SeqCst);
        assert!(engine.sign_in(name.into(), "wrong password".to_owned().into()).await.is_err());
        assert_eq!(sessions::CHECKS.load(std::sync::atomic::Ordering::SeqCst), before + 1, "{name}");
    }
}
