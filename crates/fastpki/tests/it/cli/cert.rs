use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use fastpki_testing::{Database, Kind, on_both_databases};
use serde_json::{Value, json};

use super::{Person, serve};
use crate::program::text;

on_both_databases! {
    certificates_are_issued_shown_searched_and_revoked,
    certificate_is_found_by_serial_fingerprint_and_file,
    out_dir_gets_certificate_key_and_chain,
    key_of_a_request_stays_here,
    certificates_are_renewed,
}

async fn certificates_are_issued_shown_searched_and_revoked(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    let created = root.json(&[
        "cert",
        "create",
        "--ca",
        "2",
        "--cn",
        "www.example.com",
        "--subject-dn",
        "CN=www.example.com,O=Example",
        "--type",
        "dual_purpose",
        "--key-type",
        "ec",
        "--valid-days",
        "20",
        "--san-dns",
        "www.example.com",
        "--san-dns",
        "example.com",
        "--san-ip",
        "192.0.2.1",
        "--san-email",
        "www@example.com",
    ]);
    let expected = json!({"common_name": "www.example.com", "subject_dn": "CN=www.example.com,O=Example",
        "certificate_type": "dual_purpose", "key_type": "ec", "valid_days": 20, "issuer_id": 2});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&created[field], value, "{field}");
    }
    let sans =
        openssl(&["x509", "-noout", "-ext", "subjectAltName"], created["certificate"].as_str().unwrap());
    for name in ["DNS:www.example.com", "DNS:example.com", "IP Address:192.0.2.1", "email:www@example.com"] {
        assert!(sans.contains(name), "{name}: {sans}");
    }
    let ran = root
        .run(&["cert", "create", "-c", "2", "-n", "alice", "-t", "client", "--key-type", "ec"])
        .succeeded();
    assert!(!ran.stdout.contains("PRIVATE") && ran.stderr.contains("export cert-key"), "{ran:?}");
    let keyless =
        ["cert", "create", "-c", "2", "-n", "bob", "-t", "client", "--key-type", "ec", "--no-private-key"];
    assert_eq!(root.json(&keyless)["private_key"], Value::Null);

    for (arguments, path) in [
        (["cert", "list"].as_slice(), "/certificates/?limit=100"),
        (
            &["cert", "list", "--ca", "2", "--skip", "1", "--limit", "1"],
            "/certificates/?ca_id=2&skip=1&limit=1",
        ),
        (&["cert", "show", "1"], "/certificates/1"),
        (&["cert", "private-key", "1"], "/certificates/1/private-key"),
    ] {
        let json = root.run(&[arguments, &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stdout, root.api(path).await + "\n", "{arguments:?}");
        root.run(arguments).succeeded();
    }
    let table = root.prints(&["cert", "list"]);
    assert!(table.lines().nth(1).unwrap().ends_with("expires in 19 days"), "{table}");
    let words = root.run(&["cert", "list", "--limit", "2"]).succeeded().stderr;
    assert_eq!(words, "3 in all: more with --skip 2\n");
    let words = root.refused(&["cert", "private-key", "3"]);
    assert!(words.contains("holds no private key"), "{words}");

    for (search, ids) in [
        (["--all"].as_slice(), [1, 2, 3].as_slice()),
        (&["--sort", "common_name"], &[2, 3, 1]),
        (&["--sort=-common_name", "--skip", "1", "--limit", "1"], &[3]),
        (&["--sort", "not_after", "--type", "client"], &[2, 3]),
        (&["--sort=-id"], &[3, 2, 1]),
        (&["--expires-in", "30d"], &[1]),
        (&["--expires-in", "2w"], &[]),
        (&["--expires-after", "2020-01-01", "--expires-before", "2020-02-01"], &[]),
        (&["--cn", "EXAMPLE"], &[1]),
        (&["--status", "revoked"], &[]),
        (&["--status", "valid", "--ca", "1"], &[]),
    ] {
        assert_eq!(ids_of(&root.json(&[&["cert", "list"], search].concat())), ids, "{search:?}");
    }

    let words = root.refused(&["cert", "revoke", "1"]);
    assert!(words.contains("www.example.com") && words.contains("--force"), "{words}");
    let revoked = root.json(&["cert", "revoke", "1", "--reason", "key_compromise", "--force"]);
    assert_eq!(revoked["status"], "revoked");
    assert!(root.prints(&["cert", "list", "--status", "revoked"]).contains("revoked"));
    let words = root.refused(&["cert", "revoke", "1", "-f"]);
    assert!(words.starts_with("error: conflict (409)"), "{words}");
}

async fn certificate_is_found_by_serial_fingerprint_and_file(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    root.run(&["cert", "create", "-c", "2", "--cn", "a.example", "--key-type", "ec", "--out-dir", "a"])
        .succeeded();
    root.run(&["cert", "create", "-c", "2", "--cn", "b.example", "--key-type", "ec", "--out-dir", "b"])
        .succeeded();
    let pem = root.read("b/b.example.crt");
    std::fs::write(root.folder().join("b.der"), openssl_bytes(&["x509", "-outform", "DER"], &pem)).unwrap();
    let printed = |what: &str| {
        let printed = openssl(&["x509", "-noout", what, "-sha256"], &pem);
        printed.trim_end().rsplit('=').next().expect("a value").to_owned()
    };
    let (serial, fingerprint) = (printed("-serial"), printed("-fingerprint"));
    for what in [
        &serial,
        &serial.to_lowercase(),
        &format!("0x{serial}"),
        &fingerprint,
        &fingerprint.replace(':', "").to_lowercase(),
        "b/b.example.crt",
        "b/fullchain.pem",
        "b.der",
    ] {
        assert_eq!(ids_of(&root.json(&["cert", "find", what])), [2], "{what}");
    }
    assert!(root.prints(&["cert", "find", &serial]).contains("b.example"));

    for nowhere in ["abcdef", &"0".repeat(64), "a/chain.pem"] {
        let ran = root.run(&["cert", "find", nowhere, "-o", "json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, "[]\n"), "{nowhere}: {ran:?}");
    }
    for nonsense in ["no-such-file.crt", &"a".repeat(50)] {
        assert_eq!(root.run(&["cert", "find", nonsense]).code, 2, "{nonsense}");
    }
}

async fn out_dir_gets_certificate_key_and_chain(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    let create =
        ["cert", "create", "-c", "2", "--cn", "*.example.com", "--key-type", "ec", "--out-dir", "new/ssl"];
    let ran = root.run(&[create.as_slice(), &["-o", "json"]].concat()).succeeded();
    let created = ran.json();
    assert!(ran.stderr.contains("new/ssl/_wildcard.example.com.key"), "{ran:?}");
    let expected = ["_wildcard.example.com.crt", "_wildcard.example.com.key", "chain.pem", "fullchain.pem"];
    assert_eq!(names(&root.folder().join("new/ssl")), expected);
    let read = |name: &str| root.read(&format!("new/ssl/{name}"));
    assert_eq!(read(expected[0]), created["certificate"].as_str().unwrap());
    assert_eq!(read(expected[1]), created["private_key"].as_str().unwrap());
    assert_eq!(read(expected[3]), read(expected[0]) + &read(expected[2]));
    let mode = |name: &str| {
        root.folder().join("new/ssl").join(name).metadata().unwrap().permissions().mode() & 0o777
    };
    assert_eq!(expected.map(mode), [0o644, 0o600, 0o644, 0o644]);
    verify(&root, "new/ssl", "_wildcard.example.com.crt");

    let before = root.json(&["cert", "list"]);
    let words = root.refused(&create);
    assert!(words.contains("there is a key already"), "{words}");
    assert_eq!(root.json(&["cert", "list"]), before, "nothing was issued");
    root.run(&[create.as_slice(), &["--force"]].concat()).succeeded();
    assert_ne!(read(expected[1]), created["private_key"].as_str().unwrap());

    std::fs::write(root.folder().join("file"), "").unwrap();
    let words = root.refused(&["cert", "renew", "1", "--out-dir", "file"]);
    assert!(words.contains("file"), "{words}");
    std::fs::create_dir_all(root.folder().join("blocked/www.crt")).unwrap();
    let words = root.refused(&["cert", "renew", "1", "--out-dir", "blocked", "--out-name", "www"]);
    assert!(words.contains("certificate 3 was issued, but not written"), "{words}");
    assert_eq!(names(&root.folder().join("blocked")), ["www.crt"]);
}

async fn key_of_a_request_stays_here(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    for (id, (family, authority)) in
        [("ec", ["--ca", "2"]), ("ed25519", ["--ca-name", "Issuing"]), ("rsa", ["-c", "2"])]
            .into_iter()
            .enumerate()
    {
        let request = [
            "cert",
            "request",
            "--cn",
            "db.example.com",
            "--key-type",
            family,
            "--san-ip",
            "192.0.2.7",
            "--out-dir",
            family,
        ];
        let issued = root.json(&[request.as_slice(), &authority, &["--valid-days", "40"]].concat());
        assert_eq!((&issued["key_type"], &issued["valid_days"]), (&json!(family), &json!(40)));
        verify(&root, family, "db.example.com.crt");
        let key = root.read(&format!("{family}/db.example.com.key"));
        let public =
            openssl(&["x509", "-noout", "-pubkey"], &root.read(&format!("{family}/db.example.com.crt")));
        assert_eq!(openssl(&["pkey", "-pubout"], &key), public);
        let id = (id + 1).to_string();
        let words = root.refused(&["cert", "private-key", &id]);
        assert!(words.contains("holds no private key"), "{words}");
    }
    let again =
        ["cert", "request", "--cn", "db.example.com", "--key-type", "ec", "--ca", "2", "--out-dir", "ec"];
    assert!(root.refused(&again).contains("there is a key already"));
    assert_eq!(root.run(&again[..again.len() - 2]).code, 2, "without --out-dir");
    assert_eq!(root.run(&["cert", "request", "--cn", "a", "--out-dir", "x"]).code, 2, "without a CA");
    let refused =
        ["cert", "request", "--cn", "a.example", "--key-type", "ec", "--ca", "9", "--out-dir", "none"];
    let words = root.refused(&refused);
    assert!(words.contains("404") && words.contains("fastpki ca list"), "{words}");
    assert_eq!(names(&root.folder().join("none")), [""; 0]);
}

async fn certificates_are_renewed(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    root.run(&[
        "cert",
        "create",
        "-c",
        "2",
        "--cn",
        "www.example.com",
        "--key-type",
        "ec",
        "--out-dir",
        "ssl",
    ])
    .succeeded();
    let key = root.read("ssl/www.example.com.key");
    let renewed = root.json(&["cert", "renew", "1", "--out-dir", "ssl"]);
    assert_eq!(renewed["renewed_from_id"], 1);
    assert_ne!(root.read("ssl/www.example.com.key"), key);
    verify(&root, "ssl", "www.example.com.crt");

    let csr = |name: &str| {
        let files = ["-keyout", &format!("{name}.key"), "-out", &format!("{name}.csr")].map(str::to_owned);
        let new = [
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=db.example.com",
        ];
        let openssl = Command::new("openssl").args(new).args(files).current_dir(root.folder()).output();
        assert!(openssl.expect("openssl").status.success());
    };
    csr("first");
    csr("second");
    let signed = root.json(&[
        "cert",
        "sign-csr",
        "first.csr",
        "--ca-name",
        "Issuing",
        "-t",
        "client",
        "-n",
        "db2.example.com",
    ]);
    assert_eq!(
        (&signed["common_name"], &signed["certificate_type"]),
        (&json!("db2.example.com"), &json!("client"))
    );
    let piped = root
        .told(&["cert", "sign-csr", "-", "-c", "2", "-v", "10", "--out-dir", "csr"], &root.read("first.csr"));
    assert!(piped.succeeded().stdout.contains("expires in 9 days"));
    assert_eq!(names(&root.folder().join("csr")), ["chain.pem", "db.example.com.crt", "fullchain.pem"]);

    let words = root.refused(&["cert", "renew", "3"]);
    assert!(words.contains("csr_required") && words.contains("fastpki cert renew 3 --csr FILE"), "{words}");
    let words = root.refused(&["cert", "renew", "1", "--csr", "second.csr"]);
    assert!(words.contains("without --csr"), "{words}");
    assert_eq!(root.json(&["cert", "renew", "3", "--csr", "second.csr"])["renewed_from_id"], 3);
    assert!(root.prints(&["cert", "show", "3"]).contains("Renewed by"));
    root.run(&["cert", "revoke", "1", "--force"]).succeeded();
    let words = root.refused(&["cert", "renew", "1"]);
    assert!(words.contains("is revoked") && words.contains("fastpki cert renew 1 --revoked"), "{words}");
    assert_eq!(root.json(&["cert", "renew", "1", "--revoked"])["renewed_from_id"], 1);
    assert_eq!(root.run(&["cert", "sign-csr", "first.csr"]).code, 2, "without a CA");
    let words = root.refused(&["cert", "sign-csr", "missing.csr", "--ca", "2"]);
    assert!(words.contains("missing.csr"), "{words}");
}

#[test]
fn rights_and_types_are_told_when_they_lack() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(Kind::Sqlite).await);
        root.create_cas();
        let guest = root.another("guest", &[]);
        let words = guest.refused(&["cert", "create", "-c", "2", "--cn", "a.example", "--key-type", "ec"]);
        assert!(words.contains("not allowed (403)") && words.contains("fastpki auth status"), "{words}");
        assert_eq!(guest.run(&["cert", "create", "-c", "2", "--cn", "a", "--type", "toaster"]).code, 2);
    });
}

fn ids_of(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|item| item["id"].as_i64().expect("an id")).collect()
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Lets OpenSSL build the chain up to the root.
fn verify(person: &Person, folder: &str, leaf: &str) {
    person.run(&["export", "bundle", "-o", "roots.pem"]).succeeded();
    let chain = format!("{folder}/chain.pem");
    let mut openssl = Command::new("openssl");
    openssl.args(["verify", "-CAfile", "roots.pem", "-untrusted", &chain, &format!("{folder}/{leaf}")]);
    let output = openssl.current_dir(person.folder()).output().expect("openssl");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

pub(super) fn openssl(arguments: &[&str], input: &str) -> String {
    text(&openssl_bytes(arguments, input))
}

fn openssl_bytes(arguments: &[&str], input: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), input).expect("written");
    let output =
        Command::new("openssl").args(arguments).arg("-in").arg(file.path()).output().expect("openssl");
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output.stdout
}
