//! Fernet tokens: AES-128-CBC under HMAC-SHA256, as the old system and Python's cryptography write them.
//!
//! [The format](https://github.com/fernet/spec/blob/master/Spec.md): version 0x80, seconds since 1970 as a
//! big-endian u64, 16 bytes of IV, the ciphertext with PKCS#7 padding, 32 bytes of HMAC over all before it;
//! the whole in URL-safe base64 with padding.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    cipher::{
        AES_128, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    hmac,
    iv::FixedLength,
};
use base64_simd::URL_SAFE;
use fastpki_types::Timestamp;
use zeroize::Zeroizing;

/// A Fernet key, ready for use: its first half signs, its second half encrypts.
pub struct FernetKey {
    signing: hmac::Key,
    encrypting: PaddedBlockEncryptingKey,
    decrypting: PaddedBlockDecryptingKey,
    fingerprint: Fingerprint,
}

/// Names a Fernet key without telling anything of it: the first 64 bits of HMAC-SHA256 under the key's 32 bytes,
/// over a fixed text. Written as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

/// The text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint: that is 16 hex digits, as `fastpki keys status` shows them")]
pub struct BadFingerprint;

/// The text is no Fernet key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Fernet key: that is 32 bytes in URL-safe base64, 44 characters")]
pub struct BadKey;

/// The token was not made under this key, or was changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was not made under this key, or was changed since")]
pub struct Undecryptable;

impl FernetKey {
    /// Reads a key in URL-safe base64.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let bytes = Zeroizing::new(URL_SAFE.decode_to_vec(text).map_err(|_| BadKey)?);
        let (signing, encrypting) = bytes.split_at_checked(HALF).ok_or(BadKey)?;
        let cipher = || UnboundCipherKey::new(&AES_128, encrypting).map_err(|_| BadKey);
        Ok(Self {
            signing: hmac::Key::new(hmac::HMAC_SHA256, signing),
            encrypting: PaddedBlockEncryptingKey::cbc_pkcs7(cipher()?).map_err(|_| BadKey)?,
            decrypting: PaddedBlockDecryptingKey::cbc_pkcs7(cipher()?).map_err(|_| BadKey)?,
            fingerprint: Fingerprint::of(&bytes),
        })
    }

    /// What the key is called where it must not be shown.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// A new key from 32 random bytes, in URL-safe base64.
    pub fn text_from_random(bytes: &[u8; 32]) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE.encode_to_string(bytes))
    }

    /// A token of this plaintext, dated now, under a fresh random IV.
    pub fn encrypt(&self, plaintext: &[u8], now: Timestamp) -> String {
        // Room for the padding: growing would leave a copy of the plaintext behind.
        let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + BLOCK));
        buffer.extend_from_slice(plaintext);
        let context = self.encrypting.encrypt(&mut *buffer).expect("AES-CBC encrypts any length");
        let iv: &[u8] = (&context).try_into().expect("CBC has an IV");
        self.assemble(iv, &buffer, now)
    }

    /// The plaintext of a token. Its date does not matter: keys at rest do not expire.
    pub fn decrypt(&self, token: &str) -> Result<Zeroizing<Vec<u8>>, Undecryptable> {
        let token = URL_SAFE.decode_to_vec(token).map_err(|_| Undecryptable)?;
        let signed = token.len().checked_sub(MAC).ok_or(Undecryptable)?;
        let (message, mac) = token.split_at(signed);
        if message.len() < HEADER || message[0] != VERSION {
            return Err(Undecryptable);
        }
        hmac::verify(&self.signing, message, mac).map_err(|_| Undecryptable)?;
        let iv: [u8; BLOCK] = message[HEADER - BLOCK..HEADER].try_into().map_err(|_| Undecryptable)?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let mut buffer = Zeroizing::new(message[HEADER..].to_vec());
        let length = self.decrypting.decrypt(&mut buffer, context).map_err(|_| Undecryptable)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn assemble(&self, iv: &[u8], ciphertext: &[u8], now: Timestamp) -> String {
        let mut token = Vec::with_capacity(HEADER + ciphertext.len() + MAC);
        token.push(VERSION);
        token.extend_from_slice(&now.as_seconds().to_be_bytes());
        token.extend_from_slice(iv);
        token.extend_from_slice(ciphertext);
        let mac = hmac::sign(&self.signing, &token);
        token.extend_from_slice(mac.as_ref());
        URL_SAFE.encode_to_string(token)
    }
}

impl Fingerprint {
    fn of(key: &[u8]) -> Self {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), FINGERPRINTED);
        let (first, _) = mac.as_ref().split_first_chunk().expect("a MAC of 32 bytes");
        Self(u64::from_be_bytes(*first))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten().ok_or(BadFingerprint)
    }
}

impl fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FernetKey({})", self.fingerprint)
    }
}

/// What a fingerprint is the MAC of; a Fernet token, which the key's first half signs, begins otherwise.
const FINGERPRINTED: &[u8] = b"FastPKI encryption key fingerprint";
const VERSION: u8 = 0x80;
const HALF: usize = 16;
const BLOCK: usize = 16;
const MAC: usize = 32;
/// Version, date, IV.
const HEADER: usize = 1 + 8 + BLOCK;

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::EncryptionContext;

    use super::*;

    // The vectors of the specification: generate.json, verify.json, invalid.json.
    const SECRET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    const INVALID: [(&str, &str); 6] = [
        (
            "incorrect mac",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
        ),
        ("too short", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA=="),
        (
            "invalid base64",
            "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
        ),
        (
            "payload size not multiple of block size",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
        ),
        (
            "payload padding error",
            "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
        ),
        (
            "incorrect IV (causes padding error)",
            "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
        ),
    ];

    #[test]
    fn generate_vector_of_the_specification() {
        let key = FernetKey::parse(SECRET).unwrap();
        let iv: [u8; 16] = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
        let mut buffer = b"hello".to_vec();
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        key.encrypting.less_safe_encrypt(&mut buffer, context).unwrap();
        let then: Timestamp = "1985-10-26T01:20:00-07:00".parse().unwrap();
        assert_eq!(key.assemble(&iv, &buffer, then), TOKEN);
    }

    #[test]
    fn verify_vector_of_the_specification() {
        let key = FernetKey::parse(SECRET).unwrap();
        assert_eq!(key.decrypt(TOKEN).unwrap().as_slice(), b"hello");
    }

    #[test]
    fn invalid_vectors_of_the_specification_are_refused() {
        let key = FernetKey::parse(SECRET).unwrap();
        for (what, token) in INVALID {
            assert_eq!(key.decrypt(token).err(), Some(Undecryptable), "{what}");
        }
    }

    #[test]
    fn token_dated_tomorrow_is_read() {
        let key = FernetKey::parse(SECRET).unwrap();
        let tomorrow: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(key.decrypt(&key.encrypt(b"x", tomorrow)).unwrap().as_slice(), b"x");
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let key = FernetKey::parse(SECRET).unwrap();
        for place in 0..TOKEN.len() {
            let mut token = TOKEN.as_bytes().to_vec();
            token[place] = if token[place] == b'A' { b'B' } else { b'A' };
            assert!(key.decrypt(std::str::from_utf8(&token).unwrap()).is_err(), "{place}");
        }
    }

    #[test]
    fn fingerprint_names_the_key_and_shows_nothing_of_it() {
        let key = FernetKey::parse(SECRET).unwrap();
        let shown = key.fingerprint().to_string();
        // printf 'FastPKI encryption key fingerprint' | openssl dgst -sha256 -mac HMAC -macopt hexkey:…
        assert_eq!(shown, "97d59baec788db1b");
        assert_eq!(shown.parse(), Ok(key.fingerprint()));
        assert_eq!(format!("{key:?}"), format!("FernetKey({shown})"));
        for text in ["", "730ff4cb", "+30ff4cb7af52f3f", "73 ff4cb7af52f3f"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(BadFingerprint), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_key_is_refused() {
        for text in [
            "",
            "short",
            "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4Q==",
            "cw/0x689RpI-jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=",
        ] {
            assert!(FernetKey::parse(text).is_err(), "{text}");
        }
    }
}
