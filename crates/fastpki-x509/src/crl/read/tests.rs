use der::asn1::BitStringRef;

use super::*;
use crate::{CrlBuilder, RevokedEntry, asn1::encode, testing::*};

fn later() -> Timestamp {
    "2027-03-08T10:00:00Z".parse().unwrap()
}

fn built(entries: &[(&str, Reason)], number: u64) -> Vec<u8> {
    let mut builder = CrlBuilder::new(&root(&p256(), None), number, now(), later());
    for (serial, reason) in entries {
        let serial = Serial::from_hex(serial).unwrap();
        builder.push(&RevokedEntry { serial, revoked_at: now(), reason: *reason }).unwrap();
    }
    builder.finish().sign(&p256()).unwrap().into_der()
}

/// A list of the root with this content, signed.
fn signed(content: &[u8]) -> Vec<u8> {
    let body = encode(&crate::asn1::SequenceContent(content)).unwrap();
    let algorithm = encode(&signature::algorithm_of_issuer(p256().algorithm()).unwrap()).unwrap();
    let signature = p256().sign(&body).unwrap();
    let signature = BitStringRef::from_bytes(&signature).unwrap();
    encode(&Signed { body: Raw(&body), algorithm: Raw(&algorithm), signature }).unwrap()
}

/// Algorithm, issuer and thisUpdate.
fn head() -> Vec<u8> {
    let algorithm = encode(&signature::algorithm_of_issuer(p256().algorithm()).unwrap()).unwrap();
    [algorithm, root(&p256(), None).subject().der().to_vec(), b"\x17\x0d270301100000Z".to_vec()].concat()
}

#[test]
fn our_own_lists_are_read() {
    let list =
        RevocationList::from_der(&built(&[("ff", Reason::KeyCompromise), ("1", Reason::Unspecified)], 7));
    let list = list.unwrap();
    assert_eq!(list.issuer().to_string(), "CN=Test Root,O=Example");
    assert_eq!((list.number(), list.number_text().as_deref()), (Some(7), Some("7")));
    assert_eq!(list.this_update(), "2027-03-01T10:00:00Z".parse().unwrap());
    assert_eq!(list.next_update(), Some(later()));
    assert!(!list.is_partial());
    list.is_issued_by(&root(&p256(), None)).unwrap();
    assert_eq!(list.authority_key_id(), root(&p256(), None).subject_key_id());

    let entry = list.entry_of(&Serial::from_hex("ff").unwrap()).unwrap();
    assert_eq!((entry.serial_text().as_str(), entry.reason()), ("ff", Reason::KeyCompromise));
    assert_eq!(entry.revoked_at, list.this_update());
    assert_eq!(list.entries()[1].reason_code, None);
    assert_eq!(list.entry_of(&Serial::from_hex("2").unwrap()), None);
    assert_eq!(RevocationList::from_pem(&crate::crl_pem(list.der())).unwrap().entries(), list.entries());
}

#[test]
fn list_of_another_issuer_is_told_apart() {
    let list = RevocationList::from_der(&built(&[], 1)).unwrap();
    let field = "issuer name";
    assert_eq!(list.is_issued_by(&intermediate(None)), Err(Error::ListIssuerMismatch { field }));
    let field = "authority key identifier";
    assert_eq!(list.is_issued_by(&root(&ed25519(), None)), Err(Error::ListIssuerMismatch { field }));
    let mut der = list.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let changed = RevocationList::from_der(&der).unwrap();
    let refused = changed.is_issued_by(&root(&p256(), None));
    assert_eq!(refused, Err(Error::BadSignature { what: "revocation list" }));
}

#[test]
fn old_and_odd_lists_are_read() {
    // Version 1: neither version nor extensions, and no next update.
    let entry = b"\x30\x12\x02\x01\x05\x17\x0d260301100000Z";
    let list = RevocationList::from_der(&signed(&[&head(), &b"\x30\x14"[..], entry].concat())).unwrap();
    list.is_issued_by(&root(&p256(), None)).unwrap();
    assert_eq!((list.number(), list.next_update()), (None, None));
    assert_eq!(list.entries()[0].serial_text(), "5");

    // A negative serial number, one of 21 octets, and a removal.
    let negative = b"\x30\x12\x02\x01\xff\x17\x0d260301100000Z";
    let long = [&b"\x30\x26\x02\x15"[..], &[0x7f; 21], b"\x17\x0d260301100000Z"].concat();
    let removal =
        b"\x30\x20\x02\x01\x06\x17\x0d260301100000Z\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x08";
    let entries = [&negative[..], &long, removal].concat();
    let entries = encode(&crate::asn1::SequenceContent(&entries)).unwrap();
    let list = RevocationList::from_der(&signed(&[&[2, 1, 1][..], &head(), &entries].concat())).unwrap();
    let [negative, long, removal] = list.entries() else { panic!("{list:?}") };
    assert_eq!((negative.serial(), negative.serial_text().as_str()), (Err(Error::Serial), "ff (negative)"));
    assert_eq!((long.serial(), long.serial_text()), (Err(Error::Serial), "7f".repeat(21)));
    assert!(removal.is_removal() && removal.reason() == Reason::Unspecified);
}

#[test]
fn number_longer_than_64_bits_is_shown_all_the_same() {
    let extensions = b"\xa0\x17\x30\x15\x30\x13\x06\x03\x55\x1d\x14\x04\x0c\x02\x0a\x01\0\0\0\0\0\0\0\0\0";
    let list = RevocationList::from_der(&signed(&[&[2, 1, 1][..], &head(), extensions].concat())).unwrap();
    assert_eq!((list.number(), list.number_text().as_deref()), (None, Some("0x01000000000000000000")));
}

#[test]
fn issuer_must_be_one_that_signs_lists() {
    let list = RevocationList::from_der(&built(&[], 1)).unwrap();
    let usage = [0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 3, 2, 1, 0x86];
    let mut der = root(&p256(), None).der().to_vec();
    let place = der.windows(usage.len()).position(|it| it == usage).unwrap() + usage.len();
    der[place - 2..place].copy_from_slice(&[2, 0x84]);
    assert_eq!(list.is_issued_by(&Certificate::from_der(&der).unwrap()), Err(Error::NotACa));
}

#[test]
fn mutated_lists_never_panic() {
    let issuer = root(&p256(), None);
    let der = built(&[("ff", Reason::KeyCompromise), ("1", Reason::Unspecified)], 7);
    mutate(&der, 4000, |bytes| {
        if let Ok(list) = RevocationList::from_der(bytes) {
            let _ = (list.is_issued_by(&issuer).is_ok(), list.number_text());
            let _: Vec<_> = list.entries().iter().map(|it| (it.serial(), it.serial_text())).collect();
        }
    });
}
