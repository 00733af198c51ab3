//! CAs below one another.

use fastpki_store::{NewAuthority, Seal, Store, StoreError, Unique};
use fastpki_types::{CaId, KeyType, PrivateKeyPem};
use fastpki_x509::{Certificate, KeyAlgorithm, Name, PrivateKey, Profile, Request, Serial, Urls, Validity};

use fastpki_testing::{Database, on_both_databases};

use crate::harness::{audit, now, open};

on_both_databases! {
    of_cas_that_want_a_subject_at_once_one_gets_it,
}

/// A CA with one key for all, under another where there is one.
fn authority(
    name: &str,
    parent: Option<(CaId, &Certificate)>,
    key: &PrivateKey,
) -> (NewAuthority, Certificate) {
    let mut random = [0; 20];
    random[..name.len()].copy_from_slice(name.as_bytes());
    let address = || "http://pki.example.com/x".to_owned();
    let request = Request {
        profile: match parent {
            Some(_) => Profile::Intermediate { path_len: None },
            None => Profile::Root { path_len: None },
        },
        subject: Name::parse(&format!("CN={name}")).unwrap(),
        sans: Vec::new(),
        public_key: key.public_key().clone(),
        serial: Serial::from_random(random),
        validity: Validity::from(now().into(), 10).unwrap(),
        urls: parent.map(|_| Urls { crl: address(), ca: address() }),
    };
    let prepared = match parent {
        Some((_, parent)) => request.prepare(parent),
        None => request.prepare_self_signed(key),
    };
    let certificate = prepared.unwrap().sign(key).unwrap();
    let new = NewAuthority {
        name: name.into(),
        description: None,
        subject_dn: certificate.subject().to_string(),
        key_type: KeyType::Ec,
        key_size: 256,
        valid_days: 10,
        private_key: Seal::default().seal(&PrivateKeyPem::from("-----BEGIN".to_owned()), now()),
        certificate: certificate.to_pem(),
        serial_number: certificate.serial().to_hex(),
        key_fingerprint: certificate.key_fingerprint(),
        subject_key: certificate.subject().comparable(),
        organization_id: None,
        created_by_user_id: None,
        created_by_service_account_id: None,
        parent_ca_id: parent.map(|(id, _)| id),
        path_length: None,
        allow_leaf_certs: true,
        crl_base_url: None,
    };
    (new, certificate)
}

async fn record(store: &Store, new: NewAuthority) -> Result<CaId, StoreError> {
    store.create_authority(new, now(), audit(None)).await.map(|row| row.ca.id)
}

async fn of_cas_that_want_a_subject_at_once_one_gets_it(database: Database) {
    let store = open(&database).await.unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let (new, root) = authority("Root", None, &key);
    let top = record(&store, new).await.unwrap();
    let attempts: Vec<_> = (0..6)
        .map(|number| {
            let (mut new, _) = authority("Same", Some((top, &root)), &key);
            new.name = format!("CA {number}");
            let store = store.clone();
            tokio::spawn(async move { record(&store, new).await })
        })
        .collect();
    let mut recorded = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => recorded += 1,
            Err(StoreError::Duplicate(Unique::AuthoritySubject)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(recorded, 1);
}
