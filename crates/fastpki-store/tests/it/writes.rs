use std::time::Duration;

use fastpki_store::{
    AuthorityChange, Grant, Held, Lock, NewAuthority, NewCertificate, Seal, Store, StoreError, Unique,
};
use fastpki_types::{CaId, CertificateType, KeyType, PrivateKeyPem};

use fastpki_testing::{Database, on_both_databases};

use crate::harness::{audit, now, open};

on_both_databases! {
    change_and_audit_entry_happen_both_or_neither,
    write_that_fails_leaves_the_others_of_its_group,
    serial_number_is_unique_to_its_issuer,
    ca_that_was_given_away_meanwhile_is_not_changed,
    crl_number_is_never_given_twice,
    dropped_callers_write_stands_whole,
}

async fn change_and_audit_entry_happen_both_or_neither(database: Database) {
    let store = open(&database).await.unwrap();
    // The entry names a user who does not exist, which the database refuses.
    let refused = store.create_organization("Red".into(), None, now(), audit(Some(99))).await;
    assert!(matches!(refused, Err(StoreError::Gone)));
    assert_eq!(database.peek("SELECT count(*) FROM organizations").await, ["0"]);
    store.create_organization("Red".into(), None, now(), audit(None)).await.unwrap();
    assert_eq!(database.peek("SELECT count(*) FROM organizations").await, ["1"]);
    assert_eq!(database.peek("SELECT count(*) FROM audit_logs").await, ["1"]);
}

async fn write_that_fails_leaves_the_others_of_its_group(database: Database) {
    let store = open(&database).await.unwrap();
    let writes: Vec<_> = (0..200)
        .map(|number| {
            let store = store.clone();
            let name = format!("organization {}", number % 100);
            tokio::spawn(
                async move { store.create_organization(name, None, now(), audit(None)).await.is_ok() },
            )
        })
        .collect();
    let mut successes = 0;
    for write in writes {
        successes += i64::from(write.await.unwrap());
    }
    assert_eq!(successes, 100);
    assert_eq!(database.peek("SELECT count(*) FROM organizations").await, ["100"]);
    assert_eq!(database.peek("SELECT count(*) FROM audit_logs").await, ["100"]);
}

async fn authority(store: &Store, name: &str) -> CaId {
    let new = NewAuthority {
        name: name.into(),
        description: None,
        subject_dn: "CN=Root".into(),
        key_type: KeyType::Ec,
        key_size: 256,
        valid_days: 10,
        private_key: Seal::default().seal(&PrivateKeyPem::from("-----BEGIN".to_owned()), now()),
        certificate: "-----BEGIN".into(),
        serial_number: "1".into(),
        subject_key: name.into(),
        organization_id: None,
        created_by_user_id: None,
        created_by_service_account_id: None,
        parent_ca_id: None,
        path_length: None,
        allow_leaf_certs: true,
        crl_base_url: None,
    };
    store.create_authority(new, now(), audit(None)).await.unwrap().ca.id
}

fn certificate(issuer_id: CaId, serial: &str) -> NewCertificate {
    NewCertificate {
        common_name: "www.example.com".into(),
        subject_dn: "CN=www.example.com".into(),
        certificate_type: CertificateType::Server,
        key_type: KeyType::Ec,
        key_size: 256,
        valid_days: 1,
        private_key: None,
        certificate: "-----BEGIN".into(),
        serial_number: serial.into(),
        not_before: now(),
        not_after: now(),
        issuer_id,
        organization_id: None,
        created_by_user_id: None,
        created_by_service_account_id: None,
        is_csr_origin: false,
        renewed_from_id: None,
    }
}

async fn serial_number_is_unique_to_its_issuer(database: Database) {
    let store = open(&database).await.unwrap();
    let (one, two) = (authority(&store, "One").await, authority(&store, "Two").await);
    let issue = async |issuer, serial| {
        store.create_certificate(certificate(issuer, serial), now(), audit(None)).await
    };
    issue(one, "abc").await.unwrap();
    issue(two, "abc").await.unwrap();
    for serial in ["abc", "1"] {
        let refused = issue(one, serial).await;
        assert!(matches!(refused, Err(StoreError::Duplicate(Unique::Serial))), "{serial}");
    }
    assert_eq!(database.peek("SELECT count(*) FROM certificates").await, ["2"]);
}

async fn ca_that_was_given_away_meanwhile_is_not_changed(database: Database) {
    let store = open(&database).await.unwrap();
    let ca = authority(&store, "Root").await;
    let organization = store.create_organization("Red".into(), None, now(), audit(None)).await.unwrap().id;
    let change = AuthorityChange { name: Some("Mine".into()), ..AuthorityChange::default() };
    let held = Held::Authority {
        id: ca,
        organization_id: Some(organization),
        allow_leaf_certs: None,
        lock: Lock::Share,
    };
    let grant = Grant { standing: None, held: vec![held] };
    let refused = store.change_authority(ca, change, now(), grant, |_, _, _| vec![audit(None)]).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(database.peek("SELECT name FROM certificate_authorities").await, ["Root"]);
}

async fn crl_number_is_never_given_twice(database: Database) {
    let store = open(&database).await.unwrap();
    let ca = authority(&store, "Root").await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.reserve_crl_number(ca).await.unwrap() })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<u64>>());
}

async fn dropped_callers_write_stands_whole(database: Database) {
    let store = open(&database).await.unwrap();
    // On PostgreSQL the write is held up half-way, so that its caller is sure to go before it ends.
    let holder = database.file().is_none().then(|| {
        let database = database.clone();
        tokio::spawn(async move {
            let hold =
                "BEGIN; LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.5); COMMIT";
            database.script(hold).await;
        })
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut write = Box::pin(store.create_organization("Red".into(), None, now(), audit(None)));
    let gone =
        tokio::time::timeout(Duration::from_millis(if holder.is_some() { 100 } else { 0 }), &mut write).await;
    drop(write);
    assert!(gone.is_err() || holder.is_none(), "the caller was to go first");
    for table in ["organizations", "audit_logs"] {
        let count = format!("SELECT count(*) FROM {table}");
        for _ in 0..100 {
            if database.peek(&count).await == ["1"] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(database.peek(&count).await, ["1"], "{table}");
    }
}
