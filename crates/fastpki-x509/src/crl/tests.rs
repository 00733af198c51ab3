use super::*;
use crate::{Profile, testing::*};

fn build(entries: &[RevokedEntry], number: u64) -> Crl {
    let mut builder =
        CrlBuilder::new(&root(&p256(), None), number, now(), "2027-03-08T10:00:00Z".parse().unwrap());
    for entry in entries {
        builder.push(entry).unwrap();
    }
    builder.finish().sign(&p256()).unwrap()
}

fn entry(serial: &str, reason: Reason) -> RevokedEntry {
    RevokedEntry { serial: Serial::from_hex(serial).unwrap(), revoked_at: now(), reason }
}

fn tbs(crl: &Crl) -> x509_cert::crl::TbsCertList {
    <x509_cert::crl::CertificateList as der::Decode>::from_der(crl.der()).unwrap().tbs_cert_list
}

#[test]
fn entries_are_listed_with_their_reasons() {
    let crl = build(&[entry("ff", Reason::KeyCompromise), entry("1", Reason::Unspecified)], 7);
    let listed = tbs(&crl).revoked_certificates.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].serial_number.as_bytes(), [0, 0xff]);
    let extension = &listed[0].crl_entry_extensions.as_ref().unwrap()[0];
    assert_eq!(extension.extn_id.to_string(), "2.5.29.21");
    assert!(!extension.critical);
    assert_eq!(extension.extn_value.as_bytes(), [0x0a, 1, 1]);
    assert!(listed[1].crl_entry_extensions.is_none());
    assert_eq!(listed[1].revocation_date.to_string(), "2027-03-01T10:00:00Z");
}

#[test]
fn empty_list_has_no_entries_at_all() {
    let crl = build(&[], 1);
    assert!(tbs(&crl).revoked_certificates.is_none());
}

#[test]
fn list_has_its_number_and_the_issuers_key_identifier() {
    let tbs = tbs(&build(&[], u64::MAX));
    let extensions = tbs.crl_extensions.unwrap();
    assert_eq!(extensions[1].extn_value.as_bytes(), [&[2, 9, 0][..], &[0xff; 8]].concat());
    let key_id = key_identifier_of_first(&extensions);
    assert_eq!(key_id, root(&p256(), None).subject_key_id().unwrap());
}

fn key_identifier_of_first(extensions: &[x509_cert::ext::Extension]) -> Vec<u8> {
    let value = extensions[0].extn_value.as_bytes();
    crate::certificate::key_identifier_of(value).unwrap().unwrap().to_vec()
}

#[test]
fn only_the_issuers_key_signs() {
    let builder = CrlBuilder::new(&root(&p256(), None), 1, now(), "2027-03-08T10:00:00Z".parse().unwrap());
    assert_eq!(builder.finish().sign(&p384()).unwrap_err(), Error::KeyMismatch);
}

#[test]
fn next_update_must_come_later() {
    let builder = CrlBuilder::new(&root(&p256(), None), 1, now(), now());
    assert!(matches!(builder.finish().sign(&p256()), Err(Error::Lint(_))));
}

#[test]
fn long_lists_and_long_headers_fit() {
    for count in [1, 3, 100, 5000] {
        let entries: Vec<_> =
            (1..=count).map(|i: u32| entry(&format!("7f{i:038x}"), Reason::Superseded)).collect();
        let crl = build(&entries, 3);
        assert_eq!(tbs(&crl).revoked_certificates.unwrap().len(), usize::try_from(count).unwrap());
    }
    let long = format!("CN=Test Root,{}", ["OU=0123456789012345678901234567890123456789"; 60].join(","));
    let request = request(Profile::Root { path_len: None }, &long, &rsa());
    let issuer = request.prepare_self_signed(&rsa()).unwrap().sign(&rsa()).unwrap();
    let next = "2055-03-08T10:00:00Z".parse().unwrap();
    CrlBuilder::new(&issuer, 1, now(), next).finish().sign(&rsa()).unwrap();
}

#[test]
fn pem_is_of_the_type_openssl_writes() {
    let crl = build(&[], 1);
    assert!(crl.to_pem().starts_with("-----BEGIN X509 CRL-----\n"));
    assert!(crl.to_pem().ends_with("\n-----END X509 CRL-----\n"));
    assert_eq!(crl_pem(crl.der()), crl.to_pem());
    assert_eq!(crl.clone().into_der(), crl.der());
}

#[test]
fn revocation_before_1970_is_dated_to_its_start() {
    let entry = RevokedEntry { revoked_at: Timestamp::MIN, ..entry("1", Reason::Unspecified) };
    let listed = tbs(&build(&[entry], 1)).revoked_certificates.unwrap();
    assert_eq!(listed[0].revocation_date.to_string(), "1970-01-01T00:00:00Z");
}

#[test]
fn only_a_ca_that_may_sign_lists_does() {
    let sign = |issuer: &Certificate| {
        let next = "2027-03-08T10:00:00Z".parse().unwrap();
        CrlBuilder::new(issuer, 1, now(), next).finish().sign(&p256())
    };
    let leaf = Certificate::from_pem(data!("leaf.cert.pem")).unwrap();
    assert_eq!(sign(&leaf).unwrap_err(), Error::NotACa);
    // The key usage with its two last bits: certificates and lists.
    let issuer = root(&p256(), None);
    let usage = [0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 3, 2, 1, 0x86];
    let mut der = issuer.der().to_vec();
    let place = der.windows(usage.len()).position(|it| it == usage).unwrap() + usage.len();
    der[place - 2..place].copy_from_slice(&[2, 0x84]);
    assert_eq!(sign(&Certificate::from_der(&der).unwrap()).unwrap_err(), Error::NotACa);
    sign(&issuer).unwrap();
    // One that signs lists only.
    let loose = Certificate::from_pem(data!("nosign.cert.pem")).unwrap();
    assert_ne!(sign(&loose).err(), Some(Error::NotACa));
}
