//! What a refused start says, and that it changes nothing.

use fastpki_testing::Database;
use serde_json::json;

use super::{KEY, OTHER, THIRD, copy_certificate, fingerprint, opens, refusal, sealed, under};
use crate::harness::{Server, on_one_server};

on_one_server! {
    first_twenty_are_named_in_order_and_the_others_counted,
    refused_start_changes_nothing,
}

/// CAs 2 to 4 and certificates 1001 to 1022 lie under a key that is not at hand; a CA and a certificate in plaintext.
async fn twenty_five_unreadable(server: Server) -> Database {
    let root = server.superuser().await;
    let plain = root.create_ca("Plain", json!({})).await;
    let leaf = root.create_certificate(&plain, "leaf.example.com", json!({})).await;
    for id in 2..=4 {
        root.create_ca(&format!("Lost {id}"), json!({})).await;
    }
    let database = server.database.clone();
    server.stop().await;
    // From the last to the first: the order of the rows is not that of their ids.
    for id in (1001..=1022).rev() {
        copy_certificate(&database, 1, id, 1).await;
    }
    let token = sealed(OTHER, leaf["private_key"].as_str().unwrap());
    // Some rows remember what they lie under.
    database
        .script(&format!(
            "UPDATE certificate_authorities SET private_key = '{token}' WHERE id > 1;
             UPDATE certificates SET private_key = '{token}' WHERE id > 1;
             UPDATE certificate_authorities SET encryption_key_fingerprint = '{0}' WHERE id = 2;
             UPDATE certificates SET encryption_key_fingerprint = '{0}' WHERE id = 1003",
            fingerprint(OTHER)
        ))
        .await;
    database
}

async fn first_twenty_are_named_in_order_and_the_others_counted(server: Server) {
    let database = twenty_five_unreadable(server).await;
    let fingerprint = fingerprint(OTHER);
    let wrong = "cannot be decrypted with PRIVATE_KEY_ENCRYPTION_KEY: it";
    let missing = "is encrypted, but PRIVATE_KEY_ENCRYPTION_KEY is not set: set it to the key";
    for (keys, forgotten, remembered) in [
        (
            &[KEY, THIRD][..],
            format!("{wrong} was encrypted with another key, or was changed since"),
            format!("{wrong} needs the key with fingerprint {fingerprint}, or was changed since"),
        ),
        (
            &[],
            format!("{missing} it was encrypted with"),
            format!("{missing} with fingerprint {fingerprint}"),
        ),
    ] {
        let error = refusal(&database, keys).await;
        let reason = |id| if id == 2 || id == 1003 { &remembered } else { &forgotten };
        let mut expected = vec!["25 private keys cannot be used:".to_owned()];
        for id in 2..=4 {
            expected.push(format!("  the private key of CA {id} 'Lost {id}' {}", reason(id)));
        }
        for id in 1001..=1017 {
            expected.push(format!("  the private key of certificate {id} 'copy {id}' {}", reason(id)));
        }
        expected.push("  and 5 more".into());
        assert_eq!(error.lines().collect::<Vec<_>>(), expected);
        assert!([KEY, OTHER, THIRD].iter().all(|key| !error.contains(&key[..16])));
    }
}

async fn refused_start_changes_nothing(server: Server) {
    let database = twenty_five_unreadable(server).await;
    let before = everything(&database).await;
    assert_eq!(before.iter().filter(|row| row.contains("-----BEGIN PRIVATE KEY")).count(), 2);
    refusal(&database, &[KEY]).await;
    assert_eq!(everything(&database).await, before);
    refusal(&database, &[]).await;
    assert_eq!(everything(&database).await, before);
    // What these rows are under is only half of it: they belong to another certificate, but for the copies.
    let error = refusal(&database, &[KEY, OTHER]).await;
    assert!(error.starts_with("3 private keys cannot be used:"), "{error}");
    assert_eq!(everything(&database).await, before);
    // Without those it starts, and what lay in plaintext does not any more.
    database.script("DELETE FROM certificate_authorities WHERE id > 1").await;
    Server::start(&database, under(&[KEY, OTHER])).await.stop().await;
    let now = everything(&database).await;
    assert_eq!(now.iter().filter(|row| row.contains("-----BEGIN PRIVATE KEY")).count(), 0);
    assert!(opens(KEY, &super::stored(&database, "certificates", 1).await));
    assert!(opens(OTHER, &super::stored(&database, "certificates", 1001).await));
}

/// Every row that a start might write.
async fn everything(database: &Database) -> Vec<String> {
    let mut rows = Vec::new();
    for sql in [
        "SELECT id || name || private_key || certificate || COALESCE(encryption_key_fingerprint, '-') || updated_at
         FROM certificate_authorities ORDER BY id",
        "SELECT id || common_name || private_key || certificate || COALESCE(encryption_key_fingerprint, '-') || updated_at
         FROM certificates ORDER BY id",
        "SELECT id || COALESCE(detail, '') || created_at FROM audit_logs ORDER BY id",
        "SELECT name FROM fastpki_pending ORDER BY name",
    ] {
        rows.extend(database.peek(sql).await);
    }
    rows
}
