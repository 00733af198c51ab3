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
    ca_that_is_deleted_leaves_nothing_behind,
    certificate_that_is_revoked_meanwhile_is_not_renewed,
    key_that_is_compromised_meanwhile_is_not_certified,
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
        key_fingerprint: "abc".into(),
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
        checked_key: None,
        renews_revoked: false,
        is_imported: false,
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

async fn delete(store: &Store, ca: CaId) -> Result<(), StoreError> {
    store.delete_authority(ca, true, now(), Grant::default(), |_| vec![audit(None)]).await
}

/// A CRL that is made, a certificate that is issued and one that is revoked, while their CA is deleted.
async fn ca_that_is_deleted_leaves_nothing_behind(database: Database) {
    let store = open(&database).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..30 {
        let ca = authority(&store, &format!("CA {number}")).await;
        let old = store.create_certificate(certificate(ca, "old"), now(), audit(None)).await.unwrap().id;
        // As after the way back from FastPKI 0.4, which makes CAs without such a row.
        database.script(&format!("DELETE FROM fastpki_crls WHERE ca_id = {ca}")).await;
        for act in 0..4 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let serial = format!("a{number}");
                // Each may fail because the CA is gone, and the deletion because there is something new.
                match act {
                    0 => drop(delete(&store, ca).await),
                    1 => drop(store.reserve_crl_number(ca).await),
                    2 => drop(store.create_certificate(certificate(ca, &serial), now(), audit(None)).await),
                    _ => drop(store.revoke_certificate(old, None, now(), audit(None)).await),
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let gone = authority(&store, "Root").await;
    delete(&store, gone).await.unwrap();
    assert!(matches!(store.reserve_crl_number(gone).await, Err(StoreError::Gone)));
    for (table, column) in [
        ("fastpki_crls", "ca_id"),
        ("fastpki_serials", "issuer_id"),
        ("certificates", "issuer_id"),
        ("crl_entries", "ca_id"),
    ] {
        let orphans = format!(
            "SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM certificate_authorities)"
        );
        assert_eq!(database.peek(&orphans).await, ["0"], "{table}");
    }
}

async fn certificate_that_is_revoked_meanwhile_is_not_renewed(database: Database) {
    let store = open(&database).await.unwrap();
    let ca = authority(&store, "Root").await;
    let old = store.create_certificate(certificate(ca, "a"), now(), audit(None)).await.unwrap().id;
    store.revoke_certificate(old, None, now(), audit(None)).await.unwrap();
    let renewal = || NewCertificate { renewed_from_id: Some(old), ..certificate(ca, "b") };
    let refused = store.create_certificate(renewal(), now(), audit(None)).await;
    assert!(matches!(refused, Err(StoreError::RenewsRevoked)));
    let asked_for = NewCertificate { renews_revoked: true, ..renewal() };
    store.create_certificate(asked_for, now(), audit(None)).await.unwrap();
}

async fn key_that_is_compromised_meanwhile_is_not_certified(database: Database) {
    let store = open(&database).await.unwrap();
    let ca = authority(&store, "Root").await;
    let with_key =
        |key: &str, serial| NewCertificate { checked_key: Some(key.into()), ..certificate(ca, serial) };
    store.create_certificate(with_key("def", "a"), now(), audit(None)).await.unwrap();
    let note = "INSERT INTO fastpki_compromised_keys (key_fingerprint, organization_id, noted_at) VALUES ('def', -1, '2030-01-01 00:00:00')";
    database.script(note).await;
    let compromised = store.create_certificate(with_key("def", "b"), now(), audit(None)).await;
    assert!(matches!(compromised, Err(StoreError::CompromisedKey)));
    let of_ca = store.create_certificate(with_key("abc", "c"), now(), audit(None)).await;
    assert!(matches!(of_ca, Err(StoreError::KeyOfAuthority)));
    assert_eq!(database.peek("SELECT count(*) FROM fastpki_serials").await, ["2"], "nothing is left of them");
}
