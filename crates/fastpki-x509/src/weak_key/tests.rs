use super::*;
use crate::{Csr, PrivateKey, testing::*};

fn refusal(pem: &str) -> String {
    match Csr::from_pem(pem) {
        Err(Error::WeakKey { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_that_can_be_broken_are_refused_with_the_reason() {
    for (pem, word) in [
        (data!("rsa2048.close.csr.pem"), "close to each other"),
        // The primes are 2^515 apart, which takes Fermat's method some fifty rounds.
        (data!("rsa2048.near.csr.pem"), "close to each other"),
        (data!("rsa2048.small.csr.pem"), "divided by 9973"),
        (data!("rsa2048.roca.csr.pem"), "ROCA"),
    ] {
        let reason = refusal(pem);
        assert!(reason.contains(word) && reason.contains("make a new key"), "{reason}");
    }
}

#[test]
fn good_keys_are_taken() {
    for pem in [data!("rsa2048.csr.pem"), data!("p256.csr.pem"), data!("ed25519.csr.pem")] {
        Csr::from_pem(pem).unwrap();
    }
    for _ in 0..3 {
        let key = PrivateKey::generate(KeyAlgorithm::Rsa { bits: 2048 }).unwrap();
        key.public_key().check_strength().unwrap();
    }
}

#[test]
fn points_of_small_order_are_refused_on_either_side() {
    for mut point in SMALL_ORDER {
        assert!(check_order(&point).is_err());
        point[31] |= 0x80;
        assert!(check_order(&point).is_err());
    }
}

#[test]
fn primes_of_a_simple_ratio_are_found() {
    let base = BigUint::from(3_u32).pow(640);
    // As if they were the next primes.
    let next = |times: u32, more: u32| &base * times + more;
    for (one, other) in [(1, 2), (1, 3), (2, 3)] {
        assert!(has_close_primes(&(next(one, 1156) * next(other, 643))), "{one} to {other}");
    }
    assert!(!has_close_primes(&(next(1, 1156) * next(41, 643))));
}

#[test]
fn squares_are_told_from_others() {
    for root in [0_u64, 1, 7, 1 << 31, 4_294_967_291] {
        assert!(is_square(&BigUint::from(root * root)), "{root}");
        assert!(!is_square(&BigUint::from(root * root + 2)), "{root}");
    }
}

#[test]
fn primes_are_those_below_ten_thousand() {
    assert_eq!((PRIMES.len(), PRIMES[..4].to_vec(), PRIMES.last()), (1229, vec![2, 3, 5, 7], Some(&9973)));
}

#[test]
fn remainders_are_those_of_the_whole_number() {
    for (magnitude, divisor, expected) in [
        (&[][..], 7, 0),
        (&[9], 7, 2),
        (&[1, 0, 0, 0, 1], 7, 5),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 3], 9973, (4_294_967_296 % 9973_u64).pow(2) + 3),
    ] {
        assert_eq!(remainder(magnitude, divisor), expected % divisor, "{magnitude:?}");
    }
}
