//! `fastpki keys`, and the keys of a running server.

pub(crate) mod fixture;
mod running;

use std::{collections::BTreeSet, fs, process::Command};

use fastpki_testing::{Database, Kind, on_both_databases};
use serde_json::{Value, json};

use self::fixture::{BOTH, Issued, NEW, NEW_FINGERPRINT, OLD, OLD_FINGERPRINT, store, stored, under};
use crate::program::{PROGRAM, Ran, Site, generated_key, python, run, secret_line, text};

on_both_databases! {
    generated_key_has_the_same_fingerprint_everywhere,
    status_counts_keys_by_what_they_lie_under,
    verify_tells_keys_that_cannot_be_used,
    encrypt_leaves_no_key_in_plaintext,
    encrypt_changes_nothing_where_it_must_not,
    rotate_moves_every_key_while_a_server_issues,
    decrypt_wants_to_be_told_twice_and_puts_keys_into_plaintext,
    retire_tells_whether_a_key_is_needed,
    wipe_leaves_nothing_of_old_tokens,
    commands_are_in_the_audit_log,
    no_command_prints_a_private_key,
    python_reads_what_the_server_wrote_and_the_server_what_python_wrote,
}

#[test]
fn every_help_says_what_it_does_and_gives_an_example() {
    let help = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).args(arguments).env_clear().output().expect("the program starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
        text(&output.stdout)
    };
    let all = help(&["keys", "--help"]);
    let (_, commands) = all.split_once("Commands:\n").expect("a list of commands");
    let commands: Vec<(&str, &str)> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim().split_once(' '))
        .filter(|(name, _)| *name != "help")
        .collect();
    let names: Vec<&str> = commands.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["generate", "status", "verify", "encrypt", "rotate", "decrypt", "retire", "wipe"]);
    for (name, about) in commands {
        let help = help(&["keys", name, "--help"]);
        assert!(help.starts_with(about.trim()), "{about:?}: {help}");
        let (described, example) = help.split_once("\nExample").expect("an example");
        assert!(
            described.split_once("\n\nUsage:").is_some_and(|(about, _)| about.lines().count() > 2),
            "{help}"
        );
        assert!(example.contains(&format!("fastpki keys {name}")), "{help}");
        assert!(!help.split_whitespace().any(|word| word.len() == 44 && word.ends_with('=')), "{help}");
    }
}

#[test]
fn commands_make_no_database() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    for command in COMMANDS {
        let ran = site.keys(command, &under(OLD));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("there is no database ./fastpki.db"), "{ran:?}");
        assert!(ran.stderr.contains("set DATABASE_URL") && ran.stdout.is_empty(), "{ran:?}");
    }
    assert_eq!(fs::read_dir(site.folder.path()).expect("a folder").count(), 0);
}

#[test]
fn key_that_cannot_be_printed_is_an_error_and_no_panic() {
    let generate = |stdout: fs::File| {
        let mut command = Command::new(PROGRAM);
        command.args(["keys", "generate"]).env_clear().stdout(stdout);
        command.output().expect("the program starts")
    };
    let full = generate(fs::File::options().write(true).open("/dev/full").expect("a full device"));
    assert_eq!(full.status.code(), Some(1));
    assert!(text(&full.stderr).starts_with("error: standard output: No space left"), "{full:?}");
    // Nobody reads it: `fastpki … | head -0`.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let unread = generate(fs::File::from(std::os::fd::OwnedFd::from(writer)));
    assert!(unread.status.success() && unread.stderr.is_empty(), "{unread:?}");
}

async fn generated_key_has_the_same_fingerprint_everywhere(database: Database) {
    let site = Site::of(database);
    site.serve(&[]).stop();
    let printed = Command::new(PROGRAM).args(["keys", "generate", "--json"]).env_clear().output();
    let printed: Value = serde_json::from_slice(&printed.expect("the program starts").stdout).expect("JSON");
    let [json_key, fingerprint] = ["key", "fingerprint"].map(|name| printed[name].as_str().expect("text"));
    assert_eq!(printed.as_object().expect("an object").len(), 2);
    let set = format!("{json_key},{}", generated_key());
    let keys = site.keys_json(&["status"], &under(&set))["keys"].clone();
    assert_eq!(keys[0], fingerprint);
    assert_eq!(keys.as_array().expect("a list").len(), 2);
    assert_ne!(keys[0], keys[1]);
}

async fn status_counts_keys_by_what_they_lie_under(database: Database) {
    let site = Site::of(database);
    let mut issued = Issued::first(&site, &under(OLD), 4).await;
    let server = site.serve(&under(BOTH));
    issued.more(&server, 2).await;
    server.stop();
    let pem = issued.certificates[1]["private_key"].as_str().expect("a key").to_owned();
    store(&site, 2, &pem).await;
    store(&site, 3, "gAAAAAnonsense").await;

    let status = site.keys_json(&["status"], &under(BOTH));
    let (new, old) = (NEW_FINGERPRINT, OLD_FINGERPRINT);
    assert_eq!(status["keys"], json!([new, old]));
    let expected = json!({
        "certificate_authorities": {"keys": 1, "under": {old: 1}, "plaintext": 0, "unreadable": 0},
        "certificates": {"keys": 6, "under": {new: 2, old: 2}, "plaintext": 1, "unreadable": 1},
    });
    assert_eq!(status["tables"], expected);
    assert_eq!(status["unreadable"]["count"], 1);
    assert_eq!(status["unreadable"]["first"][0]["id"], 3);
    assert_eq!(status["traces_left"], false);

    let ran = site.keys(&["status"], &under(BOTH));
    assert_eq!(ran.code, 0, "{ran:?}");
    let words: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["encryption", "key", new, "encrypts", "and", "decrypts"]);
    assert_eq!(words[1], ["encryption", "key", old, "decrypts"]);
    assert_eq!(
        words[2],
        ["table", "private", "keys", "under", new, "under", old, "in", "plaintext", "unreadable"]
    );
    assert_eq!(words[3], ["certificate_authorities", "1", "0", "1", "0", "0"]);
    assert_eq!(words[4], ["certificates", "6", "2", "2", "1", "1"]);
    assert!(
        ran.stdout.contains("the private key of certificate 3 'www.example.com' cannot be decrypted"),
        "{ran:?}"
    );
}

async fn verify_tells_keys_that_cannot_be_used(database: Database) {
    let site = Site::of(database);
    Issued::first(&site, &under(OLD), 3).await;
    let ran = site.keys(&["verify"], &under(OLD));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with("all 4 private keys can be read"), "{ran:?}");
    let well = json!({"keys": 4, "encrypted": 4, "plaintext": 0, "unreadable": {"count": 0, "first": []}});
    assert_eq!(site.keys_json(&["verify"], &under(OLD)), well);

    let stored = stored(&site).await;
    store(&site, 1, &stored[2]).await;
    store(&site, 2, &stored[1]).await;
    let ran = site.keys(&["verify"], &under(OLD));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("2 private keys cannot be used:\n"), "{ran:?}");
    for id in [1, 2] {
        let line = format!(
            "the private key of certificate {id} 'www.example.com' does not belong to its certificate"
        );
        assert!(ran.stdout.contains(&line), "{ran:?}");
    }
    let found = site.keys(&["verify", "--json"], &under(OLD));
    assert_eq!(found.code, 1);
    let found = found.json();
    assert_eq!((&found["keys"], &found["encrypted"], &found["plaintext"]), (&json!(4), &json!(2), &json!(0)));
    assert_eq!(found["unreadable"]["count"], 2);
    for (place, id) in [(0, 1), (1, 2)] {
        let first = &found["unreadable"]["first"][place];
        assert_eq!(first["kind"], "certificate");
        assert_eq!((&first["id"], &first["name"]), (&json!(id), &json!("www.example.com")));
        assert!(first["reason"].as_str().is_some_and(|reason| reason.contains("tampering")), "{first}");
    }

    let found = site.keys(&["verify", "--json"], &under(NEW));
    assert_eq!(found.code, 1);
    let unreadable = found.json()["unreadable"].clone();
    assert_eq!((&unreadable["count"], &unreadable["first"][0]["kind"]), (&json!(4), &json!("ca")));
    let reason = unreadable["first"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains(OLD_FINGERPRINT), "{reason}");
}

async fn encrypt_leaves_no_key_in_plaintext(database: Database) {
    let site = Site::of(database);
    let issued = Issued::first(&site, &[], 3).await;
    assert!(stored(&site).await.iter().all(|key| key.starts_with("-----BEGIN PRIVATE KEY-----")));
    let secrets: Vec<String> = issued.private_keys().iter().map(|key| secret_line(key)).collect();
    site.leave_copies().await;
    assert!(site.traces(&secrets).await > 0);
    let ran = site.keys(&["encrypt"], &under(OLD));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("4 private keys were encrypted\n"), "{ran:?}");
    assert!(ran.stdout.contains("copies elsewhere are yours to destroy"), "{ran:?}");
    assert!(stored(&site).await.iter().all(|key| key.starts_with("gAAAAA")));
    assert_eq!(site.traces(&secrets).await, 0);
    let again = site.keys_json(&["encrypt"], &under(OLD));
    assert_eq!(again, json!({"keys": 0, "unreadable": {"count": 0, "first": []}, "traces": "none"}));
    let server = site.serve(&under(OLD));
    issued.are_exported(&server).await;
    server.stop();
}

async fn encrypt_changes_nothing_where_it_must_not(database: Database) {
    let site = Site::of(database);
    Issued::first(&site, &[], 2).await;
    let before = stored(&site).await;
    for command in ["encrypt", "rotate"] {
        let ran = site.keys(&[command], &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("make one with `fastpki keys generate`"), "{ran:?}");
        assert!(ran.stderr.contains("set PRIVATE_KEY_ENCRYPTION_KEY"), "{ran:?}");
    }
    assert_eq!(stored(&site).await, before);

    store(&site, 2, "-----BEGIN NOTHING-----").await;
    let before = stored(&site).await;
    for command in [&["encrypt"][..], &["decrypt", "--yes"]] {
        let ran = site.keys(command, &under(OLD));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("certificate 2 'www.example.com'"), "{ran:?}");
        assert_eq!(stored(&site).await, before);
    }
}

async fn rotate_moves_every_key_while_a_server_issues(database: Database) {
    let site = Site::of(database);
    let mut issued = Issued::first(&site, &under(OLD), 40).await;
    let server = site.serve(&under(BOTH));
    let client = issued.client.of(&server);
    let rotation = {
        let site = site.clone();
        tokio::task::spawn_blocking(move || site.keys_json(&["rotate"], &under(BOTH)))
    };
    let mut meanwhile = Vec::new();
    while !rotation.is_finished() {
        meanwhile.push(client.issue(1).await.expect("the server goes on issuing"));
    }
    assert_eq!(rotation.await.expect("it ends")["keys"], 41);
    assert!(meanwhile.len() > 1, "{} were issued", meanwhile.len());
    issued.certificates.extend(meanwhile);
    let again = site.keys_json(&["rotate"], &under(BOTH));
    assert_eq!((&again["keys"], &again["unreadable"]["count"]), (&json!(0), &json!(0)));
    server.stop();

    let server = site.serve(&under(NEW));
    issued.are_exported(&server).await;
    server.stop();
}

async fn decrypt_wants_to_be_told_twice_and_puts_keys_into_plaintext(database: Database) {
    let site = Site::of(database);
    let issued = Issued::first(&site, &under(OLD), 3).await;
    let before = stored(&site).await;
    let ran = site.keys(&["decrypt"], &under(OLD));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("say --yes"), "{ran:?}");
    assert_eq!(stored(&site).await, before);

    let ran = site.keys(&["decrypt", "--yes"], &under(OLD));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "4 private keys were put into plaintext\n"), "{ran:?}");
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    assert_eq!(sorted(stored(&site).await), sorted(issued.private_keys()));
    let remembered = site.database.peek(REMEMBERED).await;
    assert_eq!(remembered, ["0"]);
    let server = site.serve(&[]);
    issued.are_exported(&server).await;
    server.stop();
}

async fn retire_tells_whether_a_key_is_needed(database: Database) {
    let site = Site::of(database);
    Issued::first(&site, &under(OLD), 3).await;
    let (new, old) = (NEW_FINGERPRINT, OLD_FINGERPRINT);
    let ran = site.keys(&["retire", old], &under(BOTH));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.starts_with(&format!(
            "4 private keys need the encryption key {old}: run `fastpki keys rotate` first"
        )),
        "{ran:?}"
    );
    let ran = site.keys(&["retire", old, "--json"], &under(BOTH));
    let none = json!({"count": 0, "first": []});
    assert_eq!((ran.code, ran.json()), (1, json!({"fingerprint": old, "needed_by": 4, "unreadable": none})));

    site.keys_json(&["rotate"], &under(BOTH));
    let ran = site.keys(&["retire", old], &under(BOTH));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("no private key needs"), "{ran:?}");
    let retired = json!({"fingerprint": old, "needed_by": 0, "unreadable": none});
    assert_eq!(site.keys_json(&["retire", old], &under(BOTH)), retired);

    let refused = |fingerprint: &str, code: i32, what: &str, to_do: &str| {
        let ran = site.keys(&["retire", fingerprint], &under(BOTH));
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
        assert!(ran.stderr.contains(what) && ran.stderr.contains(to_do), "{ran:?}");
    };
    refused(new, 1, "is the first key", "put another in front of it");
    refused(
        "0123456789abcdef",
        1,
        "no encryption key with fingerprint 0123456789abcdef",
        "`fastpki keys status`",
    );
    refused("the old one", 2, "not a fingerprint", "as `fastpki keys status` shows them");
}

async fn wipe_leaves_nothing_of_old_tokens(database: Database) {
    let site = Site::of(database);
    Issued::first(&site, &under(OLD), 20).await;
    let tokens = stored(&site).await;
    let server = site.serve(&under(BOTH));
    // What takes long to wipe is left until the operator says so.
    site.database.script(large_row(&site)).await;
    site.leave_copies().await;
    let rotated = site.keys_json(&["rotate"], &under(BOTH));
    assert_eq!((&rotated["keys"], &rotated["traces"]), (&json!(21), &json!("left")));
    assert_eq!(site.keys_json(&["status"], &under(BOTH))["traces_left"], true);
    let (left, lying) = (site.traces(&tokens).await, stored(&site).await);
    assert!(left > 0, "there is nothing to wipe");

    assert_eq!(site.keys_json(&["wipe"], &under(BOTH)), json!({"traces": "wiped"}));
    assert_eq!(site.traces(&tokens).await, 0);
    assert!(site.traces(&lying).await > 0, "this finds nothing, whatever there is");
    assert_eq!(site.keys_json(&["status"], &under(BOTH))["traces_left"], false);
    server.stop();
    assert_eq!(site.traces(&tokens).await, 0);
}

async fn commands_are_in_the_audit_log(database: Database) {
    let site = Site::of(database);
    let issued = Issued::first(&site, &[], 1).await;
    let (new, old) = (NEW_FINGERPRINT, OLD_FINGERPRINT);
    site.keys_json(&["status"], &under(OLD));
    site.keys_json(&["encrypt"], &under(OLD));
    site.keys_json(&["verify"], &under(OLD));
    site.keys_json(&["rotate"], &under(BOTH));
    site.keys_json(&["retire", old], &under(BOTH));
    site.keys_json(&["wipe"], &under(BOTH));
    site.keys_json(&["decrypt", "--yes"], &under(BOTH));
    let server = site.serve(&[]);
    let entries = issued.client.of(&server).get("/audit-logs/?limit=1000").await;
    let entries = entries.as_array().expect("a list").iter().rev();
    let done: Vec<(&str, &str)> = entries
        .filter(|entry| entry["username"] == "fastpki keys")
        .map(|entry| (entry["action"].as_str().expect("text"), entry["detail"].as_str().expect("text")))
        .collect();
    let expected = [
        ("keys_encrypt", format!("Encrypting 2 private keys under the encryption key {old}")),
        ("keys_encrypt", format!("Encrypted 2 private keys under the encryption key {old}")),
        ("keys_wipe", WIPED.to_owned()),
        ("keys_verify", "Read 2 private keys: 2 encrypted, 0 in plaintext, 0 that cannot be used".to_owned()),
        ("keys_rotate", format!("Moving all private keys under the encryption key {new}")),
        ("keys_rotate", format!("Moved 2 private keys under the encryption key {new}; 0 cannot be read")),
        ("keys_wipe", WIPED.to_owned()),
        ("keys_retire", format!("The encryption key {old} is not needed any more")),
        ("keys_wipe", WIPED.to_owned()),
        ("keys_decrypt", "Putting all private keys into plaintext".to_owned()),
        ("keys_decrypt", "Put 2 private keys into plaintext".to_owned()),
    ];
    assert_eq!(done, expected.each_ref().map(|(action, detail)| (*action, detail.as_str())));
    server.stop();
}

/// [`Site::keys`] looks at what each prints; here every command runs, well and badly, in text and in JSON.
async fn no_command_prints_a_private_key(database: Database) {
    let site = Site::of(database);
    let issued = Issued::first(&site, &[], 2).await;
    let mut ran: Vec<Ran> = Vec::new();
    for settings in [under(OLD), under(BOTH), under(NEW), under("no key")] {
        for command in COMMANDS {
            ran.push(site.keys(command, &settings));
            ran.push(site.keys(&[command, &["--json"]].concat(), &settings));
        }
        // The last command put them into plaintext.
        if settings == under(NEW) {
            store(&site, 1, &issued.private_keys()[2]).await;
        } else {
            site.keys(&["encrypt"], &under(OLD));
        }
    }
    for code in [0, 1] {
        assert!(ran.iter().filter(|ran| ran.code == code).count() > 10, "{ran:#?}");
    }
    let keys = issued.private_keys();
    let lines: BTreeSet<&str> = keys.iter().flat_map(|key| key.lines()).collect();
    for ran in ran {
        let leaked = lines.iter().find(|line| ran.stdout.contains(**line) || ran.stderr.contains(**line));
        assert_eq!(leaked, None, "{ran:?}");
        assert!(!ran.stderr.contains("no key,") && !ran.stderr.contains("'no key'"), "{ran:?}");
    }
}

async fn python_reads_what_the_server_wrote_and_the_server_what_python_wrote(database: Database) {
    let site = Site::of(database);
    let mut issued = Issued::first(&site, &under(OLD), 2).await;
    let server = site.serve(&under(BOTH));
    issued.more(&server, 2).await;
    server.stop();

    let tokens = stored(&site).await;
    assert_eq!(tokens.len(), 5);
    let read = python(DECRYPT, &json!({"keys": [NEW, OLD], "tokens": tokens}).to_string());
    assert_eq!(serde_json::from_str::<Vec<String>>(&read).expect("JSON"), issued.private_keys());
    let read = python(DECRYPT, &json!({"keys": [OLD], "tokens": tokens[..3]}).to_string());
    assert_eq!(serde_json::from_str::<Vec<String>>(&read).expect("JSON"), issued.private_keys()[..3]);

    let pems = &issued.private_keys()[1..];
    let written = python(ENCRYPT, &json!({"keys": [NEW, OLD, OLD, NEW], "texts": pems}).to_string());
    for (id, token) in (1..).zip(serde_json::from_str::<Vec<String>>(&written).expect("JSON")) {
        assert_ne!(token, tokens[id]);
        store(&site, id, &token).await;
    }
    let server = site.serve(&under(BOTH));
    issued.are_exported(&server).await;
    server.stop();
}

/// A certificate without a private key that takes more room than is wiped without asking.
fn large_row(site: &Site) -> &'static str {
    if site.database.file().is_some() {
        "INSERT INTO certificates (id, common_name, subject_dn, certificate_type, key_size, valid_days, status,
             created_at, updated_at, certificate, serial_number, not_before, not_after)
         SELECT 1000, common_name, replace(hex(zeroblob(5000000)), '0', '.'), certificate_type, key_size, valid_days, status,
             created_at, updated_at, certificate, '1000', not_before, not_after
         FROM certificates WHERE id = 1"
    } else {
        "INSERT INTO certificates (id, common_name, subject_dn, certificate_type, key_size, valid_days, status,
             created_at, updated_at, certificate, serial_number, not_before, not_after)
         SELECT 1000, common_name, (SELECT string_agg(translate(md5(n::text), '0123456789abcdef', '!#$%&()*,.:;<>?@'), '')
              FROM generate_series(1, 300000) AS n),
             certificate_type, key_size, valid_days, status,
             created_at, updated_at, certificate, '1000', not_before, not_after
         FROM certificates WHERE id = 1"
    }
}

/// All that work on a database.
const COMMANDS: [&[&str]; 7] = [
    &["status"],
    &["verify"],
    &["encrypt"],
    &["rotate"],
    &["retire", OLD_FINGERPRINT],
    &["wipe"],
    &["decrypt", "--yes"],
];
const WIPED: &str = "Overwrote what was left of private keys as they lay before";
const REMEMBERED: &str = "
    SELECT (SELECT COUNT(encryption_key_fingerprint) FROM certificate_authorities)
         + (SELECT COUNT(encryption_key_fingerprint) FROM certificates)";
const DECRYPT: &str = "
import json, sys
from cryptography.fernet import Fernet, MultiFernet
given = json.load(sys.stdin)
keys = [Fernet(key) for key in given['keys']]
keys = MultiFernet(keys) if len(keys) > 1 else keys[0]
print(json.dumps([keys.decrypt(token).decode() for token in given['tokens']]))
";
const ENCRYPT: &str = "
import json, sys
from cryptography.fernet import Fernet
given = json.load(sys.stdin)
pairs = zip(given['keys'], given['texts'], strict=True)
print(json.dumps([Fernet(key).encrypt(text.encode()).decode() for key, text in pairs]))
";
