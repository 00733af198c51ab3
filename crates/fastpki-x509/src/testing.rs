//! Fixed keys and short ways to certificates, for the tests of this crate.

use jiff::Timestamp;

use crate::*;

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/", $name))
    };
}
pub(crate) use data;

pub(crate) fn rsa() -> PrivateKey {
    PrivateKey::from_pem(data!("rsa2048.pkcs8.pem")).unwrap()
}

pub(crate) fn p256() -> PrivateKey {
    PrivateKey::from_pem(data!("p256.pkcs8.pem")).unwrap()
}

pub(crate) fn p384() -> PrivateKey {
    PrivateKey::from_pem(data!("p384.pkcs8.pem")).unwrap()
}

pub(crate) fn ed25519() -> PrivateKey {
    PrivateKey::from_pem(data!("ed25519.pkcs8.pem")).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2027-03-01T10:00:00.5Z".parse().unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn dns(text: &str) -> San {
    San::parse_dns(text).unwrap()
}

pub(crate) fn request(profile: Profile, subject: &str, key: &PrivateKey) -> Request {
    let urls = Urls { crl: "http://pki.test/crl/x".to_owned(), ca: "http://pki.test/ca/x.crt".to_owned() };
    Request {
        profile,
        subject: name(subject),
        sans: Vec::new(),
        public_key: key.public_key().clone(),
        serial: Serial::from_random([0x5a; 20]),
        validity: Validity::from(now(), 365).unwrap(),
        urls: Some(urls),
    }
}

pub(crate) fn root(key: &PrivateKey, path_len: Option<u8>) -> Certificate {
    let request = request(Profile::Root { path_len }, "CN=Test Root,O=Example", key);
    request.prepare_self_signed(key).unwrap().sign(key).unwrap()
}

/// An intermediate with the P-384 key, under the P-256 root.
pub(crate) fn intermediate(path_len: Option<u8>) -> Certificate {
    let request = request(Profile::Intermediate { path_len }, "CN=Test Intermediate,O=Example", &p384());
    request.prepare(&root(&p256(), None)).unwrap().sign(&p256()).unwrap()
}

/// Calls `read` with a few thousand mutations of the input, from a fixed seed.
pub(crate) fn mutate(input: &[u8], rounds: usize, mut read: impl FnMut(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 0xffff_ffff).unwrap()
    };
    for _ in 0..rounds {
        let mut bytes = input.to_vec();
        for _ in 0..=next() % 4 {
            let place = next() % bytes.len();
            match next() % 5 {
                0 => bytes[place] = u8::try_from(next() % 256).unwrap(),
                1 => bytes[place] ^= 1 << (next() % 8),
                2 => bytes.truncate(place + 1),
                3 => bytes.insert(place, u8::try_from(next() % 256).unwrap()),
                _ => {
                    let from = next() % bytes.len();
                    bytes[place] = bytes[from];
                }
            }
        }
        read(&bytes);
    }
}
