//! No private key is lost when kill -9 ends what stores them anew, and the next run does the rest.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use fastpki_testing::{Database, on_both_databases};
use serde_json::{Value, json};

use crate::keys::fixture::{BOTH, NEW, NEW_FINGERPRINT, OLD, OLD_FINGERPRINT, under};
use crate::program::{Client, Site, kill_rounds, secret_line, text};

on_both_databases! {
    migration_survives_kill_9,
    rotation_survives_kill_9,
}

async fn migration_survives_kill_9(database: Database) {
    let site = Site::of(database);
    let Furnished { secrets, .. } = Furnished::make(&site, &[]).await;
    let key = under(OLD);
    let begun = Instant::now();
    let server = site.serve(&key);
    let uncut = begun.elapsed();
    server.stop();
    let (mut cut_short, mut by_half) = (0, 0);
    for round in 0..kill_rounds() {
        let put_back = site.keys_json(&["decrypt", "--yes"], &key);
        assert_eq!(put_back["keys"], KEYS);
        site.leave_copies().await;
        assert!(site.traces(&secrets).await > 0, "this finds nothing, whatever there is");

        let listen = ("FASTPKI_LISTEN", "127.0.0.1:0");
        let mut migration =
            site.command(&["serve"], &[key[0], listen]).stderr(Stdio::null()).spawn().expect("it starts");
        tokio::time::sleep(uncut.mul_f64(moment(round))).await;
        migration.kill().and_then(|()| migration.wait()).expect("it can be killed");
        let found = verified(&site, OLD);
        assert_eq!(found["keys"], KEYS, "round {round}");
        cut_short += u32::from(found["plaintext"] != 0);
        by_half += u32::from(found["plaintext"] != 0 && found["encrypted"] != 0);

        let server = site.serve(&key);
        assert_eq!(site.traces(&secrets).await, 0, "round {round}: a key lies in plaintext");
        server.stop();
        let status = site.keys_json(&["status"], &key);
        let certificates = &status["tables"]["certificates"];
        assert_eq!(
            (&certificates["keys"], &certificates["plaintext"]),
            (&json!(KEYS - 1), &json!(0)),
            "round {round}"
        );
        assert_eq!(status["tables"]["certificate_authorities"]["plaintext"], 0, "round {round}");
        assert_eq!(status["traces_left"], false, "round {round}");
    }
    assert!(cut_short > 0, "every key was encrypted before a kill: more are needed");
    assert!(by_half > 0 || kill_rounds() < MANY, "no kill found some keys encrypted and some not");
}

async fn rotation_survives_kill_9(database: Database) {
    let site = Site::of(database);
    let Furnished { client, .. } = Furnished::make(&site, &under(OLD)).await;
    let begun = Instant::now();
    site.keys_json(&["rotate"], &under(BOTH));
    let uncut = begun.elapsed();
    // The key that rows lie under, and the one that they are moved under: now this way, then that way.
    let [mut from, mut to] = [(NEW, NEW_FINGERPRINT), (OLD, OLD_FINGERPRINT)];
    let (mut known, mut cut_short, mut by_half, mut issued) = (KEYS, 0, 0, 0);
    for round in 0..kill_rounds() {
        let (keys, retired) = (format!("{},{}", to.0, from.0), from.1);
        let settings = under(&keys);
        let server = site.serve(&settings);
        let load = tokio::spawn(issue_until_nobody_answers(client.of(&server)));
        let mut rotation = site.command(&["keys", "rotate"], &settings).spawn().expect("it starts");
        tokio::time::sleep(uncut.mul_f64(moment(round))).await;
        if round % 3 == 0 {
            rotation.kill().and_then(|()| rotation.wait()).expect("it can be killed");
            server.stop();
        } else {
            server.kill();
            if round % 3 == 1 {
                rotation.kill().expect("it can be killed");
                rotation.wait().expect("it ends");
            } else {
                let ended = rotation.wait_with_output().expect("it ends");
                assert!(ended.status.success(), "round {round}: {}", text(&ended.stderr));
            }
        }
        let answered = load.await.expect("no panic");
        let found = verified(&site, &keys)["keys"].as_u64().expect("a number");
        // One may have been on its way when nobody answered any more.
        let expected = known + answered.len() as u64..=known + answered.len() as u64 + 1;
        assert!(expected.contains(&found), "round {round}: {found} keys, not {expected:?}");
        let before = known;
        (known, issued) = (found, issued + answered.len());
        let left = site.keys(&["retire", retired, "--json"], &settings).json()["needed_by"].as_u64();
        let left = left.expect("a number");
        cut_short += u32::from(left > 0);
        by_half += u32::from(0 < left && left < before);

        let server = site.serve(&settings);
        site.keys_json(&["rotate"], &settings);
        site.keys_json(&["retire", retired], &settings);
        let client = client.of(&server);
        for certificate in &answered {
            let detail = client.get(&format!("/certificates/{}/private-key", certificate["id"])).await;
            assert_eq!(detail["private_key"], certificate["private_key"], "round {round}");
        }
        server.stop();
        (from, to) = (to, from);
    }
    assert!(cut_short > 0, "every key was moved before a kill: more are needed");
    assert!(by_half > 0 || kill_rounds() < MANY, "no kill found some keys moved and some not");
    assert!(issued > 0, "nothing was issued beside a rotation");
}

/// Issues a certificate every few milliseconds; those that were answered.
async fn issue_until_nobody_answers(client: Client) -> Vec<Value> {
    let mut answered = Vec::new();
    while let Some(certificate) = client.issue(1).await {
        answered.push(certificate);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answered
}

/// What `fastpki keys verify` found, which must be well.
fn verified(site: &Site, keys: &str) -> Value {
    let found = site.keys_json(&["verify"], &under(keys));
    assert_eq!(found["unreadable"]["count"], 0, "{found}");
    found
}

/// A database with enough private keys to be caught at work.
struct Furnished {
    client: Client,
    /// Of each private key that there is, many times over.
    secrets: Vec<String>,
}

impl Furnished {
    async fn make(site: &Site, settings: &[(&str, &str)]) -> Self {
        let server = site.serve(settings);
        let client = Client::first(&server.base_url).await;
        let ca = client.create_ca().await;
        let mut issued = vec![client.get(&format!("/cas/{ca}/private-key")).await];
        for _ in 0..ISSUED {
            issued.push(client.issue(ca).await.expect("an answer"));
        }
        server.stop();
        let copies = (KEYS - 1) / ISSUED - 1;
        site.database.script(&COPY.replace("{copies}", &copies.to_string())).await;
        if site.database.file().is_none() {
            site.database.script(SET_SEQUENCE).await;
        }
        let secret = |issued: &Value| secret_line(issued["private_key"].as_str().expect("a key"));
        Self { client, secrets: issued.iter().map(secret).collect() }
    }
}

/// When to kill, as a part of the time that the work takes: ever other moments, evenly spread.
fn moment(round: u64) -> f64 {
    (0.5 + round as f64 * GOLDEN).fract()
}

const GOLDEN: f64 = 0.618_033_988_749_895;
/// Certificates that are issued; the others are their copies.
const ISSUED: u64 = 10;
/// With the CA's.
const KEYS: u64 = 3001;
/// Rounds, of which one at least must find a work half done.
const MANY: u64 = 20;
const COPY: &str = "
    INSERT INTO certificates (id, common_name, subject_dn, certificate_type, key_size, valid_days, status,
        created_at, updated_at, private_key, encryption_key_fingerprint, certificate, serial_number, not_before,
        not_after, issuer_id, organization_id, is_csr_origin, key_type)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies})
    SELECT n * 10 + id, common_name, subject_dn, certificate_type, key_size, valid_days, status,
        created_at, updated_at, private_key, encryption_key_fingerprint, certificate, CAST(n * 10 + id AS VARCHAR),
        not_before, not_after, issuer_id, organization_id, is_csr_origin, key_type
    FROM certificates, numbers";
const SET_SEQUENCE: &str = "
    SELECT setval(pg_get_serial_sequence('certificates', 'id'), MAX(id)) FROM certificates";
