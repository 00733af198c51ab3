use der::asn1::OctetString;

use super::*;
use crate::{
    Certificate, PrivateKey, Profile,
    asn1::{SequenceContent, encode},
    encryption::any,
    testing::*,
};

/// Enough to see that it works.
const FEW: u32 = 3;

fn leaf(key: &PrivateKey) -> Certificate {
    let mut request = request(Profile::Server, "CN=www.example.com", key);
    request.sans = vec![dns("www.example.com")];
    request.prepare(&intermediate(None)).unwrap().sign(&p384()).unwrap()
}

fn sealed(key: &PrivateKey, friendly_name: Option<&str>, password: &str) -> Result<Vec<u8>, Error> {
    seal_few(&leaf(key), key, friendly_name, password)
}

fn seal_few(
    certificate: &Certificate,
    key: &PrivateKey,
    friendly_name: Option<&str>,
    password: &str,
) -> Result<Vec<u8>, Error> {
    let chain = [intermediate(None), root(&p256(), None)];
    let bundle = Bundle { certificate, key, chain: &chain, friendly_name };
    seal::seal_with(&bundle, password, &std::array::from_fn(|it| u8::try_from(it).unwrap()), FEW)
}

#[test]
fn what_was_sealed_opens_with_its_password_alone() {
    for key in [rsa(), p256(), p384(), ed25519()] {
        let leaf = leaf(&key);
        let file = seal_few(&leaf, &key, Some("www"), "sésame").unwrap();
        let contents = open(&file, "sésame").unwrap();
        let (opened, certificate, chain) = contents.identity().unwrap();
        assert_eq!(*opened.to_pkcs8_pem(), *key.to_pkcs8_pem());
        assert_eq!(certificate.der(), leaf.der());
        let subjects: Vec<_> = chain.iter().map(|it| it.subject().to_string()).collect();
        assert_eq!(subjects, ["CN=Test Intermediate,O=Example", "CN=Test Root,O=Example"]);
        let names = contents.certificates.iter().map(|it| it.friendly_name.as_deref());
        assert_eq!(names.collect::<Vec<_>>(), [Some("www"), None, None]);
        assert_eq!(contents.keys[0].friendly_name.as_deref(), Some("www"));
        assert_eq!(contents.keys[0].local_key_id, contents.certificates[0].local_key_id);
        assert!(contents.keys[0].local_key_id.is_some());

        assert_eq!(open(&file, "sesame").unwrap_err(), Error::WrongPassword { what: FILE });
        assert_eq!(open(&file, "").unwrap_err(), Error::PasswordNeeded { what: FILE });
    }
}

#[test]
fn password_must_be_there_and_fit_the_format() {
    assert!(matches!(sealed(&p256(), None, ""), Err(Error::UnusablePassword { .. })));
    assert_eq!(sealed(&p256(), None, "key 🔑").unwrap_err(), UNENCODABLE_PASSWORD);
    let file = sealed(&p256(), None, "x").unwrap();
    assert_eq!(open(&file, "🔑").unwrap_err(), UNENCODABLE_PASSWORD);
}

#[test]
fn friendly_name_may_be_absent_and_loses_what_the_format_has_not() {
    let name = |friendly_name| {
        let file = sealed(&p256(), friendly_name, "x").unwrap();
        open(&file, "x").unwrap().keys[0].friendly_name.clone()
    };
    assert_eq!(name(None), None);
    assert_eq!(name(Some("Ä🔑")).as_deref(), Some("Ä\u{fffd}"));
}

#[test]
fn key_of_another_certificate_is_refused() {
    let bundle = Bundle { certificate: &leaf(&p256()), key: &p384(), chain: &[], friendly_name: None };
    assert_eq!(seal(&bundle, "x", &[0; RANDOMNESS_LEN]).unwrap_err(), Error::KeyOfAnother);
}

#[test]
fn certificate_that_cannot_be_read_hides_no_other() {
    let mut contents = open(&sealed(&p256(), None, "x").unwrap(), "x").unwrap();
    let unreadable = OpenedCertificate { der: vec![5, 0], friendly_name: None, local_key_id: None };
    contents.certificates.insert(0, unreadable);
    assert_eq!(contents.identity().unwrap().2.len(), 2);
    contents.certificates.truncate(1);
    assert_eq!(contents.identity().unwrap_err(), Error::KeyOfAnother);
    contents.keys.clear();
    assert!(matches!(contents.identity(), Err(Error::PrivateKey { .. })));
}

#[test]
fn debug_output_shows_no_key() {
    let contents = open(&sealed(&p256(), Some("www"), "x").unwrap(), "x").unwrap();
    assert_eq!(format!("{:?}", contents.keys), r#"[OpenedKey { friendly_name: Some("www"), .. }]"#);
}

#[test]
fn what_is_no_pkcs12_is_refused() {
    for bytes in [&b""[..], b"-----BEGIN CERTIFICATE-----", root(&p256(), None).der()] {
        assert_eq!(open(bytes, "x").unwrap_err(), Error::Malformed { what: FILE });
    }
    assert!(open(&[0x30, 0x80, 2, 1, 3], "x").unwrap_err().to_string().contains("OpenSSL reads it"));
    assert!(matches!(open(&vec![0; 5_000_000], "x"), Err(Error::TooLarge { .. })));
}

#[test]
fn mutated_files_never_panic() {
    let file = sealed(&p256(), Some("www"), "x").unwrap();
    mutate(&file, 3000, |bytes| {
        // Nobody waits for a mutation that asks for millions of iterations.
        if !many_iterations(bytes) {
            let _ = open(bytes, "x").map(|it| it.identity());
        }
    });
}

/// A file without MAC, so that mutations reach what is within.
#[test]
fn mutated_contents_never_panic() {
    let file = sealed(&p256(), Some("www"), "x").unwrap();
    let pfx = <Pfx<'_> as der::Decode>::from_der(&file).unwrap();
    let open_file = encode(&Pfx { mac: None, ..pfx }).unwrap();
    assert_eq!(open(&open_file, "x").unwrap().keys.len(), 1);
    assert_eq!(open(&open_file, "y").unwrap_err(), Error::WrongPassword { what: FILE });
    mutate(&open_file, 3000, |bytes| {
        if !many_iterations(bytes) {
            let _ = open(bytes, "x").map(|it| it.identity());
        }
    });
}

/// Whether an INTEGER of three or more octets stands behind a salt of 16.
fn many_iterations(bytes: &[u8]) -> bool {
    bytes.windows(2).enumerate().any(|(place, pair)| {
        pair[0] == 2 && (3..=5).contains(&pair[1]) && place > 16 && bytes[place - 18..].starts_with(&[4, 16])
    })
}

/// Nothing in it is encrypted: a key, and certificates within a bag of bags.
fn plain(key: &PrivateKey) -> Vec<u8> {
    let (certificate, chain) = (leaf(key), [intermediate(None)]);
    let bundle = Bundle { certificate: &certificate, key, chain: &chain, friendly_name: Some("www") };
    let certificates = seal::certificate_bags(&bundle).unwrap();
    let pkcs8 = key.to_pkcs8_der();
    let bag = |id, value| encode(&SafeBag { id, value: any(value).unwrap(), attributes: None }).unwrap();
    let bags = [bag(SAFE_CONTENTS_BAG, &certificates), bag(KEY_BAG, &pkcs8)];
    let safe = seal::data_safe(&encode(&SequenceContent(&bags.concat())).unwrap()).unwrap();
    let content = encode(&OctetString::new(encode(&SequenceContent(&safe)).unwrap()).unwrap()).unwrap();
    let auth_safe = ContentInfo { content_type: DATA, content: Some(any(&content).unwrap()) };
    encode(&Pfx { version: VERSION_3, auth_safe, mac: None }).unwrap()
}

#[test]
fn bags_in_bags_are_read_and_their_mutations_never_panic() {
    let file = plain(&p256());
    let contents = open(&file, "").unwrap();
    assert_eq!((contents.keys.len(), contents.certificates.len()), (1, 2));
    assert_eq!(contents.certificates[0].friendly_name.as_deref(), Some("www"));
    assert_eq!(contents.identity().unwrap().2.len(), 1);
    mutate(&file, 3000, |bytes| {
        let _ = open(bytes, "").map(|it| it.identity());
    });
}

/// RC2 of 40 bits, triple DES and SHA-1.
#[test]
fn file_of_openssl_1_is_read() {
    let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/rsa2048.legacy.p12"));
    let (key, certificate, chain) = open(file, "sesame").unwrap().identity().unwrap();
    assert_eq!(*key.to_pkcs8_pem(), data!("rsa2048.pkcs8.pem"));
    assert_eq!(certificate.to_pem(), data!("rsa2048.sha512.cert.pem"));
    assert!(chain.is_empty());
    assert_eq!(open(file, "x").unwrap_err(), Error::WrongPassword { what: FILE });
    mutate(file, 200, |bytes| {
        if !many_iterations(bytes) {
            let _ = open(bytes, "sesame");
        }
    });
}
