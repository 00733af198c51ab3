use std::{os::unix::fs::PermissionsExt, process::Command};

use fastpki_testing::{Database, on_both_databases};

use super::{cert::openssl, serve};
use crate::program::text;

on_both_databases! {
    certificates_and_keys_become_files,
    bundle_has_the_roots_above_what_one_sees,
}

async fn certificates_and_keys_become_files(database: Database) {
    let (_server, root) = serve(database);
    root.create_cas();
    root.run(&["cert", "create", "-c", "2", "--cn", "www.example.com", "--key-type", "ec"]).succeeded();
    for (command, id, file, mode) in [
        ("ca-cert", "1", "ca_1_certificate.pem", 0o644),
        ("ca-key", "1", "ca_1_private_key.pem", 0o600),
        ("cert", "1", "certificate_1.pem", 0o644),
        ("cert-key", "1", "certificate_1_private_key.pem", 0o600),
        ("cert-chain", "1", "certificate_1_chain.pem", 0o644),
    ] {
        let ran = root.run(&["export", command, id]).succeeded();
        assert_eq!((ran.stdout.as_str(), ran.stderr), ("", format!("written: {file}\n")));
        let content = root.read(file);
        assert_eq!(root.folder().join(file).metadata().unwrap().permissions().mode() & 0o777, mode, "{file}");
        assert_eq!(root.prints(&["export", command, id, "-o", "-"]), content, "{command}");
        root.run(&["export", command, id, "-o", "other"]).succeeded();
        assert_eq!(root.read("other"), content, "{command}");
        std::fs::remove_file(root.folder().join("other")).unwrap();

        let again = root.run(&["export", command, id]);
        assert_eq!(again.code, i32::from(mode == 0o600), "keys are not overwritten: {again:?}");
    }
    std::fs::write(root.folder().join("mine.key"), "mine").unwrap();
    let exports = || async { root.api("/audit-logs/?action=cert_export_private_key").await };
    let before = exports().await;
    let words = root.refused(&["export", "cert-key", "1", "-o", "mine.key"]);
    assert!(words.contains("mine.key") && words.contains("--force"), "{words}");
    assert_eq!(root.read("mine.key"), "mine");
    assert_eq!(exports().await, before, "it was not even asked for");
    root.run(&["export", "cert-key", "1", "-o", "mine.key", "--force"]).succeeded();
    assert!(root.read("mine.key").starts_with("-----BEGIN PRIVATE KEY-----"));

    root.run(&["export", "cert", "1", "--format", "der"]).succeeded();
    let mut der = Command::new("openssl");
    der.args(["x509", "-inform", "DER", "-in", "certificate_1.der"]).current_dir(root.folder());
    assert_eq!(text(&der.output().unwrap().stdout), root.read("certificate_1.pem"));
    let words = root.refused(&["export", "cert", "99"]);
    assert!(words.contains("404"), "{words}");
    pkcs12(&root);
}

fn pkcs12(root: &super::Person) {
    let words = root.told(&["export", "cert", "1", "--format", "p12"], "changeit").succeeded().stderr;
    assert_eq!(words, "written: certificate_1.p12\n");
    let mode = root.folder().join("certificate_1.p12").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let open = |file: &str, password: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs12", "-in", file, "-nodes", "-passin", &format!("pass:{password}")]);
        openssl.current_dir(root.folder()).output().expect("openssl")
    };
    let opened = open("certificate_1.p12", "changeit");
    let opened = text(&opened.stdout);
    assert_eq!(opened.matches("BEGIN CERTIFICATE").count(), 3, "{opened}");
    assert_eq!(openssl(&["pkey"], &opened), root.read("certificate_1_private_key.pem"));
    assert!(opened.contains("friendlyName: www.example.com"), "{opened}");
    assert!(!open("certificate_1.p12", "wrong").status.success());

    let own = ["cert", "request", "-c", "2", "--cn", "db.example.com", "--key-type", "ec", "--out-dir", "db"];
    root.run(&own).succeeded();
    std::fs::write(root.folder().join("password"), "from a file\n").unwrap();
    let p12 = ["export", "cert", "2", "--format", "p12", "--password-file", "password", "-o", "db.p12"];
    let words = root.refused(&p12);
    assert!(words.contains("--key FILE"), "{words}");
    let words = root.refused(&[p12.as_slice(), &["--key", "mine.key"]].concat());
    assert!(words.contains("key"), "the key of another certificate: {words}");
    assert!(!root.folder().join("db.p12").exists());
    root.run(&[p12.as_slice(), &["--key", "db/db.example.com.key"]].concat()).succeeded();
    assert!(open("db.p12", "from a file").status.success());
    let misuse = root.run(&["export", "cert", "2", "--key", "mine.key"]);
    assert_eq!(misuse.code, 2, "{misuse:?}");
}

async fn bundle_has_the_roots_above_what_one_sees(database: Database) {
    let (_server, root) = serve(database);
    let words = root.refused(&["export", "bundle"]);
    assert!(words.contains("no CA that you may see"), "{words}");
    root.create_cas();
    root.run(&["ca", "create", "-n", "Other Root", "--key-type", "ec"]).succeeded();
    root.run(&["export", "bundle"]).succeeded();
    let bundle = root.read("fastpki-ca-bundle.pem");
    let certificates = ["1", "2", "3"].map(|id| root.prints(&["export", "ca-cert", id, "-o", "-"]));
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(bundle.contains(&certificates[0]) && bundle.contains(&certificates[2]), "{bundle}");
    let all = root.prints(&["export", "bundle", "--all", "-o", "-"]);
    assert!(certificates.iter().all(|certificate| all.contains(certificate)), "{all}");
    assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 3);
}
