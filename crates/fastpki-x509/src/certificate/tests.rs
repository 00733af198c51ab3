use super::*;
use crate::testing::*;

#[test]
fn getters_read_what_openssl_wrote() {
    let certificate = Certificate::from_pem(data!("nc.cert.pem")).unwrap();
    assert_eq!(certificate.subject().to_string(), "O=Example,CN=nc");
    assert_eq!(certificate.issuer(), certificate.subject());
    assert!(certificate.is_ca());
    assert_eq!(certificate.path_len(), None);
    assert_eq!(certificate.public_key_info().as_ref(), Ok(p256().public_key()));
    assert!(certificate.matches_key(p256().public_key()));
    assert!(!certificate.matches_key(p384().public_key()));
    assert_eq!(certificate.to_pem(), data!("nc.cert.pem"));
}

#[test]
fn self_signed_certificates_are_issued_by_themselves() {
    for pem in [data!("nc.cert.pem"), data!("rsa2048.sha512.cert.pem")] {
        let certificate = Certificate::from_pem(pem).unwrap();
        certificate.is_issued_by(&certificate).unwrap();
    }
}

#[test]
fn certificate_of_another_issuer_is_told_apart() {
    let child = intermediate(None);
    child.is_issued_by(&root(&p256(), None)).unwrap();
    let other = Certificate::from_pem(data!("nc.cert.pem")).unwrap();
    assert_eq!(child.is_issued_by(&other), Err(Error::IssuerMismatch { field: "issuer name" }));
    let namesake = root(&ed25519(), None);
    let field = "authority key identifier";
    assert_eq!(child.is_issued_by(&namesake), Err(Error::IssuerMismatch { field }));
}

#[test]
fn changed_certificate_does_not_verify() {
    let child = intermediate(None);
    let mut der = child.der().to_vec();
    let place = der.windows(12).position(|it| it == b"Intermediate").unwrap();
    der[place] = b'i';
    let changed = Certificate::from_der(&der).unwrap();
    let refused = changed.is_issued_by(&root(&p256(), None));
    assert_eq!(refused, Err(Error::BadSignature { what: "certificate" }));
}

#[test]
fn alternative_names_refused_today_are_named() {
    let certificate = Certificate::from_pem(data!("leaf.cert.pem")).unwrap();
    assert!(!certificate.is_ca());
    assert!(matches!(certificate.sans(), Err(Error::San { value, .. }) if value == "my_host.example.com"));
}

#[test]
fn mutated_certificates_never_panic() {
    for pem in [data!("nc.cert.pem"), data!("leaf.cert.pem"), data!("rsa2048.sha512.cert.pem")] {
        let original = Certificate::from_pem(pem).unwrap();
        mutate(original.der(), 3000, |bytes| {
            if let Ok(it) = Certificate::from_der(bytes) {
                let _ = (it.subject().to_string(), it.sans(), it.name_constraints(), it.public_key_info());
                let _ = (it.is_issued_by(&original), it.to_pem(), it.validity().whole_days());
            }
        });
    }
}

#[test]
fn both_signature_algorithms_must_agree() {
    let issuer = root(&p256(), None);
    let child = intermediate(None);
    let Signed { body, algorithm, .. } = decode(child.der(), "certificate").unwrap();
    // ecdsa-with-SHA256 becomes ecdsa-with-SHA384, and the whole is signed again.
    let mut body = body.0.to_vec();
    let place = body.windows(8).position(|it| it == b"\x2a\x86\x48\xce\x3d\x04\x03\x02").unwrap();
    body[place + 7] = 3;
    let signature = p256().sign(&body).unwrap();
    let signature = BitStringRef::from_bytes(&signature).unwrap();
    let der = crate::asn1::encode(&Signed { body: Raw(&body), algorithm, signature }).unwrap();
    let refused = Certificate::from_der(&der).unwrap().is_issued_by(&issuer);
    assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
}

#[test]
fn unknown_extensions_may_have_identifiers_of_any_size() {
    let root = root(&p256(), None);
    let Parsed { signed, mut tbs } = Parsed::from_der(root.der()).unwrap();
    // 2.25 and an arc of 35 bits.
    let extension = [0x30, 10, 6, 6, 0x69, 0xff, 0xff, 0xff, 0xff, 1, 4, 0];
    tbs.extensions.as_mut().unwrap().push(decode(&extension, "extension").unwrap());
    let body = crate::asn1::encode(&tbs).unwrap();
    let der = crate::asn1::encode(&Signed { body: Raw(&body), ..signed }).unwrap();
    assert!(Certificate::from_der(&der).unwrap().is_ca());
}
