//! What this crate encodes, OpenSSL reads and judges.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{path::Path, process::Command};

use fastpki_x509::{
    Certificate, CrlBuilder, Csr, KeyAlgorithm, Name, PrivateKey, Profile, Reason, Request, RevokedEntry,
    San, Serial, Urls, Validity, check_chain, complete_sans, intermediate_path_len,
};
use jiff::Timestamp;
use tempfile::TempDir;

const KEYS: [&str; 4] = [
    include_str!("../testdata/rsa2048.pkcs8.pem"),
    include_str!("../testdata/p256.pkcs8.pem"),
    include_str!("../testdata/p384.pkcs8.pem"),
    include_str!("../testdata/ed25519.pkcs8.pem"),
];

const ALGORITHMS: [KeyAlgorithm; 4] =
    [KeyAlgorithm::Rsa { bits: 2048 }, KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Ed25519];

/// A directory OpenSSL works in, with a root of one key and an intermediate of another.
struct Bench {
    dir: TempDir,
    root_key: PrivateKey,
    key: PrivateKey,
    root: Certificate,
    intermediate: Certificate,
}

impl Bench {
    fn new(root_key: &str, key: &str) -> Self {
        let (root_key, key) = (PrivateKey::from_pem(root_key).unwrap(), PrivateKey::from_pem(key).unwrap());
        let profile = Profile::Root { path_len: Some(2) };
        let root = request(profile, "CN=Root,O=Example\\, Inc.,C=SE", &root_key, 1);
        let root = root.prepare_self_signed(&root_key).unwrap().sign(&root_key).unwrap();
        let profile = Profile::Intermediate { path_len: intermediate_path_len(&root, None).unwrap() };
        let intermediate = request(profile, "CN=Intermediate,O=Example\\, Inc.,C=SE", &key, 2);
        let intermediate = intermediate.prepare(&root).unwrap().sign(&root_key).unwrap();
        let bench = Self { dir: TempDir::new().unwrap(), root_key, key, root, intermediate };
        bench.write("root.pem", bench.root.to_pem());
        bench.write("intermediate.pem", bench.intermediate.to_pem());
        bench
    }

    fn p256() -> Self {
        Self::new(KEYS[2], KEYS[1])
    }

    fn issue(&self, profile: Profile, subject: &str, key: &PrivateKey, sans: Vec<San>) -> Certificate {
        let mut request = request(profile, subject, key, 3);
        let common_name = request.subject.common_names().first().cloned().unwrap_or_default();
        request.sans = complete_sans(profile, &common_name, sans).unwrap().names;
        request.prepare(&self.intermediate).unwrap().sign(&self.key).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn openssl(&self, arguments: &str) -> (bool, String) {
        openssl(self.dir.path(), arguments)
    }

    fn accepts(&self, arguments: &str) -> String {
        let (accepted, output) = self.openssl(arguments);
        assert!(accepted, "openssl {arguments}: {output}");
        output
    }

    fn verifies(&self, purpose: &str, leaf: &Certificate) {
        self.write("leaf.pem", leaf.to_pem());
        self.accepts(&format!(
            "verify -x509_strict -policy_check -check_ss_sig -attime {} {purpose} -CAfile root.pem -untrusted intermediate.pem leaf.pem",
            now().as_second() + 60,
        ));
    }

    fn text(&self, certificate: &Certificate) -> String {
        self.write("shown.pem", certificate.to_pem());
        self.accepts("x509 -in shown.pem -noout -text -nameopt RFC2253")
    }
}

fn openssl(dir: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn now() -> Timestamp {
    "2027-03-01T10:00:00Z".parse().unwrap()
}

fn request(profile: Profile, subject: &str, key: &PrivateKey, serial: u8) -> Request {
    let mut bytes = [0x5a; 20];
    bytes[19] = serial;
    Request {
        profile,
        subject: Name::parse(subject).unwrap(),
        sans: Vec::new(),
        public_key: key.public_key().clone(),
        serial: Serial::from_random(bytes),
        validity: Validity::from(now(), 3650).unwrap(),
        urls: Some(Urls {
            crl: "http://pki.example.com/crl/x".to_owned(),
            ca: "http://pki.example.com/ca/x.crt".to_owned(),
        }),
    }
}

fn contains_all(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.contains(line), "{line:?} is missing in {text}");
    }
}

#[test]
fn chains_of_every_profile_and_key_verify_strictly() {
    let leaf_keys = ALGORITHMS.map(|it| PrivateKey::generate(it).unwrap());
    for (key, root_key) in KEYS.into_iter().zip(KEYS.into_iter().cycle().skip(1)) {
        let bench = Bench::new(root_key, key);
        for key in &leaf_keys {
            let server = bench.issue(Profile::Server, "CN=www.example.com", key, Vec::new());
            bench.verifies("-purpose sslserver -verify_hostname www.example.com", &server);
            let client = bench.issue(Profile::Client, "CN=alice@example.com", key, Vec::new());
            bench.verifies("-purpose sslclient -verify_email alice@example.com", &client);
            let dual = bench.issue(Profile::DualPurpose, "CN=192.0.2.1", key, Vec::new());
            bench.verifies("-purpose sslserver -verify_ip 192.0.2.1", &dual);
            bench.verifies("-purpose sslclient", &dual);
            let profile = Profile::Intermediate { path_len: Some(0) };
            bench.verifies("-purpose crlsign", &bench.issue(profile, "CN=Sub", key, Vec::new()));
        }
    }
}

#[test]
fn server_certificate_is_not_good_for_a_client() {
    let bench = Bench::p256();
    let key = PrivateKey::from_pem(KEYS[0]).unwrap();
    let server = bench.issue(Profile::Server, "CN=www.example.com", &key, Vec::new());
    bench.write("leaf.pem", server.to_pem());
    let at = now().as_second() + 60;
    let arguments = "-purpose sslclient -CAfile root.pem -untrusted intermediate.pem leaf.pem";
    let (accepted, output) = bench.openssl(&format!("verify -attime {at} {arguments}"));
    assert!(!accepted && output.contains("unsuitable certificate purpose"), "{output}");
}

#[test]
fn extensions_are_as_openssl_shows_them() {
    let bench = Bench::p256();
    contains_all(
        &bench.text(&bench.root),
        &[
            "Version: 3 (0x2)",
            "Serial Number:\n            5a:5a:5a",
            "Signature Algorithm: ecdsa-with-SHA384",
            "Issuer: C=SE,O=Example\\, Inc.,CN=Root",
            "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:2",
            "X509v3 Key Usage: critical\n                Digital Signature, Certificate Sign, CRL Sign",
            "Not Before: Mar  1 10:00:00 2027 GMT",
            "Not After : Feb 26 10:00:00 2037 GMT",
        ],
    );
    for absent in ["Authority", "Extended", "Alternative", "CRL Distribution"] {
        assert!(!bench.text(&bench.root).contains(absent));
    }
    contains_all(
        &bench.text(&bench.intermediate),
        &[
            "CA:TRUE, pathlen:1",
            "X509v3 CRL Distribution Points: \n                Full Name:\n                  URI:http://pki.example.com/crl/x",
            "CA Issuers - URI:http://pki.example.com/ca/x.crt",
            "X509v3 Authority Key Identifier:",
        ],
    );

    let sans = ["a.example", "*.example.com"].map(|it| San::parse_dns(it).unwrap()).to_vec();
    let rsa = PrivateKey::from_pem(KEYS[0]).unwrap();
    let leaf = bench.issue(Profile::DualPurpose, "CN=Some Host", &rsa, sans.clone());
    contains_all(
        &bench.text(&leaf),
        &[
            "X509v3 Basic Constraints: critical\n                CA:FALSE",
            "X509v3 Key Usage: critical\n                Digital Signature, Key Encipherment",
            "X509v3 Extended Key Usage: \n                TLS Web Server Authentication, TLS Web Client Authentication",
            "X509v3 Subject Alternative Name: \n                DNS:a.example, DNS:*.example.com",
        ],
    );
    let ed25519 = PrivateKey::from_pem(KEYS[3]).unwrap();
    let leaf = bench.issue(Profile::Server, "CN=Some Host", &ed25519, sans.clone());
    contains_all(&bench.text(&leaf), &["X509v3 Key Usage: critical\n                Digital Signature\n"]);

    let mut nameless = request(Profile::Server, "CN=x", &ed25519, 4);
    (nameless.subject, nameless.sans) = (Name::empty(), sans);
    let nameless = nameless.prepare(&bench.intermediate).unwrap().sign(&bench.key).unwrap();
    contains_all(&bench.text(&nameless), &["X509v3 Subject Alternative Name: critical"]);
    bench.verifies("-purpose sslserver", &nameless);
}

#[test]
fn subject_is_encoded_as_openssl_encodes_it() {
    let bench = Bench::p256();
    let subject =
        "C=SE,ST=Skåne,L=Lund,O=Example\\, Inc.,OU=B,OU=A,CN=a+UID=x,emailAddress=a@example.com,DC=com";
    let certificate = bench.issue(Profile::Client, subject, &bench.key, Vec::new());
    bench.write("leaf.pem", certificate.to_pem());
    let ours = bench.accepts("asn1parse -in leaf.pem");
    let slashes =
        "/C=SE/ST=Skåne/L=Lund/O=Example, Inc./OU=B/OU=A/CN=a+UID=x/emailAddress=a@example.com/DC=com";
    bench.write("key.pem", bench.key.to_pkcs8_pem().as_bytes());
    let status = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-utf8",
            "-multivalue-rdn",
            "-key",
            "key.pem",
            "-out",
            "csr.pem",
            "-subj",
            slashes,
        ])
        .current_dir(bench.dir.path())
        .output()
        .unwrap();
    assert!(status.status.success(), "{ours}");
    let csr = Csr::from_pem(&std::fs::read_to_string(bench.dir.path().join("csr.pem")).unwrap()).unwrap();
    assert_eq!(csr.subject(), certificate.subject());
}

#[test]
fn generated_keys_are_read_by_openssl() {
    let dir = TempDir::new().unwrap();
    for algorithm in ALGORITHMS {
        let key = PrivateKey::generate(algorithm).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.to_pkcs8_pem().as_bytes()).unwrap();
        let (accepted, output) = openssl(dir.path(), "pkey -in key.pem -check -noout");
        assert!(accepted, "{algorithm:?}: {output}");
        let (_, rewritten) = openssl(dir.path(), "pkey -in key.pem");
        assert_eq!(rewritten, *key.to_pkcs8_pem());
    }
}

#[test]
fn revocation_lists_verify_and_revoke() {
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    for (root_key, ca_key) in KEYS.into_iter().zip(KEYS.into_iter().cycle().skip(1)) {
        let bench = Bench::new(root_key, ca_key);
        let leaf = bench.issue(Profile::Client, "CN=x", &key, Vec::new());
        let next_update = "2027-03-08T10:00:00Z".parse().unwrap();
        let crl = |issuer: &Certificate, key: &PrivateKey, entries: &[RevokedEntry]| {
            let mut builder = CrlBuilder::new(issuer, 42, now(), next_update);
            entries.iter().try_for_each(|entry| builder.push(entry)).unwrap();
            builder.finish().sign(key).unwrap()
        };
        let entry = RevokedEntry { serial: *leaf.serial(), revoked_at: now(), reason: Reason::KeyCompromise };
        bench.write("leaf.pem", leaf.to_pem());
        bench.write("root.crl", crl(&bench.root, &bench.root_key, &[]).to_pem());
        bench.write("empty.crl", crl(&bench.intermediate, &bench.key, &[]).to_pem());
        bench.write("full.crl", crl(&bench.intermediate, &bench.key, &[entry]).to_pem());

        bench.accepts("crl -in root.crl -noout -CAfile root.pem");
        let text = bench.accepts("crl -in full.crl -noout -text");
        let lines = [
            "Version 2",
            "X509v3 CRL Number: \n                42",
            "Key Compromise",
            "X509v3 Authority Key",
        ];
        contains_all(&text, &lines);
        let empty = bench.accepts("crl -in empty.crl -noout -text");
        contains_all(&empty, &["No Revoked Certificates."]);

        let check = |list| {
            let at = now().as_second() + 60;
            bench.openssl(&format!(
                "verify -x509_strict -crl_check_all -attime {at} -CAfile root.pem -untrusted intermediate.pem -CRLfile root.crl -CRLfile {list} leaf.pem",
            ))
        };
        assert!(check("empty.crl").0, "{:?}", check("empty.crl"));
        let (accepted, output) = check("full.crl");
        assert!(!accepted && output.contains("certificate revoked"), "{output}");
    }
}

#[test]
fn name_constraints_are_those_openssl_enforces() {
    let pem = include_str!("../testdata/nc.cert.pem");
    let (authority, key) = (Certificate::from_pem(pem).unwrap(), PrivateKey::from_pem(KEYS[1]).unwrap());
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("ca.pem"), pem).unwrap();
    let dns = |name| San::parse_dns(name).unwrap();
    let ip = || San::parse_ip("192.0.2.1").unwrap();
    for (profile, subject, sans, permitted) in [
        (Profile::Server, "O=Example,CN=x", vec![dns("www.example.com"), ip()], true),
        (Profile::Server, "O=EXAMPLE,CN=www.example.com", vec![ip()], true),
        (Profile::Client, "O=Example,CN=Alice", vec![], true),
        (Profile::Client, "O=Example,CN=my_host.example.com", vec![], true),
        (Profile::Server, "O=Example,CN=x", vec![dns("www.example.org")], false),
        (Profile::Server, "O=Example,CN=x", vec![dns("bad.example.com")], false),
        (Profile::Server, "O=Example,CN=192.0.2.1", vec![ip()], false),
        (Profile::Client, "O=Example,CN=my_host.example.org", vec![], false),
        (Profile::Client, "O=Example,CN=www.example.org", vec![], false),
        (Profile::Client, "O=Other,CN=Alice", vec![], false),
        (Profile::Client, "O=Example,emailAddress=a@example.org", vec![], false),
    ] {
        let mut request = request(profile, subject, &key, 3);
        request.sans.clone_from(&sans);
        let ours = check_chain(std::slice::from_ref(&authority), profile, &request.subject, &sans);
        let leaf = request.prepare(&authority).unwrap().sign(&key).unwrap();
        std::fs::write(dir.path().join("leaf.pem"), leaf.to_pem()).unwrap();
        let at = now().as_second() + 60;
        let (theirs, output) = openssl(dir.path(), &format!("verify -attime {at} -CAfile ca.pem leaf.pem"));
        assert_eq!((ours.is_ok(), theirs), (permitted, permitted), "{subject} {sans:?}: {ours:?} {output}");
    }
}

#[test]
fn nothing_that_openssl_refuses_is_issued_below_a_ca_of_others() {
    let key = PrivateKey::from_pem(KEYS[1]).unwrap();
    let dir = TempDir::new().unwrap();
    for (pem, profile, purpose, host) in [
        (include_str!("../testdata/critical.cert.pem"), Profile::Server, "sslserver", "a.example.com"),
        (include_str!("../testdata/ekuclient.cert.pem"), Profile::Server, "sslserver", "a.example.com"),
        (include_str!("../testdata/ekuclient.cert.pem"), Profile::Client, "sslclient", ""),
        (include_str!("../testdata/ekuany.cert.pem"), Profile::Server, "sslserver", "a.example.com"),
        (include_str!("../testdata/ekuany.cert.pem"), Profile::Client, "sslclient", ""),
        (include_str!("../testdata/ncdot.cert.pem"), Profile::Server, "sslserver", "a.example.com"),
        (include_str!("../testdata/ncdot.cert.pem"), Profile::Server, "sslserver", "a.example.org"),
        (include_str!("../testdata/explicit0.cert.pem"), Profile::Server, "sslserver", "a.example.com"),
    ] {
        let authority = Certificate::from_pem(pem).unwrap();
        std::fs::write(dir.path().join("ca.pem"), pem).unwrap();
        let sans: Vec<San> = Some(host)
            .filter(|it| !it.is_empty())
            .map(|it| San::parse_dns(it).unwrap())
            .into_iter()
            .collect();
        let mut request = request(profile, "O=Example,CN=x", &key, 3);
        request.sans.clone_from(&sans);
        let ours = check_chain(std::slice::from_ref(&authority), profile, &request.subject, &sans);
        let leaf = request.prepare(&authority).unwrap().sign(&key).unwrap();
        std::fs::write(dir.path().join("leaf.pem"), leaf.to_pem()).unwrap();
        let at = now().as_second() + 60;
        let command = format!("verify -attime {at} -purpose {purpose} -CAfile ca.pem leaf.pem");
        let (theirs, output) = openssl(dir.path(), &command);
        assert_eq!(ours.is_ok(), theirs, "{} {purpose} {host}: {ours:?} {output}", authority.subject());
    }
}
