//! The formats that travel between programs, written by one and read by the other: OpenSSL, GnuTLS, Java and Python.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{path::Path, process::Command};

use fastpki_x509::{Csr, CsrRequest, KeyAlgorithm, Name, PrivateKey, San};
use tempfile::TempDir;

const ALGORITHMS: [KeyAlgorithm; 4] =
    [KeyAlgorithm::Rsa { bits: 2048 }, KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Ed25519];

/// A directory the judges work in.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// What the program prints; it must succeed.
    fn accepts(&self, program: &str, arguments: &str) -> String {
        let (accepted, output) = run(self.0.path(), program, &arguments.split(' ').collect::<Vec<_>>());
        assert!(accepted, "{program} {arguments}: {output}");
        output
    }

    /// What a Python script with `cryptography` prints; it must succeed.
    fn python(&self, script: &str) -> String {
        let python = std::env::var("FASTPKI_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let (accepted, output) = run(self.0.path(), &python, &["-c", script]);
        assert!(accepted, "{script}: {output}");
        output
    }
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).current_dir(dir).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn contains_all(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.contains(line), "{line:?} is missing in {text}");
    }
}

#[test]
fn requests_are_read_and_verified() {
    let bench = Bench::new();
    let subject = Name::parse("C=SE,O=Exämple\\, Inc.,CN=www.example.com").unwrap();
    let sans = vec![
        San::parse_dns("*.example.com").unwrap(),
        San::parse_ip("2001:db8::7").unwrap(),
        San::parse_email("alice@example.com").unwrap(),
    ];
    for algorithm in ALGORITHMS {
        let key = PrivateKey::generate(algorithm).unwrap();
        let csr = CsrRequest { subject: subject.clone(), sans: sans.clone() }.sign(&key).unwrap();
        bench.write("new.csr", csr.to_pem());
        let text =
            bench.accepts("openssl", "req -in new.csr -verify -noout -text -nameopt RFC2253,utf8,-esc_msb");
        contains_all(
            &text,
            &[
                "Certificate request self-signature verify OK",
                "Version: 1 (0x0)",
                "Subject: CN=www.example.com,O=Exämple\\, Inc.,C=SE",
                "DNS:*.example.com, IP Address:2001:DB8:0:0:0:0:0:7, email:alice@example.com",
            ],
        );
        let text = bench.accepts("certtool", "--crq-info --infile new.csr");
        contains_all(
            &text,
            &["Self signature: verified", "DNSname: *.example.com", "IPAddress: 2001:db8::7"],
        );
        let text = bench.python(
            "from cryptography import x509\n\
             csr = x509.load_pem_x509_csr(open('new.csr', 'rb').read())\n\
             assert csr.is_signature_valid\n\
             names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)\n\
             print(csr.subject.rfc4514_string(), names.critical, [str(it.value) for it in names.value])",
        );
        contains_all(&text, &["False ['*.example.com', '2001:db8::7', 'alice@example.com']"]);
    }
}

#[test]
fn request_without_subject_has_critical_names_and_one_without_names_no_extension() {
    let bench = Bench::new();
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let sans = vec![San::parse_dns("www.example.com").unwrap()];
    let csr = CsrRequest { subject: Name::empty(), sans }.sign(&key).unwrap();
    bench.write("new.csr", csr.to_pem());
    let text = bench.accepts("openssl", "req -in new.csr -verify -noout -text");
    contains_all(&text, &["X509v3 Subject Alternative Name: critical", "DNS:www.example.com"]);

    let csr = CsrRequest { subject: Name::parse("CN=x").unwrap(), sans: Vec::new() }.sign(&key).unwrap();
    bench.write("new.csr", csr.to_pem());
    let text = bench.accepts("openssl", "req -in new.csr -verify -noout -text");
    contains_all(&text, &["Attributes:\n            (none)"]);
    bench.accepts("openssl", "req -in new.csr -outform DER -out new.der");
    bench.accepts("openssl", "req -inform DER -in new.der -out again.csr");
    assert_eq!(Csr::from_pem(&bench.read("again.csr")).unwrap().der(), csr.der());
}
