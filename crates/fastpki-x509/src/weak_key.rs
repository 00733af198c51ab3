//! Public keys whose private keys strangers can find.

use std::sync::LazyLock;

use num_bigint::BigUint;

use crate::{
    Error, KeyAlgorithm, PublicKey,
    asn1::decode,
    public_key::{RsaPublicKey, weak},
};

/// Refuses a key that is known to be weak by what it is: RSA with small or close primes or by a generator with a known
/// flaw, Ed25519 with a point that every signature fits. Takes some milliseconds.
pub(crate) fn check(key: &PublicKey) -> Result<(), Error> {
    match key.algorithm() {
        KeyAlgorithm::Rsa { .. } => {
            let rsa: RsaPublicKey<'_> = decode(key.bits(), "RSA public key")?;
            check_modulus(rsa.modulus.as_bytes())
        }
        KeyAlgorithm::Ed25519 => check_order(key.bits()),
        KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::EcP521 => Ok(()),
    }
}

fn check_modulus(modulus: &[u8]) -> Result<(), Error> {
    let number = BigUint::from_bytes_be(modulus);
    if let Some(prime) = small_factor(&number) {
        return Err(weak(format!("the RSA modulus can be divided by {prime}: make a new key")));
    }
    if is_roca(modulus) {
        return Err(weak(
            "the RSA key was made by a chip or library with a known flaw (ROCA, CVE-2017-15361), and can be broken: make a new key elsewhere".to_owned(),
        ));
    }
    if has_close_primes(&number) {
        return Err(weak(
            "the primes of the RSA key are so close to each other, or to a simple ratio, that it can be broken: make a new key"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The smallest prime below [`SMALL`] that divides a number.
fn small_factor(number: &BigUint) -> Option<u64> {
    // One long division for several primes: the remainder by their product is divided by each.
    PRODUCTS.iter().find_map(|(product, primes)| {
        let rest = low_digit(&(number % *product));
        primes.iter().copied().find(|prime| rest.is_multiple_of(*prime))
    })
}

fn low_digit(number: &BigUint) -> u64 {
    number.iter_u64_digits().next().unwrap_or(0)
}

/// Whether the modulus leaves, divided by each of these primes, a power of 65537, as those of Infineon's RSALib do, from
/// ["The Return of Coppersmith's Attack"](https://crocs.fi.muni.cz/public/papers/rsa_ccs17). Others do once in 2^27.
fn is_roca(modulus: &[u8]) -> bool {
    let primes = PRIMES.iter().skip_while(|prime| **prime < 3).take_while(|prime| **prime <= ROCA_LAST_PRIME);
    primes.copied().all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn is_power_of_65537(value: u64, prime: u64) -> bool {
    let mut power = 1;
    // The powers come round again after at most prime - 1 of them.
    for _ in 1..prime {
        if power == value {
            return true;
        }
        power = power * 65537 % prime;
    }
    false
}

/// Whether the primes are close to each other, or to a simple ratio such as 1 to 2 or 2 to 3: where `a * p` is close to
/// `b * q`, four times `a * b * p * q` is a little less than the square of their sum (Lehman's method).
fn has_close_primes(modulus: &BigUint) -> bool {
    is_close_to_square(modulus, FERMAT_ROUNDS)
        || RATIOS.into_iter().any(|ratio| is_close_to_square(&(modulus * (4 * ratio)), RATIO_ROUNDS))
}

/// Whether Fermat's method finds the factors in a few rounds: a square less the number is a square.
fn is_close_to_square(number: &BigUint, rounds: u32) -> bool {
    let mut root = number.sqrt();
    if &root * &root < *number {
        root += 1_u32;
    }
    let mut rest = &root * &root - number;
    for _ in 0..rounds {
        if is_square(&rest) {
            return true;
        }
        // (a + 1)² - n = a² - n + 2a + 1
        rest += &root * 2_u32 + 1_u32;
        root += 1_u32;
    }
    false
}

fn is_square(number: &BigUint) -> bool {
    // Squares end in 0, 1, 4, 9, 16, 17, 25, 33, 36, 41, 49 or 57, to the base 64: most others are told at once.
    if 0x0202_0212_0203_0213_u64 >> (low_digit(number) % 64) & 1 == 0 {
        return false;
    }
    // Nor do others leave what squares leave, divided by these: the root of a long number takes time.
    let rest = low_digit(&(number % SQUARE_MODULI.iter().product::<u64>()));
    let may_be = |modulus: &u64| (0..=modulus / 2).any(|root| root * root % modulus == rest % modulus);
    if !SQUARE_MODULI.iter().all(may_be) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}

/// Refuses the points of small order, under which everybody can sign.
fn check_order(point: &[u8]) -> Result<(), Error> {
    let mut ordinate = point.to_vec();
    if let Some(last) = ordinate.last_mut() {
        *last &= 0x7f;
    }
    if SMALL_ORDER.iter().any(|small| ordinate == *small) {
        return Err(weak("every signature fits this Ed25519 key: make a new key".to_owned()));
    }
    Ok(())
}

/// The remainder of a number by a divisor below 2^32, by Horner's rule.
fn remainder(magnitude: &[u8], divisor: u64) -> u64 {
    let (head, words) = magnitude.as_rchunks();
    let rest = head.iter().fold(0, |rest, octet| (rest << 8 | u64::from(*octet)) % divisor);
    words.iter().fold(rest, |rest, word| (rest << 32 | u64::from(u32::from_be_bytes(*word))) % divisor)
}

/// The primes below 10,000.
static PRIMES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut primes: Vec<u64> = Vec::new();
    for number in 2..SMALL {
        if primes.iter().take_while(|prime| *prime * *prime <= number).all(|prime| number % prime != 0) {
            primes.push(number);
        }
    }
    primes
});

/// The primes below 10,000 in groups, each with its product.
static PRODUCTS: LazyLock<Vec<(u64, Vec<u64>)>> = LazyLock::new(|| {
    let mut groups: Vec<(u64, Vec<u64>)> = Vec::new();
    for prime in PRIMES.iter().copied() {
        match groups
            .last_mut()
            .and_then(|(product, primes)| Some((product.checked_mul(prime)?, product, primes)))
        {
            Some((larger, product, primes)) => {
                *product = larger;
                primes.push(prime);
            }
            None => groups.push((prime, vec![prime])),
        }
    }
    groups
});

/// Divided by them, squares leave less than half of the remainders.
const SQUARE_MODULI: [u64; 7] = [63, 65, 11, 17, 19, 23, 31];
/// Factors below it are looked for; [SP 800-89 §5.3.3](https://doi.org/10.6028/NIST.SP.800-89) asks for those below 752.
const SMALL: u64 = 10_000;
/// The last prime of the flaw's fingerprint.
const ROCA_LAST_PRIME: u64 = 167;
/// As many as [section 6.1.1.3 of the CA/Browser Forum's Baseline Requirements](https://cabforum.org/baseline-requirements/)
/// asks for.
const FERMAT_ROUNDS: u32 = 100;
/// Products of the two numbers of a ratio: 1 to 2, 1 to 3, 2 to 3. That of 1 to 1 is looked at for longer; each takes the root of
/// a long number, for each key.
const RATIOS: [u32; 3] = [2, 3, 6];
/// Primes that follow numbers of such a ratio are found in one round; more would take time for each key.
const RATIO_ROUNDS: u32 = 5;
/// The ordinates of points of order 1, 2, 4 and 8 on Ed25519, little-endian, as they are and with the field's prime added.
const SMALL_ORDER: [[u8; 32]; 7] = [
    ends(0, 0),
    ends(1, 0),
    ends(0xec, 0x7f),
    ends(0xed, 0x7f),
    ends(0xee, 0x7f),
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

/// 32 octets with these at their ends; those between are zeros, or all ones where the last is not zero.
const fn ends(first: u8, last: u8) -> [u8; 32] {
    let mut octets = [if last == 0 { 0 } else { 0xff }; 32];
    octets[0] = first;
    octets[31] = last;
    octets
}

#[cfg(test)]
mod tests;
