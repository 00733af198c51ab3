//! The formats that travel between programs, written by one and read by the other: OpenSSL, GnuTLS, Java and Python.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{path::Path, process::Command};

use fastpki_x509::{
    Certificate, Csr, CsrRequest, Error, KeyAlgorithm, Name, PrivateKey, Profile, Reason, Request,
    RevocationList, San, Serial, Validity,
    import::{CertificateKind, File, Inputs, Severity, Status, plan},
    inspect::{Kind, Verdict, fits, inspect},
    pkcs12::{self, Bundle, RANDOMNESS_LEN},
};
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

/// A root, an intermediate and a server's certificate with its key.
struct Chain {
    root: Certificate,
    intermediate: Certificate,
    leaf: Certificate,
    key: PrivateKey,
}

impl Chain {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let root_key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let root = request(Profile::Root { path_len: None }, "CN=Root,O=Example", &root_key, 1);
        let root = root.prepare_self_signed(&root_key).unwrap().sign(&root_key).unwrap();
        let ca_key = PrivateKey::generate(KeyAlgorithm::EcP384).unwrap();
        let profile = Profile::Intermediate { path_len: None };
        let intermediate = request(profile, "CN=Intermediate,O=Example", &ca_key, 2);
        let intermediate = intermediate.prepare(&root).unwrap().sign(&root_key).unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let mut leaf = request(Profile::Server, "CN=www.example.com", &key, 3);
        leaf.sans = vec![San::parse_dns("www.example.com").unwrap()];
        let leaf = leaf.prepare(&intermediate).unwrap().sign(&ca_key).unwrap();
        Self { root, intermediate, leaf, key }
    }

    fn write_to(&self, bench: &Bench) {
        bench.write("leaf.pem", self.leaf.to_pem());
        bench.write("chain.pem", self.intermediate.to_pem() + &self.root.to_pem());
        bench.write("key.pem", self.key.to_pkcs8_pem().as_bytes());
    }

    fn seal(&self, password: &str) -> Vec<u8> {
        let chain = [self.intermediate.clone(), self.root.clone()];
        let bundle = Bundle {
            certificate: &self.leaf,
            key: &self.key,
            chain: &chain,
            friendly_name: Some("www.example.com"),
        };
        pkcs12::seal(&bundle, password, &[7; RANDOMNESS_LEN]).unwrap()
    }

    fn is_in(&self, file: &[u8], password: &str) {
        let (key, certificate, chain) = pkcs12::open(file, password).unwrap().identity().unwrap();
        assert_eq!(*key.to_pkcs8_pem(), *self.key.to_pkcs8_pem());
        assert_eq!(certificate.der(), self.leaf.der());
        let chain: Vec<_> = chain.iter().map(Certificate::der).collect();
        assert_eq!(chain, [self.intermediate.der(), self.root.der()]);
        assert!(matches!(pkcs12::open(file, "other"), Err(Error::WrongPassword { .. })));
    }
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
        validity: Validity::from("2026-03-01T10:00:00Z".parse().unwrap(), 36500).unwrap(),
        urls: None,
    }
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

#[test]
fn sealed_keys_are_opened_by_openssl_gnutls_and_python() {
    for algorithm in ALGORITHMS {
        let (bench, chain) = (Bench::new(), Chain::new(algorithm));
        bench.write("new.p12", chain.seal("sésame"));
        let text = bench.accepts("openssl", "pkcs12 -in new.p12 -passin pass:sésame -info -noenc");
        contains_all(
            &text,
            &[
                "MAC: sha256, Iteration 600000",
                "PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256",
                "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256",
                "friendlyName: www.example.com",
                chain.key.to_pkcs8_pem().as_str(),
                &chain.leaf.to_pem(),
                &chain.root.to_pem(),
            ],
        );
        let (accepted, _) =
            run(bench.0.path(), "openssl", &["pkcs12", "-in", "new.p12", "-passin", "pass:other", "-noout"]);
        assert!(!accepted);

        let text = bench.accepts("certtool", "--p12-info --infile new.p12 --inder --password sésame");
        contains_all(&text, &["Friendly name: www.example.com", &chain.leaf.to_pem()]);

        bench.write("leaf.pem", chain.leaf.to_pem());
        let text = bench.python(
            "from cryptography import x509\n\
             from cryptography.hazmat.primitives.serialization import pkcs12\n\
             it = pkcs12.load_pkcs12(open('new.p12', 'rb').read(), 'sésame'.encode())\n\
             assert it.cert.certificate == x509.load_pem_x509_certificate(open('leaf.pem', 'rb').read())\n\
             assert it.key.public_key() == it.cert.certificate.public_key()\n\
             print(it.cert.friendly_name, [a.certificate.subject.rfc4514_string() for a in it.additional_certs])",
        );
        let expected = "b'www.example.com' ['O=Example,CN=Intermediate', 'O=Example,CN=Root']";
        contains_all(&text, &[expected]);
    }
}

#[test]
fn sealed_keys_are_opened_by_java() {
    if !has_keytool() {
        return;
    }
    for algorithm in ALGORITHMS {
        let (bench, chain) = (Bench::new(), Chain::new(algorithm));
        bench.write("new.p12", chain.seal("changeit"));
        let text =
            bench.accepts("keytool", "-list -v -storetype PKCS12 -keystore new.p12 -storepass changeit");
        contains_all(
            &text,
            &[
                "Alias name: www.example.com",
                "Entry type: PrivateKeyEntry",
                "Certificate chain length: 3",
                "Owner: CN=www.example.com",
            ],
        );
        // What Java writes of it, with the key decrypted and encrypted by Java.
        bench.accepts(
            "keytool",
            "-importkeystore -noprompt -srckeystore new.p12 -srcstoretype PKCS12 -srcstorepass changeit \
             -destkeystore java.p12 -deststoretype PKCS12 -deststorepass sesame7",
        );
        chain.is_in(&std::fs::read(bench.0.path().join("java.p12")).unwrap(), "sesame7");
    }
}

fn has_keytool() -> bool {
    let found = Command::new("keytool").arg("-help").output().is_ok();
    if !found {
        eprintln!(
            "SKIPPED: there is no keytool here, so nothing is known about Java; install a JDK to test it"
        );
    }
    found
}

/// Whether OpenSSL still has the ciphers of OpenSSL 1, which some systems package apart.
fn has_legacy(bench: &Bench) -> bool {
    let list = ["list", "-providers", "-provider", "legacy"];
    let (found, _) = run(bench.0.path(), "openssl", &list);
    if !found {
        eprintln!(
            "SKIPPED: this OpenSSL has no legacy provider; testdata/rsa2048.legacy.p12 stands for its files"
        );
    }
    found
}

#[test]
fn files_of_openssl_are_opened() {
    for algorithm in [KeyAlgorithm::Rsa { bits: 2048 }, KeyAlgorithm::EcP256] {
        let (bench, chain) = (Bench::new(), Chain::new(algorithm));
        chain.write_to(&bench);
        for options in [
            "",
            " -macalg sha512 -iter 5000",
            " -macalg sha1 -keypbe aes-128-cbc -certpbe aes-192-cbc",
            " -keypbe des-ede3-cbc -certpbe NONE",
            // As OpenSSL 1 wrote them: RC2 of 40 bits, triple DES, SHA-1.
            " -legacy",
            " -legacy -certpbe PBE-SHA1-RC2-128",
            " -legacy -descert -nomac",
            " -keypbe NONE -certpbe NONE",
        ] {
            if options.contains("-legacy") && !has_legacy(&bench) {
                continue;
            }
            let export =
                "pkcs12 -export -in leaf.pem -inkey key.pem -certfile chain.pem -name www -out old.p12";
            bench.accepts("openssl", &format!("{export} -passout pass:sésame{options}"));
            chain.is_in(&std::fs::read(bench.0.path().join("old.p12")).unwrap(), "sésame");
        }
    }
}

#[test]
fn file_without_password_is_opened_with_the_empty_one() {
    let (bench, chain) = (Bench::new(), Chain::new(KeyAlgorithm::EcP256));
    chain.write_to(&bench);
    let export = "pkcs12 -export -in leaf.pem -inkey key.pem -certfile chain.pem -passout pass: -out old.p12";
    bench.accepts("openssl", export);
    chain.is_in(&std::fs::read(bench.0.path().join("old.p12")).unwrap(), "");
}

#[test]
fn files_of_python_are_opened() {
    let (bench, chain) = (Bench::new(), Chain::new(KeyAlgorithm::Ed25519));
    chain.write_to(&bench);
    for encryption in ["BestAvailableEncryption(b'changeit')", "NoEncryption()"] {
        bench.python(&format!(
            "from cryptography import x509\n\
             from cryptography.hazmat.primitives.serialization import *\n\
             from cryptography.hazmat.primitives.serialization import pkcs12\n\
             read = lambda name: open(name, 'rb').read()\n\
             key = load_pem_private_key(read('key.pem'), None)\n\
             leaf = x509.load_pem_x509_certificate(read('leaf.pem'))\n\
             chain = x509.load_pem_x509_certificates(read('chain.pem'))\n\
             file = pkcs12.serialize_key_and_certificates(b'www', key, leaf, chain, {encryption})\n\
             open('python.p12', 'wb').write(file)",
        ));
        let password = if encryption.starts_with("No") { "" } else { "changeit" };
        let opened = pkcs12::open(&std::fs::read(bench.0.path().join("python.p12")).unwrap(), password);
        let (key, ..) = opened.unwrap().identity().unwrap();
        assert_eq!(*key.to_pkcs8_pem(), *chain.key.to_pkcs8_pem());
    }
}

#[test]
fn keys_that_openssl_encrypted_are_read() {
    for algorithm in ALGORITHMS {
        let (bench, key) = (Bench::new(), PrivateKey::generate(algorithm).unwrap());
        bench.write("key.pem", key.to_pkcs8_pem().as_bytes());
        let mut commands = vec![
            // What Easy-RSA does.
            "pkey -in key.pem -aes256 -passout pass:sésame -out new.pem",
            "pkcs8 -topk8 -in key.pem -v2 aes-128-cbc -v2prf hmacWithSHA512 -passout pass:sésame -out new.pem",
            "pkcs8 -topk8 -in key.pem -v2 des3 -v2prf hmacWithSHA1 -passout pass:sésame -out new.pem",
            "pkcs8 -topk8 -in key.pem -v1 PBE-SHA1-3DES -passout pass:sésame -out new.pem",
        ];
        if algorithm != KeyAlgorithm::Ed25519 {
            commands.extend([
                "pkey -in key.pem -traditional -aes256 -passout pass:sésame -out new.pem",
                "pkey -in key.pem -traditional -aes192 -passout pass:sésame -out new.pem",
                "pkey -in key.pem -traditional -des3 -passout pass:sésame -out new.pem",
            ]);
        }
        for command in commands {
            bench.accepts("openssl", command);
            let pem = bench.read("new.pem");
            let read = PrivateKey::from_any_pem(&pem, Some("sésame")).unwrap();
            assert_eq!(*read.to_pkcs8_pem(), *key.to_pkcs8_pem(), "{command}");
            assert!(matches!(PrivateKey::from_any_pem(&pem, None), Err(Error::PasswordNeeded { .. })));
            assert!(matches!(PrivateKey::from_any_pem(&pem, Some("x")), Err(Error::WrongPassword { .. })));
        }
        bench.accepts("openssl", "pkcs8 -topk8 -in key.pem -outform DER -passout pass:x -out new.der");
        let der = std::fs::read(bench.0.path().join("new.der")).unwrap();
        assert_eq!(PrivateKey::from_any_der(&der, Some("x")).unwrap().public_key(), key.public_key());

        bench.accepts("openssl", "pkcs8 -topk8 -in key.pem -scrypt -passout pass:x -out new.pem");
        let refused = PrivateKey::from_any_pem(&bench.read("new.pem"), Some("x")).unwrap_err().to_string();
        contains_all(&refused, &["scrypt", "OpenSSL 3, which uses PBKDF2 and AES"]);
    }
}

#[test]
fn keys_that_gnutls_and_python_encrypted_are_read() {
    let (bench, key) = (Bench::new(), PrivateKey::generate(KeyAlgorithm::EcP384).unwrap());
    bench.write("key.pem", key.to_pkcs8_pem().as_bytes());
    bench.accepts("certtool", "--to-p8 --load-privkey key.pem --password sésame --outfile gnutls.pem");
    bench.python(
        "from cryptography.hazmat.primitives.serialization import *\n\
         key = load_pem_private_key(open('key.pem', 'rb').read(), None)\n\
         encryption = BestAvailableEncryption('sésame'.encode())\n\
         for name, format in [('p8.pem', PrivateFormat.PKCS8), ('old.pem', PrivateFormat.TraditionalOpenSSL)]:\n\
         \x20   open(name, 'wb').write(key.private_bytes(Encoding.PEM, format, encryption))",
    );
    for name in ["gnutls.pem", "p8.pem", "old.pem"] {
        let read = PrivateKey::from_any_pem(&bench.read(name), Some("sésame")).unwrap();
        assert_eq!(read.public_key(), key.public_key());
    }
}

#[test]
fn lists_of_openssl_are_read() {
    let (bench, chain) = (Bench::new(), Chain::new(KeyAlgorithm::EcP256));
    let key = PrivateKey::generate(KeyAlgorithm::Rsa { bits: 2048 }).unwrap();
    let ca = request(Profile::Root { path_len: None }, "CN=Old,O=Example", &key, 9);
    let ca = ca.prepare_self_signed(&key).unwrap().sign(&key).unwrap();
    bench.write("ca.pem", ca.to_pem());
    bench.write("ca.key", key.to_pkcs8_pem().as_bytes());
    bench.write("crlnumber", "1F\n");
    bench.write(
        "index.txt",
        "V\t301231235959Z\t\t01\tunknown\t/CN=a\n\
         R\t301231235959Z\t260301100000Z,keyCompromise\t02\tunknown\t/CN=b\n\
         R\t301231235959Z\t260302100000Z\tFF00\tunknown\t/CN=c\n\
         R\t301231235959Z\t260303100000Z,cessationOfOperation\t04\tunknown\t/CN=d\n",
    );
    bench.write("empty", "");
    bench.write(
        "ca.cnf",
        "[ca]\ndefault_ca = it\n[it]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha384\n\
         default_crl_days = 30\ncrl_extensions = ext\n[ext]\nauthorityKeyIdentifier = keyid\n",
    );
    bench.accepts("openssl", "ca -gencrl -config ca.cnf -cert ca.pem -keyfile ca.key -out list.crl");
    let list = RevocationList::from_pem(&bench.read("list.crl")).unwrap();
    list.is_issued_by(&ca).unwrap();
    assert!(list.is_issued_by(&chain.root).is_err());
    assert_eq!(list.number(), Some(0x1f));
    let entries: Vec<_> = list.entries().iter().map(|it| (it.serial_text(), it.reason())).collect();
    assert_eq!(
        entries,
        [
            ("2".to_owned(), Reason::KeyCompromise),
            ("4".to_owned(), Reason::CessationOfOperation),
            ("ff00".to_owned(), Reason::Unspecified),
        ],
    );
    assert_eq!(list.entries()[0].revoked_at, "2026-03-01T10:00:00Z".parse().unwrap());
}

#[test]
fn old_certificates_of_openssl_are_described_with_their_faults() {
    let bench = Bench::new();
    let now = "2040-01-01T00:00:00Z".parse().unwrap();
    for (options, expected) in [
        ("-newkey rsa:1024 -sha1", "an RSA key must have 2048 to 8192 bits, this one has 1024"),
        ("-newkey rsa:2048 -set_serial 0", "its serial number is zero"),
        ("-newkey rsa:2048 -set_serial -5", "its serial number is negative"),
        ("-newkey ed448", "would not be certified here"),
        ("-newkey rsa:2048 -days 1", "it expired on"),
        (
            "-newkey rsa:2048 -addext extendedKeyUsage=serverAuth -extensions none",
            "no DNS name or IP address",
        ),
        ("-newkey rsa:2048 -addext 1.2.3.4=critical,DER:0500", "the critical extension 1.2.3.4"),
        (
            "-newkey rsa:2048 -addext basicConstraints=CA:TRUE -extensions none",
            "basic constraints are not critical",
        ),
    ] {
        bench.write("none.cnf", "[req]\ndistinguished_name = dn\n[dn]\n[none]\n");
        let new = "req -x509 -config none.cnf -nodes -keyout old.key -out old.pem -subj /CN=old -days 9000";
        bench.accepts("openssl", &format!("{new} {options}"));
        let pem = bench.read("old.pem") + &bench.read("old.key");
        let objects = inspect(pem.as_bytes(), None, now).unwrap();
        assert_eq!(objects[0].kind, Kind::Certificate);
        let warned = objects[0].warnings.iter().any(|it| it.contains(expected));
        assert!(warned, "{options}: {:?}", objects[0]);
        let text = bench.accepts("openssl", "x509 -in old.pem -noout -fingerprint -sha256");
        contains_all(&text, &[objects[0].field("SHA-256 fingerprint").unwrap()]);
        if !options.contains("ed448") {
            assert!(fits(&objects).iter().any(|it| it.verdict == Verdict::Fits), "{objects:?}");
        }
    }
}

const CA_CONFIG: &str = "[ca]\ndefault_ca = it\n[it]\ndatabase = index.txt\nserial = serial\ncrlnumber = crlnumber\n\
    new_certs_dir = newcerts\ncertificate = ca.crt\nprivate_key = ca.key\ndefault_md = sha256\ndefault_days = 800\n\
    default_crl_days = 30\npolicy = any\nunique_subject = no\ncopy_extensions = copy\n\
    crl_extensions = crl\n[any]\ncommonName = supplied\norganizationName = optional\n[crl]\n\
    authorityKeyIdentifier = keyid\n[server]\nextendedKeyUsage = serverAuth\n[client]\nextendedKeyUsage = clientAuth\n\
    [both]\nextendedKeyUsage = serverAuth,clientAuth\n[sub]\nbasicConstraints = critical,CA:TRUE,pathlen:0\n\
    [plain]\nbasicConstraints = CA:FALSE\n[req]\ndistinguished_name = dn\n[dn]\n[root]\n\
    basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n";

/// A CA as `openssl ca` keeps it, with requests made here.
fn openssl_ca(bench: &Bench) {
    for (name, content) in
        [("ca.cnf", CA_CONFIG), ("index.txt", ""), ("serial", "1000\n"), ("crlnumber", "2A\n")]
    {
        bench.write(name, content);
    }
    std::fs::create_dir(bench.0.path().join("newcerts")).unwrap();
    let root =
        "req -x509 -config ca.cnf -extensions root -newkey rsa:2048 -keyout ca.key -passout pass:sésame";
    bench.accepts("openssl", &format!("{root} -subj /O=Example/CN=Old -days 3650 -out ca.crt"));
    for name in ["server", "client", "both", "sub", "plain"] {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let subject = Name::parse(&format!("CN={name},O=Example")).unwrap();
        let csr = CsrRequest { subject, sans: vec![San::parse_dns("www.example.com").unwrap()] };
        bench.write("new.csr", csr.sign(&key).unwrap().to_pem());
        bench.write(&format!("{name}.key"), key.to_pkcs8_pem().as_bytes());
        let issue = "ca -batch -config ca.cnf -passin pass:sésame -in new.csr";
        bench.accepts("openssl", &format!("{issue} -extensions {name} -out {name}.crt"));
    }
    let ca = "ca -config ca.cnf -passin pass:sésame";
    bench.accepts("openssl", &format!("{ca} -revoke client.crt -crl_reason keyCompromise"));
    bench.accepts("openssl", &format!("{ca} -revoke both.crt -crl_hold holdInstructionReject"));
    bench.accepts("openssl", &format!("{ca} -gencrl -out crl.pem"));
    bench.accepts("openssl", &format!("{ca} -revoke plain.crt -crl_compromise 20260101000000Z"));
}

#[test]
fn folder_of_openssl_ca_is_planned_for_import() {
    let bench = Bench::new();
    openssl_ca(&bench);
    let read = |name: &str| std::fs::read(bench.0.path().join(name)).unwrap();
    let names = [
        "newcerts/1000.pem",
        "newcerts/1001.pem",
        "newcerts/1002.pem",
        "newcerts/1003.pem",
        "newcerts/1004.pem",
    ];
    let (certificates, server_key) = (names.map(read), read("server.key"));
    let certificates: Vec<_> =
        names.into_iter().zip(&certificates).map(|(name, bytes)| File { name, bytes }).collect();
    let (ca, key, crl) = (read("ca.crt"), read("ca.key"), read("crl.pem"));
    let (index, crl_number) = (bench.read("index.txt"), bench.read("crlnumber"));
    let certificate = Certificate::from_pem(&bench.read("server.crt")).unwrap();
    let inputs = Inputs {
        ca_certificate: File { name: "ca.crt", bytes: &ca },
        ca_key: Some(File { name: "ca.key", bytes: &key }),
        passphrase: Some("sésame"),
        certificates: &certificates,
        keys: &[File { name: "server.key", bytes: &server_key }],
        index: Some(&index),
        crl: Some(File { name: "crl.pem", bytes: &crl }),
        crl_number: Some(&crl_number),
        now: certificate.validity().not_before,
    };
    let planned = plan(&inputs);
    assert!(!planned.is_blocked(), "{:#?}", planned.problems);
    // The list was made before the last revocation.
    let problems: Vec<_> = planned.problems.iter().map(|it| (&*it.about, it.severity)).collect();
    assert!(
        problems.iter().all(|it| *it == ("newcerts/1004.pem", Severity::Note)),
        "{:#?}",
        planned.problems
    );
    let authority = planned.authority.unwrap();
    assert!(authority.is_root && authority.key.is_some());
    let kinds: Vec<_> = planned.certificates.iter().map(|it| it.kind).collect();
    use CertificateKind::{Ca, Client, DualPurpose, Server};
    assert_eq!(kinds, [Server, Client, DualPurpose, Ca, DualPurpose]);
    let reasons = planned.certificates.iter().map(|it| match it.status {
        Status::Revoked { reason, .. } => Some(reason),
        Status::Valid | Status::Expired => None,
    });
    let expected =
        [None, Some(Reason::KeyCompromise), Some(Reason::CertificateHold), None, Some(Reason::KeyCompromise)];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
    let keys: Vec<_> = planned.certificates.iter().map(|it| it.key.is_some()).collect();
    assert_eq!(keys, [true, false, false, false, false]);
    assert_eq!(planned.next_crl_number, 0x2b);

    let locked = plan(&Inputs { passphrase: None, ..inputs });
    assert!(locked.is_blocked() && locked.problems[0].text.contains("give its password"));
}
