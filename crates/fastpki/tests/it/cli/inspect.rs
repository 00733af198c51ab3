//! What files are, without a server.

use super::serve;
use fastpki_testing::{Database, Kind};

#[test]
fn files_are_described_and_held_against_each_other() {
    crate::program::run(async {
        let (server, root) = serve(Database::create(Kind::Sqlite).await);
        root.create_cas();
        for name in ["a", "b"] {
            root.run(&["cert", "create", "-c", "2", "--cn", name, "--key-type", "ec", "--out-dir", name])
                .succeeded();
        }
        root.told(&["export", "cert", "1", "--format", "p12", "-o", "a.p12"], "changeit").succeeded();
        server.stop();

        let ran = root.run(&["inspect", "a/a.crt", "a/a.key", "a/chain.pem"]).succeeded();
        for part in
            ["a/a.crt: certificate CN=a", "SHA-256 fingerprint", "ok: a/a.key: the private key", "CN=Root"]
        {
            assert!(ran.stdout.contains(part), "{part}: {ran:?}");
        }
        let ran = root.run(&["inspect", "a/a.crt", "b/b.key"]);
        assert!(ran.code == 1 && ran.stdout.contains("WRONG: b/b.key:"), "{ran:?}");

        let json = root.json(&["inspect", "a/fullchain.pem", "a/a.key"]);
        assert_eq!(json["objects"].as_array().map(Vec::len), Some(4));
        assert_eq!(json["objects"][0]["fields"]["subject"][0], "CN=a");
        assert!(json["fits"].as_array().unwrap().iter().all(|fit| fit["fits"] == true), "{json}");

        let ran = root.run(&["inspect", "a.p12"]);
        assert!(ran.code == 1 && ran.stderr.contains("password"), "{ran:?}");
        std::fs::write(root.folder().join("password"), "changeit\n").unwrap();
        let opened = root.prints(&["inspect", "a.p12", "--password-file", "password"]);
        assert!(opened.contains("1 private keys, 3 certificates"), "{opened}");
        let piped = root.told(&["inspect", "-"], &root.read("a/a.crt")).succeeded();
        assert!(piped.stdout.starts_with("-: certificate CN=a"), "{piped:?}");
        for nothing in ["password", "missing"] {
            assert!(root.refused(&["inspect", nothing]).contains(nothing));
        }
    });
}
