use super::*;
use crate::{KeyAlgorithm, testing::*};

#[test]
fn requests_of_every_supported_kind_are_verified() {
    for (pem, algorithm) in [
        (data!("rsa2048.csr.pem"), KeyAlgorithm::Rsa { bits: 2048 }),
        (data!("rsa2048.sha384.csr.pem"), KeyAlgorithm::Rsa { bits: 2048 }),
        (data!("rsa2048.pss.csr.pem"), KeyAlgorithm::Rsa { bits: 2048 }),
        (data!("p256.csr.pem"), KeyAlgorithm::EcP256),
        (data!("p256.sha512.csr.pem"), KeyAlgorithm::EcP256),
        (data!("p256.newhdr.csr.pem"), KeyAlgorithm::EcP256),
        (data!("p384.csr.pem"), KeyAlgorithm::EcP384),
        (data!("p521.csr.pem"), KeyAlgorithm::EcP521),
        (data!("ed25519.csr.pem"), KeyAlgorithm::Ed25519),
    ] {
        let csr = Csr::from_pem(pem).unwrap();
        assert_eq!(csr.public_key().algorithm(), algorithm);
        assert_eq!(csr.subject().common_names(), ["www.example.com"]);
    }
}

#[test]
fn subject_and_alternative_names_are_read() {
    let csr = Csr::from_pem(data!("rsa2048.csr.pem")).unwrap();
    assert_eq!(csr.subject().to_string(), r"C=SE,O=Example\, Inc.,CN=www.example.com");
    let names: Vec<_> = csr.sans().unwrap().iter().map(San::to_string).collect();
    assert_eq!(names, ["www.example.com", "*.example.com", "192.0.2.7", "2001:db8::7", "alice@example.com"]);
    assert_eq!(Csr::from_pem(data!("p384.csr.pem")).unwrap().sans(), Ok(Vec::new()));
}

#[test]
fn subject_may_be_empty() {
    let csr = Csr::from_pem(data!("p256.nosubject.csr.pem")).unwrap();
    assert!(csr.subject().is_empty());
    assert_eq!(csr.sans().unwrap(), [dns("www.example.com")]);
}

#[test]
fn alternative_names_that_are_not_carried_are_named() {
    for (pem, expected) in [
        (data!("p256.uri.csr.pem"), "spiffe://example.com/a"),
        (data!("p256.underscore.csr.pem"), "my_host.example.com"),
    ] {
        let csr = Csr::from_pem(pem).unwrap();
        assert!(matches!(csr.sans(), Err(Error::San { value, .. }) if value == expected));
    }
}

#[test]
fn weak_or_unknown_keys_are_refused() {
    assert!(matches!(Csr::from_pem(data!("rsa1024.csr.pem")), Err(Error::WeakKey { .. })));
    assert!(matches!(Csr::from_pem(data!("rsa2048e3.csr.pem")), Err(Error::WeakKey { .. })));
    assert!(matches!(Csr::from_pem(data!("k256.csr.pem")), Err(Error::UnsupportedKey { .. })));
}

#[test]
fn bad_and_broken_signatures_are_refused() {
    assert!(matches!(Csr::from_pem(data!("p256.badsig.csr.pem")), Err(Error::BadSignature { .. })));
    for pem in [data!("rsa2048.sha1.csr.pem"), data!("rsa2048.pssmax.csr.pem")] {
        assert!(matches!(Csr::from_pem(pem), Err(Error::UnsupportedSignature { .. })));
    }
}

#[test]
fn what_is_no_request_is_refused() {
    assert!(matches!(Csr::from_pem(""), Err(Error::Pem { .. })));
    assert!(matches!(Csr::from_pem(data!("nc.cert.pem")), Err(Error::Pem { .. })));
    assert!(matches!(Csr::from_pem(&"x".repeat(MAX_LEN + 1)), Err(Error::TooLarge { .. })));
    let pem = data!("p256.csr.pem");
    assert!(matches!(Csr::from_pem(&pem[..pem.len() / 2]), Err(Error::Pem { .. })));
    assert!(matches!(Csr::from_pem(&pem.replacen("MII", "?II", 1)), Err(Error::Pem { .. })));
}

#[test]
fn mutated_requests_never_panic_and_never_verify_with_other_content() {
    for pem in [data!("rsa2048.csr.pem"), data!("p256.csr.pem"), data!("ed25519.csr.pem")] {
        let der = pem::decode(pem, &["CERTIFICATE REQUEST"]).unwrap();
        let original = Csr::from_der(&der).unwrap();
        mutate(&der, 2000, |bytes| {
            if let Ok(csr) = Csr::from_der(bytes) {
                assert_eq!(csr.subject(), original.subject());
                assert_eq!(csr.sans(), original.sans());
            }
        });
    }
}

/// The encoding of a value of at most 127 octets.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A request of the P-256 key with an empty subject.
fn signed(version: u8, attributes: &[u8]) -> Result<Csr, Error> {
    let key = p256();
    let info = [&[2, 1, version, 0x30, 0][..], key.public_key().spki_der(), &tlv(0xa0, attributes)].concat();
    let info = crate::asn1::encode(&crate::asn1::SequenceContent(&info)).unwrap();
    let signature = key.sign(&info).unwrap();
    let algorithm = crate::asn1::encode(&signature::algorithm_of_issuer(key.algorithm()).unwrap()).unwrap();
    let signature = der::asn1::BitStringRef::from_bytes(&signature).unwrap();
    let whole = Signed { body: Raw(&info), algorithm: Raw(&algorithm), signature };
    Csr::from_der(&crate::asn1::encode(&whole).unwrap())
}

/// An extensionRequest of either kind with this extension.
fn extension_request(oid: &[u8], extension: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, oid), tlv(0x31, &tlv(0x30, extension))].concat())
}

const PKCS9: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const MICROSOFT: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 14];
/// 2.25 and a UUID.
const UUID: &[u8] = &[0x69, 0x83, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];

#[test]
fn extensions_asked_for_as_windows_does_are_read() {
    let san = tlv(0x30, &[tlv(6, &[0x55, 0x1d, 17]), tlv(4, &tlv(0x30, &tlv(0x82, b"a.example")))].concat());
    for oid in [PKCS9, MICROSOFT] {
        let csr = signed(0, &extension_request(oid, &san)).unwrap();
        assert_eq!(csr.sans().unwrap(), [dns("a.example")]);
    }
}

#[test]
fn version_must_be_the_only_one() {
    signed(0, &[]).unwrap();
    assert_eq!(signed(1, &[]).unwrap_err(), MALFORMED);
}

#[test]
fn unknown_attributes_and_extensions_may_have_identifiers_of_any_size() {
    let attribute = tlv(0x30, &[tlv(6, UUID), tlv(0x31, &[5, 0])].concat());
    let extension = tlv(0x30, &[tlv(6, UUID), tlv(4, &[])].concat());
    let csr = signed(0, &[attribute, extension_request(PKCS9, &extension)].concat()).unwrap();
    assert_eq!(csr.sans(), Ok(Vec::new()));
}

fn asked() -> CsrRequest {
    let ip = |text| San::parse_ip(text).unwrap();
    CsrRequest {
        subject: name("C=SE,O=Example\\, Inc.,CN=www.example.com"),
        sans: vec![dns("www.example.com"), dns("*.example.com"), ip("192.0.2.7"), ip("2001:db8::7")],
    }
}

#[test]
fn requests_made_with_every_key_read_back() {
    for key in [rsa(), p256(), p384(), ed25519()] {
        let csr = Csr::from_pem(&asked().sign(&key).unwrap().to_pem()).unwrap();
        assert_eq!(csr.subject(), &asked().subject);
        assert_eq!(csr.sans().unwrap(), asked().sans);
        assert_eq!(csr.public_key(), key.public_key());
        assert_eq!(Csr::from_der(csr.der()).unwrap().to_pem(), csr.to_pem());
    }
}

#[test]
fn request_needs_a_subject_or_alternative_names() {
    let nameless = CsrRequest { subject: Name::empty(), sans: Vec::new() };
    assert!(matches!(nameless.sign(&p256()), Err(Error::Name { .. })));
    CsrRequest { subject: Name::empty(), ..asked() }.sign(&p256()).unwrap();
    let plain = CsrRequest { sans: Vec::new(), ..asked() }.sign(&p256()).unwrap();
    assert_eq!(plain.sans(), Ok(Vec::new()));
    let many = CsrRequest { sans: vec![dns("a.example"); crate::MAX_SANS + 1], ..asked() };
    assert!(matches!(many.sign(&p256()), Err(Error::TooManySans { .. })));
}

#[test]
fn request_longer_than_any_is_refused() {
    assert!(matches!(Csr::from_der(&[0; MAX_LEN + 1]), Err(Error::TooLarge { .. })));
}
