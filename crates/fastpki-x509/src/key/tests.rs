use der::asn1::UintRef;

use super::*;
use crate::{asn1::encode, pem, public_key::RsaPublicKey, testing::*};

const WRITTEN: [(&str, KeyAlgorithm); 8] = [
    (data!("rsa2048.pkcs8.pem"), KeyAlgorithm::Rsa { bits: 2048 }),
    (data!("rsa2048.pkcs1.pem"), KeyAlgorithm::Rsa { bits: 2048 }),
    (data!("p256.pkcs8.pem"), KeyAlgorithm::EcP256),
    (data!("p256.sec1.pem"), KeyAlgorithm::EcP256),
    (data!("p256.nopublic.sec1.pem"), KeyAlgorithm::EcP256),
    (data!("p256.nopublic.pkcs8.pem"), KeyAlgorithm::EcP256),
    (data!("p384.sec1.pem"), KeyAlgorithm::EcP384),
    (data!("ed25519.pkcs8.pem"), KeyAlgorithm::Ed25519),
];

#[test]
fn keys_of_every_format_are_read() {
    for (pem, algorithm) in WRITTEN {
        assert_eq!(PrivateKey::from_pem(pem).unwrap().algorithm(), algorithm);
    }
}

#[test]
fn every_format_is_written_as_the_pkcs8_of_openssl() {
    let written = |pem| PrivateKey::from_pem(pem).unwrap().to_pkcs8_pem();
    assert_eq!(*written(data!("rsa2048.pkcs1.pem")), data!("rsa2048.pkcs8.pem"));
    assert_eq!(*written(data!("p256.sec1.pem")), data!("p256.pkcs8.pem"));
    assert_eq!(*written(data!("p256.nopublic.sec1.pem")), data!("p256.pkcs8.pem"));
    assert_eq!(*written(data!("p256.nopublic.pkcs8.pem")), data!("p256.pkcs8.pem"));
    assert_eq!(*written(data!("p384.sec1.pem")), data!("p384.pkcs8.pem"));
    assert_eq!(*written(data!("ed25519.pkcs8.pem")), data!("ed25519.pkcs8.pem"));
}

#[test]
fn text_around_a_key_and_other_line_lengths_are_tolerated() {
    let pem = data!("rsa2048.pkcs8.pem");
    PrivateKey::from_pem(&format!("Bag Attributes\n  x: y\n{pem}\ntrailing")).unwrap();
    PrivateKey::from_pem(&pem.replace('\n', "\r\n")).unwrap();
    PrivateKey::from_pem(pem.trim_end()).unwrap();
}

#[test]
fn generated_keys_read_back() {
    let algorithms =
        [KeyAlgorithm::Rsa { bits: 2048 }, KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Ed25519];
    for algorithm in algorithms {
        let key = PrivateKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let read = PrivateKey::from_pem(&key.to_pkcs8_pem()).unwrap();
        assert_eq!(read.public_key(), key.public_key());
    }
}

#[test]
fn sizes_nobody_should_use_are_not_generated() {
    for algorithm in [0, 512, 1024, 2047, 2049, 16384].map(|bits| KeyAlgorithm::Rsa { bits }) {
        assert!(matches!(PrivateKey::generate(algorithm), Err(Error::UnsupportedKey { .. })));
    }
    assert!(matches!(PrivateKey::generate(KeyAlgorithm::EcP521), Err(Error::UnsupportedKey { .. })));
}

#[test]
fn key_fits_its_own_certificate_and_no_other() {
    for (pem, _) in WRITTEN {
        let key = PrivateKey::from_pem(pem).unwrap();
        let certificate = root(&key, None).to_pem();
        for (other, _) in WRITTEN {
            let same = PrivateKey::from_pem(other).unwrap().public_key() == key.public_key();
            assert_eq!(key_fits_certificate(other, &certificate), Ok(same));
        }
    }
}

#[test]
fn key_too_weak_to_certify_is_still_told_apart() {
    let certificate = root(&rsa(), None).to_pem();
    for pem in [data!("rsa1024.pkcs8.pem"), data!("rsa2048e3.pkcs8.pem")] {
        assert_eq!(key_fits_certificate(pem, &certificate), Ok(false));
    }
    assert!(matches!(key_fits_certificate("no key", &certificate), Err(Error::PrivateKey { .. })));
    assert!(matches!(
        key_fits_certificate(data!("p256.pkcs8.pem"), "no certificate"),
        Err(Error::Pem { .. })
    ));
}

#[test]
fn unusable_keys_are_refused() {
    let reasons = [
        (data!("rsa1024.pkcs8.pem"), "unreadable private key"),
        (data!("rsa2048e3.pkcs8.pem"), ""),
        (data!("p521.sec1.pem"), "unreadable private key"),
        (data!("p256.encrypted.pem"), "it is encrypted; decrypt it first, for example with openssl pkey"),
        (TRADITIONAL, "it is encrypted; decrypt it first, for example with openssl pkey"),
        (data!("p256.csr.pem"), "there is no PEM block"),
        ("", "there is no PEM block"),
        ("-----BEGIN PRIVATE KEY-----", "there is no PEM block"),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", ""),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
    ];
    for (pem, reason) in reasons {
        let error = PrivateKey::from_pem(pem).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    assert_eq!(format!("{:?}", p256()), "PrivateKey { algorithm: EcP256, .. }");
}

#[test]
fn mutated_keys_never_panic() {
    let certificate = root(&rsa(), None).to_pem();
    for (pem, _) in WRITTEN {
        mutate(pem.as_bytes(), 200, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let _ = (PrivateKey::from_pem(&text), key_fits_certificate(&text, &certificate));
        });
    }
}

#[test]
fn weak_public_keys_are_refused_with_the_reason() {
    let reason = |bits: &[u8]| match PublicKey::from_bits(RSA, bits).unwrap_err() {
        Error::WeakKey { reason } | Error::UnsupportedKey { reason } => reason,
        other => other.to_string(),
    };
    let rsa = |modulus: &[u8], exponent: &[u8]| {
        let (modulus, exponent) = (UintRef::new(modulus).unwrap(), UintRef::new(exponent).unwrap());
        encode(&RsaPublicKey { modulus, exponent }).unwrap()
    };
    let (odd, f4) = ([0xff; 256], [1, 0, 1]);
    PublicKey::from_bits(RSA, &rsa(&odd, &f4)).unwrap();
    assert!(reason(&rsa(&odd[..255], &f4)).contains("this one has 2040"));
    assert!(reason(&rsa(&[0xff; 1025], &f4)).contains("this one has 8200"));
    assert!(reason(&rsa(&[0xfe; 256], &f4)).contains("even"));
    for exponent in [&[3][..], &[0xff, 0xff], &[1, 0, 0], &[1]] {
        assert!(reason(&rsa(&odd, exponent)).contains("at least 65537"), "{exponent:?}");
    }
    assert!(reason(&rsa(&odd, &[0xff; 9])).contains("at most 33 bits"));
    assert!(reason(&[]).contains("malformed"));
}

#[test]
fn points_off_the_curve_are_refused() {
    let mut spki = p256().public_key().spki_der().to_vec();
    *spki.last_mut().unwrap() ^= 1;
    assert!(matches!(PublicKey::from_spki_der(&spki), Err(Error::WeakKey { .. })));
}

#[test]
fn key_identifier_is_sha1_of_the_key_bits() {
    // As `openssl x509 -text` shows it for the certificate of this key.
    let certificate = crate::Certificate::from_pem(data!("nc.cert.pem")).unwrap();
    let key = p256();
    assert_eq!(certificate.subject_key_id(), Some(&key.public_key().key_identifier()[..]));
}

#[test]
fn sizes_and_families_are_those_of_the_api() {
    let shown = |key: KeyAlgorithm| (key.family(), key.size());
    assert_eq!(shown(KeyAlgorithm::Rsa { bits: 3072 }), ("rsa", 3072));
    assert_eq!(shown(KeyAlgorithm::EcP384), ("ec", 384));
    assert_eq!(shown(KeyAlgorithm::Ed25519), ("ed25519", 256));
}

#[test]
fn keys_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<PrivateKey>();
}

#[test]
fn bytes_after_a_key_are_refused() {
    for (pem, label) in [
        (data!("rsa2048.pkcs8.pem"), "PRIVATE KEY"),
        (data!("p256.pkcs8.pem"), "PRIVATE KEY"),
        (data!("ed25519.pkcs8.pem"), "PRIVATE KEY"),
        (data!("p256.sec1.pem"), "EC PRIVATE KEY"),
    ] {
        let mut der = decode_pem(pem).unwrap().1;
        der.push(0);
        let longer = der::pem::encode_string(label, LineEnding::LF, &der).unwrap();
        assert_eq!(PrivateKey::from_pem(&longer).unwrap_err(), DAMAGED);
        let certificate = root(&PrivateKey::from_pem(pem).unwrap(), None).to_pem();
        assert_eq!(key_fits_certificate(&longer, &certificate).unwrap_err(), DAMAGED);
    }
}

const TRADITIONAL: &str = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";

#[test]
fn encrypted_pkcs8_opens_with_its_passphrase_alone() {
    let pem = data!("p256.encrypted.pem");
    assert_eq!(
        PrivateKey::from_any_pem(pem, None).unwrap_err(),
        Error::PasswordNeeded { what: "private key" }
    );
    let wrong = PrivateKey::from_any_pem(pem, Some("not it")).unwrap_err();
    assert_eq!(wrong, Error::WrongPassword { what: "private key" });
}

#[test]
fn keys_that_are_not_encrypted_need_no_passphrase_and_ignore_one() {
    for (pem, algorithm) in WRITTEN {
        for passphrase in [None, Some("ignored")] {
            let key = PrivateKey::from_any_pem(pem, passphrase).unwrap();
            assert_eq!(key.algorithm(), algorithm);
        }
        let (_, der) = decode_pem(pem).unwrap();
        assert_eq!(PrivateKey::from_any_der(&der, None).unwrap().algorithm(), algorithm);
    }
}

#[test]
fn what_is_read_by_nobody_is_told_what_to_do() {
    let reason = |pem: &str| PrivateKey::from_any_pem(pem, Some("x")).unwrap_err().to_string();
    let block = |label| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    assert!(reason(&block("OPENSSH PRIVATE KEY")).contains("ssh-keygen -p -m PKCS8"));
    assert!(reason(&block("DSA PRIVATE KEY")).contains("RSA, EC and Ed25519 keys do"));
    assert!(reason(&block("CERTIFICATE")).contains("there is no PEM block"));
    assert!(reason(&TRADITIONAL.replace("AES-256-CBC", "CAMELLIA-256-CBC")).contains("CAMELLIA-256-CBC"));
    assert!(reason(&TRADITIONAL.replace("DEK-Info", "X")).contains("DEK-Info"));
    assert!(reason(TRADITIONAL).contains("wrong password"));
    assert!(matches!(PrivateKey::from_any_pem(&"x".repeat(1_000_001), None), Err(Error::TooLarge { .. })));
    assert_eq!(PrivateKey::from_any_der(root(&p256(), None).der(), None).unwrap_err(), DAMAGED);
}

#[test]
fn mutated_encrypted_keys_never_panic() {
    for pem in [data!("p256.encrypted.pem"), TRADITIONAL, data!("rsa2048.pkcs1.pem")] {
        mutate(pem.as_bytes(), 300, |bytes| {
            let _ = PrivateKey::from_any_pem(&String::from_utf8_lossy(bytes), Some("x"));
        });
    }
    let mut ders = vec![pem::decode(data!("p256.encrypted.pem"), &["ENCRYPTED PRIVATE KEY"]).unwrap()];
    for pem in [data!("p256.pkcs8.pem"), data!("p256.sec1.pem"), data!("rsa2048.pkcs1.pem")] {
        ders.push(decode_pem(pem).unwrap().1.to_vec());
    }
    for der in ders {
        mutate(&der, 300, |bytes| {
            let _ = PrivateKey::from_any_der(bytes, Some("x"));
        });
    }
}

#[test]
fn wrong_passphrase_is_told_though_the_padding_may_fit() {
    // One in 256 leaves a padding that fits.
    let pem = TRADITIONAL.replace("AAAA", &"AAAA".repeat(16));
    for passphrase in (0..2000).map(|it| it.to_string()) {
        let error = PrivateKey::from_any_pem(&pem, Some(&passphrase)).unwrap_err();
        assert_eq!(error, Error::WrongPassword { what: "private key" });
    }
}
