//! What an operator's commands do to all private keys, while a server serves.

use fastpki_engine::{KeysAtRest, Traces};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    KEY, OTHER, THIRD, all_exported, all_remembered, all_stored, copy_certificate, entries, entries_of_keys,
    fingerprint, opens, small_world, store, under,
};
use crate::harness::{Client, Server, on_one_server};

on_one_server! {
    rotation_puts_every_private_key_under_the_first_key,
    rotation_goes_on_where_it_was_cut_short,
    rotation_takes_keys_in_plaintext_along,
    rotation_moves_what_it_can_read_and_names_the_others,
    rows_written_during_a_rotation_are_not_lost,
    decryption_puts_every_private_key_into_plaintext,
    decryption_begins_only_when_all_can_be_read,
    key_is_needed_until_the_rotation_is_done,
    key_that_is_not_set_or_the_first_cannot_be_retired,
    every_command_has_its_entry_in_the_audit_log,
    start_that_finds_nothing_to_do_has_no_entry,
    commands_that_encrypt_need_a_key,
}

/// A server under these keys, with private keys that were stored under the first of those before.
async fn serving(server: Server, before: &'static str, now: &[&'static str]) -> (Server, Client) {
    let server = server.restart(under(&[before])).await;
    small_world(&server.superuser().await).await;
    let server = server.restart(under(now)).await;
    let root = server.sign_in("root").await;
    (server, root)
}

async fn rotation_puts_every_private_key_under_the_first_key(server: Server) {
    let (server, root) = serving(server, KEY, &[OTHER, KEY]).await;
    let exported = all_exported(&root).await;
    let stored = server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap();
    assert_eq!((stored.keys, stored.unreadable.count, stored.traces), (4, 0, Traces::Wiped));
    let tokens = all_stored(&server.database).await;
    assert!(tokens.iter().all(|token| opens(OTHER, token) && !opens(KEY, token)), "{tokens:?}");
    assert_eq!(all_remembered(&server.database).await, vec![fingerprint(OTHER); 4]);
    // The server has noticed nothing, and the old key can go.
    assert_eq!(all_exported(&root).await, exported);
    let server = server.restart(under(&[OTHER])).await;
    assert_eq!(all_exported(&server.sign_in("root").await).await, exported);
}

async fn rotation_goes_on_where_it_was_cut_short(server: Server) {
    let (server, _) = serving(server, KEY, &[OTHER, KEY]).await;
    let before = all_stored(&server.database).await;
    let keys = server.keys_at_rest(&[OTHER, KEY]).await;
    keys.rotate().await.unwrap();
    let moved = all_stored(&server.database).await;
    // As after a rotation that came no further than to the first certificate.
    for id in [2, 3] {
        let old = &before[usize::try_from(id).unwrap()];
        store(&server.database, "certificates", id, old).await;
    }
    assert_eq!(keys.rotate().await.unwrap().keys, 2);
    let now = all_stored(&server.database).await;
    assert_eq!(now[..2], moved[..2], "what was moved already is left as it is");
    assert!(now.iter().all(|token| opens(OTHER, token)));
    assert_eq!(keys.rotate().await.unwrap().keys, 0);
    assert_eq!(all_stored(&server.database).await, now);
}

async fn rotation_takes_keys_in_plaintext_along(server: Server) {
    let (server, root) = serving(server, KEY, &[OTHER, KEY]).await;
    let exported = all_exported(&root).await;
    store(&server.database, "certificates", 1, &exported[1]).await;
    assert_eq!(server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap().keys, 4);
    assert!(all_stored(&server.database).await.iter().all(|token| opens(OTHER, token)));
    assert_eq!(all_exported(&root).await, exported);
}

async fn rotation_moves_what_it_can_read_and_names_the_others(server: Server) {
    let (server, _) = serving(server, KEY, &[OTHER, KEY]).await;
    let lost = super::sealed(THIRD, "whatever");
    store(&server.database, "certificates", 2, &lost).await;
    let stored = server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap();
    assert_eq!((stored.keys, stored.unreadable.count), (3, 1));
    let said = stored.unreadable.to_string();
    assert!(said.contains("certificate 2 'ed.example.com' cannot be decrypted"), "{said}");
    assert_eq!(all_stored(&server.database).await[2], lost);
}

async fn rows_written_during_a_rotation_are_not_lost(server: Server) {
    let (server, root) = serving(server, KEY, &[OTHER, KEY]).await;
    copy_certificate(&server.database, 1, 1001, 600).await;
    let ca: Value = json!({"id": 1});
    let commands = server.keys_at_rest(&[OTHER, KEY]).await;
    let rotation = tokio::spawn(async move { commands.rotate().await });
    let mut made = Vec::new();
    while !rotation.is_finished() || made.len() < 5 {
        let name = format!("new{}.example.com", made.len());
        made.push(root.create_certificate(&ca, &name, json!({})).await);
    }
    assert!(rotation.await.unwrap().unwrap().keys >= 604);
    for certificate in &made {
        let path = format!("/api/v1/certificates/{}/private-key", certificate["id"]);
        let detail = root.get(&path).await.expect(StatusCode::OK);
        assert_eq!(detail["private_key"], certificate["private_key"]);
    }
    let survey = server.keys_at_rest(&[OTHER]).await.survey().await.unwrap();
    assert_eq!((survey.total().unreadable, survey.total().encrypted()), (0, 604 + made.len() as u64));
}

async fn decryption_puts_every_private_key_into_plaintext(server: Server) {
    let (server, root) = serving(server, KEY, &[KEY]).await;
    let exported = all_exported(&root).await;
    let stored = server.keys_at_rest(&[KEY]).await.decrypt().await.unwrap();
    assert_eq!((stored.keys, stored.unreadable.count), (4, 0));
    assert_eq!(all_stored(&server.database).await, exported);
    assert_eq!(all_remembered(&server.database).await, [""; 4]);
    assert_eq!(all_exported(&root).await, exported);
    let server = server.restart(under(&[])).await;
    assert_eq!(all_exported(&server.sign_in("root").await).await, exported);
}

async fn decryption_begins_only_when_all_can_be_read(server: Server) {
    let (server, root) = serving(server, KEY, &[KEY]).await;
    store(&server.database, "certificates", 3, &super::sealed(OTHER, "whatever")).await;
    let before = all_stored(&server.database).await;
    let error = server.keys_at_rest(&[KEY]).await.decrypt().await.err().unwrap().to_string();
    assert!(error.contains("certificate 3 'rsa.example.com'"), "{error}");
    assert_eq!(all_stored(&server.database).await, before);
    assert_eq!(entries_of_keys(&root).await, 0);
}

async fn key_is_needed_until_the_rotation_is_done(server: Server) {
    let (server, root) = serving(server, KEY, &[OTHER, KEY, THIRD]).await;
    root.create_ca("New", json!({})).await;
    let keys = server.keys_at_rest(&[OTHER, KEY, THIRD]).await;
    let needing =
        async |keys: &KeysAtRest, key: &str| keys.needing(fingerprint(key).parse().unwrap()).await.unwrap();
    let needed = needing(&keys, KEY).await;
    assert_eq!((needed.0, needed.1.count), (4, 0));
    assert_eq!(needing(&keys, THIRD).await.0, 0);
    keys.rotate().await.unwrap();
    assert_eq!(needing(&keys, KEY).await.0, 0);
    // What a row remembers is not believed: the private key is tried.
    let token = super::sealed(KEY, all_exported(&root).await[0].as_str());
    store(&server.database, "certificate_authorities", 1, &token).await;
    assert_eq!(needing(&keys, KEY).await.0, 1);
    // Of one that nobody can open, nobody can tell: it is counted apart.
    store(&server.database, "certificate_authorities", 1, "gAAAAA").await;
    let (needed, unreadable) = needing(&keys, KEY).await;
    assert_eq!((needed, unreadable.count), (0, 1));
}

async fn key_that_is_not_set_or_the_first_cannot_be_retired(server: Server) {
    let (server, root) = serving(server, KEY, &[KEY, OTHER]).await;
    let keys = server.keys_at_rest(&[KEY, OTHER]).await;
    for (key, expected) in [(THIRD, "no encryption key with fingerprint"), (KEY, "is the first key")] {
        let error = keys.needing(fingerprint(key).parse().unwrap()).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(entries_of_keys(&root).await, 0);
}

async fn every_command_has_its_entry_in_the_audit_log(server: Server) {
    let root = server.superuser().await;
    small_world(&root).await;
    let details = async |action: &str| {
        let entries = entries(&root, action).await;
        for entry in &entries {
            assert_eq!(entry["username"], "fastpki keys", "{entry}");
            assert_eq!((&entry["user_id"], &entry["organization_id"]), (&Value::Null, &Value::Null));
            let text = entry.to_string();
            assert!(!text.contains(KEY) && !text.contains(OTHER) && !text.contains("BEGIN"), "{text}");
        }
        entries.iter().map(|entry| entry["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (key, other) = (fingerprint(KEY), fingerprint(OTHER));
    let keys = server.keys_at_rest(&[KEY, OTHER]).await;

    keys.verify().await.unwrap();
    assert_eq!(
        details("keys_verify").await,
        ["Read 4 private keys: 0 encrypted, 4 in plaintext, 0 that cannot be used"]
    );
    assert_eq!(keys.encrypt().await.unwrap().keys, 4);
    let begun = format!("Encrypting 4 private keys under the encryption key {key}");
    let done = format!("Encrypted 4 private keys under the encryption key {key}");
    assert_eq!(details("keys_encrypt").await, [begun, done]);
    let wiped = "Overwrote what was left of private keys as they lay before";
    assert_eq!(details("keys_wipe").await, [wiped]);

    server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap();
    let begun = format!("Moving all private keys under the encryption key {other}");
    let done = format!("Moved 4 private keys under the encryption key {other}; 0 cannot be read");
    assert_eq!(details("keys_rotate").await, [begun, done]);
    assert_eq!(details("keys_wipe").await.len(), 2);

    let retiring = keys.needing(other.parse().unwrap()).await.unwrap();
    assert_eq!(retiring.0, 4);
    server.keys_at_rest(&[OTHER, KEY]).await.needing(key.parse().unwrap()).await.unwrap();
    assert_eq!(
        details("keys_retire").await,
        [
            format!("4 private keys need the encryption key {other}"),
            format!("The encryption key {key} is not needed any more"),
        ]
    );
    keys.wipe().await.unwrap();
    assert_eq!(details("keys_wipe").await, [wiped; 3]);
    keys.decrypt().await.unwrap();
    assert_eq!(
        details("keys_decrypt").await,
        ["Putting all private keys into plaintext", "Put 4 private keys into plaintext"]
    );
    assert_eq!(entries_of_keys(&root).await, 12);
}

async fn start_that_finds_nothing_to_do_has_no_entry(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    small_world(&root).await;
    let server = server.restart(under(&[KEY])).await;
    let server = server.restart(under(&[OTHER, KEY])).await;
    let keys = server.keys_at_rest(&[OTHER, KEY]).await;
    assert_eq!(keys.encrypt().await.unwrap().keys, 0);
    keys.survey().await.unwrap();
    assert_eq!(entries_of_keys(&server.sign_in("root").await).await, 0);
}

async fn commands_that_encrypt_need_a_key(server: Server) {
    let root = server.superuser().await;
    small_world(&root).await;
    let before = all_stored(&server.database).await;
    let keys = server.keys_at_rest(&[]).await;
    for outcome in [keys.encrypt().await, keys.rotate().await] {
        let error = outcome.err().unwrap().to_string();
        assert!(
            error.contains("no encryption key is set") && error.contains("fastpki keys generate"),
            "{error}"
        );
    }
    assert_eq!(all_stored(&server.database).await, before);
    assert_eq!(entries_of_keys(&root).await, 0);
}
