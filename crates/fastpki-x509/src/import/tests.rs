use jiff::Timestamp;

use super::*;
use crate::{
    Certificate, CrlBuilder, PrivateKey, Profile, Reason, Request, RevokedEntry, Serial, testing::*,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn parsed(line: &str) -> Result<IndexEntry, String> {
    let mut index = Index::parse(line).unwrap();
    index.entries.pop().ok_or_else(|| index.problems.remove(0).reason)
}

const VALID: &str = "V\t280229100000Z\t\t01\tunknown\t/C=SE/O=Example/CN=a";

#[test]
fn lines_of_every_status_are_read() {
    let entry = parsed(VALID).unwrap();
    assert_eq!((entry.line, entry.status), (1, IndexStatus::Valid));
    assert_eq!(entry.expires, at("2028-02-29T10:00:00Z"));
    assert_eq!((entry.serial.to_hex().as_str(), entry.file.as_deref()), ("1", None));
    assert_eq!(entry.subject, "/C=SE/O=Example/CN=a");
    assert_eq!(parsed("E\t991231235959Z\t\tFF\ta.pem\t/CN=a").unwrap().file.as_deref(), Some("a.pem"));
    assert_eq!(parsed("E\t991231235959Z\t\tFF\ta.pem\t/CN=a").unwrap().expires, at("1999-12-31T23:59:59Z"));
    assert_eq!(parsed("E\t20991231235959Z\t\tFF\ta.pem\t/CN=a").unwrap().expires, at("2099-12-31T23:59:59Z"));
    assert_eq!(parsed("V\t2802291000Z\t\tFF\ta.pem\t/CN=a").unwrap().expires, at("2028-02-29T10:00:00Z"));
    for (revocation, reason) in [
        ("", Reason::Unspecified),
        (",unspecified", Reason::Unspecified),
        (",keyCompromise", Reason::KeyCompromise),
        (",CACompromise", Reason::CaCompromise),
        (",affiliationChanged", Reason::AffiliationChanged),
        (",superseded", Reason::Superseded),
        (",cessationOfOperation", Reason::CessationOfOperation),
        (",certificateHold", Reason::CertificateHold),
        (",holdInstruction,holdInstructionReject", Reason::CertificateHold),
        (",keyTime,20270101000000Z", Reason::KeyCompromise),
        (",CAkeyTime,20270101000000Z", Reason::CaCompromise),
    ] {
        let line = format!("R\t280229100000Z\t270301100000Z{revocation}\t01\tunknown\t/CN=a");
        let at = at("2027-03-01T10:00:00Z");
        assert_eq!(parsed(&line).unwrap().status, IndexStatus::Revoked { at, reason }, "{line}");
    }
}

#[test]
fn what_is_wrong_with_a_line_is_told_with_its_number() {
    for (line, reason) in [
        ("V\t280229100000Z\t\t01\tunknown", "five fields"),
        ("hello", "it has 1 fields"),
        ("X\t280229100000Z\t\t01\tunknown\t/CN=a", "begins with \"X\""),
        ("V\t281329100000Z\t\t01\tunknown\t/CN=a", "expiry \"281329100000Z\""),
        ("V\tnever\t\t01\tunknown\t/CN=a", "expiry"),
        ("V\t28022é100000Z\t\t01\tunknown\t/CN=a", "expiry"),
        ("V\t280229100000Z\t\t-01\tunknown\t/CN=a", "serial number \"-01\""),
        ("V\t280229100000Z\t\t00\tunknown\t/CN=a", "serial number"),
        ("R\t280229100000Z\t\t01\tunknown\t/CN=a", "no date"),
        ("R\t280229100000Z\tx\t01\tunknown\t/CN=a", "revocation \"x\""),
        ("R\t280229100000Z\t270301100000Z,stolen\t01\tunknown\t/CN=a", "reason \"stolen\""),
        ("V\t280229100000Z\t270301100000Z\t01\tunknown\t/CN=a", "not marked R"),
    ] {
        let error = parsed(line).unwrap_err();
        assert!(error.contains(reason), "{line}: {error}");
    }
    let index = Index::parse(&format!("{VALID}\n\n# note\nhello\n{VALID}\n")).unwrap();
    assert_eq!(index.entries.len(), 1);
    let lines: Vec<_> = index.problems.iter().map(|it| it.line).collect();
    assert_eq!(lines, [4, 5]);
    assert!(index.problems[1].reason.contains("the serial number 1 stands in line 1 already"));
}

#[test]
fn mutated_index_never_panics() {
    let text = format!("{VALID}\nR\t20280229100000Z\t270301100000Z,keyCompromise\tFF\tb.pem\t/CN=b\n");
    mutate(text.as_bytes(), 5000, |bytes| {
        let _ = Index::parse(&String::from_utf8_lossy(bytes));
    });
}

/// A folder of the test root with four certificates.
struct Folder {
    ca: Certificate,
    server: Certificate,
    client: Certificate,
    both: Certificate,
    below: Certificate,
    index: String,
    crl: Option<Vec<u8>>,
    crl_number: Option<&'static str>,
    ca_key: Option<String>,
    keys: Vec<(&'static str, String)>,
    more: Vec<(&'static str, Vec<u8>)>,
    passphrase: Option<&'static str>,
}

impl Folder {
    fn new() -> Self {
        let ca = root(&p256(), None);
        let issue = |profile, serial, subject: &str, key: &PrivateKey| {
            let mut request =
                Request { serial: Serial::from_hex(serial).unwrap(), ..request(profile, subject, key) };
            if !profile.is_ca() && profile != Profile::Client {
                request.sans = vec![dns("www.example.com")];
            }
            request.prepare(&ca).unwrap().sign(&p256()).unwrap()
        };
        let server = issue(Profile::Server, "1", "CN=www.example.com", &rsa());
        let client = issue(Profile::Client, "ff", "CN=Alice", &ed25519());
        let both = issue(Profile::DualPurpose, "3", "CN=both", &p384());
        let below = issue(Profile::Intermediate { path_len: None }, "4", "CN=below", &p384());
        let index = "V\t280229100000Z\t\t01\tunknown\t/CN=www.example.com\n\
                     R\t280229100000Z\t270301110000Z,keyCompromise\tFF\tunknown\t/CN=Alice\n\
                     V\t280229100000Z\t\t03\tunknown\t/CN=both\n\
                     V\t280229100000Z\t\t04\tunknown\t/CN=below\n";
        Self {
            ca,
            server,
            client,
            both,
            below,
            index: index.to_owned(),
            crl: None,
            crl_number: None,
            ca_key: Some(data!("p256.pkcs8.pem").to_owned()),
            keys: Vec::new(),
            more: Vec::new(),
            passphrase: None,
        }
    }

    fn list(&self, number: u64, entries: &[(&str, Reason)]) -> Vec<u8> {
        let made = at("2027-03-02T10:00:00Z");
        let mut builder = CrlBuilder::new(&self.ca, number, made, at("2027-03-08T10:00:00Z"));
        for (serial, reason) in entries {
            let serial = Serial::from_hex(serial).unwrap();
            builder.push(&RevokedEntry { serial, revoked_at: now(), reason: *reason }).unwrap();
        }
        builder.finish().sign(&p256()).unwrap().into_der()
    }

    fn plan(&self) -> Plan {
        let ca = self.ca.to_pem();
        let text =
            |certificate: &Certificate| format!("Certificate:\n    Data: ...\n{}", certificate.to_pem());
        let issued = [&self.server, &self.client, &self.both].map(text);
        let names = ["01.pem", "FF.pem", "03.pem"];
        let mut certificates: Vec<_> =
            names.into_iter().zip(&issued).map(|(name, it)| File { name, bytes: it.as_bytes() }).collect();
        certificates.push(File { name: "below.der", bytes: self.below.der() });
        certificates.extend(self.more.iter().map(|(name, bytes)| File { name, bytes }));
        let keys: Vec<_> = self.keys.iter().map(|(name, it)| File { name, bytes: it.as_bytes() }).collect();
        plan(&Inputs {
            ca_certificate: File { name: "ca.crt", bytes: ca.as_bytes() },
            ca_key: self.ca_key.as_ref().map(|it| File { name: "ca.key", bytes: it.as_bytes() }),
            passphrase: self.passphrase,
            certificates: &certificates,
            keys: &keys,
            index: Some(&self.index),
            crl: self.crl.as_ref().map(|it| File { name: "crl.pem", bytes: it }),
            crl_number: self.crl_number,
            now: at("2027-03-03T10:00:00Z"),
        })
    }

    fn problems(&self) -> Vec<(String, Severity, String)> {
        self.plan().problems.into_iter().map(|it| (it.about, it.severity, it.text)).collect()
    }

    fn has(&self, about: &str, severity: Severity, text: &str) {
        let problems = self.problems();
        let found = problems.iter().any(|it| it.0 == about && it.1 == severity && it.2.contains(text));
        assert!(found, "{about}: {text} is not among {problems:#?}");
    }
}

#[test]
fn whole_folder_is_planned_with_kinds_and_states() {
    let mut folder = Folder::new();
    folder.crl = Some(folder.list(41, &[("ff", Reason::KeyCompromise)]));
    folder.keys = vec![
        ("www.key", data!("rsa2048.pkcs1.pem").to_owned()),
        ("ca.key", data!("p256.sec1.pem").to_owned()),
    ];
    // A copy by serial number, and the CA itself.
    folder.more = vec![("www.crt", folder.server.der().to_vec()), ("ca.crt", folder.ca.der().to_vec())];
    let plan = folder.plan();
    assert!(plan.problems.is_empty(), "{:#?}", plan.problems);
    assert!(!plan.is_blocked());
    let authority = plan.authority.unwrap();
    assert!(authority.is_root && authority.key.is_some());
    let planned: Vec<_> = plan
        .certificates
        .iter()
        .map(|it| (&*it.file, it.kind.to_string(), it.status, it.key.is_some()))
        .collect();
    let revoked = Status::Revoked { at: at("2027-03-01T11:00:00Z"), reason: Reason::KeyCompromise };
    assert_eq!(
        planned,
        [
            ("01.pem", "server".to_owned(), Status::Valid, true),
            ("FF.pem", "client".to_owned(), revoked, false),
            ("03.pem", "dual_purpose".to_owned(), Status::Valid, false),
            ("below.der", "ca".to_owned(), Status::Valid, false),
        ],
    );
    assert!(plan.orphans.is_empty());
    assert_eq!(plan.next_crl_number, 42);
}

#[test]
fn authority_that_cannot_be_imported_blocks() {
    let mut folder = Folder::new();
    folder.ca_key = Some(data!("p384.pkcs8.pem").to_owned());
    assert!(folder.plan().is_blocked() && folder.plan().authority.is_none());
    folder.has("ca.key", Severity::Blocks, "it is not the private key of the CA's certificate");
    folder.ca_key = Some(data!("p256.encrypted.pem").to_owned());
    folder.has("ca.key", Severity::Blocks, "the private key is encrypted: give its password");
    folder.passphrase = Some("x");
    folder.has("ca.key", Severity::Blocks, "wrong password");
    folder.ca_key = None;
    folder.has("ca.crt", Severity::Note, "private key is missing");
    assert!(!folder.plan().is_blocked());
    folder.ca = folder.server.clone();
    folder.has("ca.crt", Severity::Blocks, "not the certificate of a CA");
}

#[test]
fn certificates_of_others_are_left_out() {
    let mut folder = Folder::new();
    folder.more = vec![
        ("other.pem", intermediate(None).to_pem().replace("MII", "?II").into_bytes()),
        ("foreign.pem", data!("nc.cert.pem").as_bytes().to_vec()),
        ("text.pem", b"hello".to_vec()),
    ];
    assert_eq!(folder.plan().certificates.len(), 4);
    folder.has("other.pem", Severity::LeftOut, "not base64");
    folder.has("foreign.pem", Severity::LeftOut, "this CA did not issue it");
    folder.has("text.pem", Severity::LeftOut, "malformed certificate");

    // Another certificate with the serial number of the first.
    let again =
        Request { serial: Serial::from_hex("1").unwrap(), ..request(Profile::Client, "CN=x", &rsa()) };
    let again = again.prepare(&folder.ca).unwrap().sign(&p256()).unwrap();
    folder.more = vec![("again.pem", again.to_pem().into_bytes())];
    folder.has("again.pem", Severity::LeftOut, "01.pem has the same serial number, 1");
}

#[test]
fn changed_signature_is_noticed() {
    let mut folder = Folder::new();
    let mut der = folder.both.der().to_vec();
    let place = der.windows(4).position(|it| it == b"both").unwrap();
    der[place] = b'B';
    folder.both = Certificate::from_der(&der).unwrap();
    folder.has("03.pem", Severity::LeftOut, "the signature of the certificate does not verify");
}

#[test]
fn index_and_list_are_held_against_each_other() {
    let mut folder = Folder::new();
    folder.crl = Some(folder.list(7, &[("1", Reason::Superseded)]));
    folder.has(
        "01.pem",
        Severity::Note,
        "line 1 of index.txt does not have it as revoked, but the revocation list does",
    );
    folder.has(
        "FF.pem",
        Severity::Note,
        "line 2 of index.txt has it revoked, but the revocation list has not",
    );
    let statuses: Vec<_> = folder.plan().certificates.iter().map(|it| it.status).collect();
    assert_eq!(statuses[0], Status::Revoked { at: at("2027-03-01T10:00:00Z"), reason: Reason::Superseded });
    assert!(matches!(statuses[1], Status::Revoked { reason: Reason::KeyCompromise, .. }));

    folder.crl = Some(folder.list(7, &[("ff", Reason::Superseded)]));
    folder.has(
        "FF.pem",
        Severity::Note,
        "revoked for key compromise, but the revocation list for superseded",
    );
    folder.index = folder.index.replace("280229100000Z\t\t03", "290228100000Z\t\t03");
    folder.has("03.pem", Severity::Note, "it may be another certificate of that serial number");
    folder.index = folder.index.replace("\t03\t", "\t05\t");
    folder.has("03.pem", Severity::Note, "index.txt does not have its serial number");
    folder.has(
        "index.txt and list",
        Severity::Note,
        "line 3 of index.txt: the certificate 5 of /CN=both is missing",
    );
}

#[test]
fn revocations_without_certificate_stay_listed() {
    let mut folder = Folder::new();
    folder.index += "R\t270601100000Z\t270301110000Z\t0A\tunknown\t/CN=lost\n";
    folder.crl = Some(
        folder
            .list(7, &[("ff", Reason::KeyCompromise), ("a", Reason::Unspecified), ("b", Reason::Superseded)]),
    );
    let orphans = folder.plan().orphans;
    assert_eq!(orphans.len(), 2);
    assert_eq!(
        (orphans[0].serial.to_hex().as_str(), orphans[0].expires),
        ("a", Some(at("2027-06-01T10:00:00Z")))
    );
    assert_eq!((orphans[1].serial.to_hex().as_str(), orphans[1].reason), ("b", Reason::Superseded));
}

#[test]
fn list_of_another_ca_is_not_used() {
    let mut folder = Folder::new();
    let other = CrlBuilder::new(&intermediate(None), 9, now(), at("2027-03-08T10:00:00Z"));
    folder.crl = Some(other.finish().sign(&p384()).unwrap().into_der());
    folder.has("crl.pem", Severity::LeftOut, "the revocation list does not name this issuer");
    assert_eq!(folder.plan().next_crl_number, 1);
}

#[test]
fn next_list_has_a_number_that_was_never_used() {
    let mut folder = Folder::new();
    folder.crl = Some(folder.list(41, &[("ff", Reason::KeyCompromise)]));
    for (written, next) in [("20\n", 42), ("1000\n", 0x1000), ("", 42), ("zz", 42)] {
        folder.crl_number = Some(written);
        assert_eq!(folder.plan().next_crl_number, next, "{written}");
    }
    folder.has("crlnumber", Severity::Note, "not a hexadecimal number");
}

#[test]
fn numbers_of_lists_leave_room_for_those_that_follow() {
    let mut folder = Folder::new();
    for (written, next) in
        [("4000000000000000", MAX_CRL_NUMBER), ("4000000000000001", 1), ("7fffffffffffffff", 1)]
    {
        folder.crl_number = Some(written);
        assert_eq!(folder.plan().next_crl_number, next, "{written}");
    }
    folder.has("crlnumber", Severity::Note, "not a hexadecimal number up to 4000000000000000");
    folder.crl = Some(folder.list(i64::MAX.unsigned_abs(), &[]));
    assert_eq!(folder.plan().next_crl_number, 1);
    folder.has("list", Severity::Note, "begin again with lower ones");
}

#[test]
fn ca_that_can_publish_or_issue_nothing_is_told() {
    let mut folder = Folder::new();
    folder.ca_key = Some(data!("p256.pkcs8.pem").to_owned());
    let mut told = |pem: &str, text: &str| {
        folder.ca = Certificate::from_pem(pem).unwrap();
        folder.has("ca.crt", Severity::Note, text);
    };
    told(data!("nocrl.cert.pem"), "does not let it sign CRLs");
    told(data!("critical.cert.pem"), "has the extension 1.2.3.4");
    told(data!("ekuclient.cert.pem"), "does not allow certificates for TLS servers");
    told(data!("explicit1.cert.pem"), "requires a certificate policy");
}

#[test]
fn keys_go_to_their_certificates_and_others_are_told() {
    let mut folder = Folder::new();
    folder.keys = vec![
        ("both.key", data!("p384.pkcs8.pem").to_owned()),
        ("weak.key", data!("rsa1024.pkcs8.pem").to_owned()),
        ("locked.key", data!("p256.encrypted.pem").to_owned()),
        ("new.key", PrivateKey::generate(crate::KeyAlgorithm::EcP256).unwrap().to_pkcs8_pem().to_string()),
    ];
    // Two certificates share the P-384 key.
    let with_key: Vec<_> = folder.plan().certificates.iter().map(|it| it.key.is_some()).collect();
    assert_eq!(with_key, [false, false, true, true]);
    folder.has("weak.key", Severity::LeftOut, "unreadable private key");
    folder.has("locked.key", Severity::LeftOut, "encrypted");
    folder.has("new.key", Severity::LeftOut, "belongs to no certificate");
}

#[test]
fn bad_lines_of_the_index_are_told_and_the_others_count() {
    let mut folder = Folder::new();
    folder.index = format!("hello\n{}", folder.index);
    folder.has("index.txt", Severity::LeftOut, "line 1: it has 1 fields");
    assert!(matches!(folder.plan().certificates[1].status, Status::Revoked { .. }));
}

#[test]
fn mutated_folders_never_panic() {
    let mut folder = Folder::new();
    let list = folder.list(41, &[("ff", Reason::KeyCompromise)]);
    let (server, index) = (folder.server.to_pem(), folder.index.clone());
    mutate(&[server.as_bytes(), b"|", index.as_bytes(), b"|", &list].concat(), 400, |bytes| {
        let mut parts = bytes.splitn(3, |it| *it == b'|');
        folder.more = vec![("x.pem", parts.next().unwrap_or_default().to_vec())];
        folder.index = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        folder.crl = parts.next().map(<[u8]>::to_vec);
        let _ = folder.plan();
    });
}
