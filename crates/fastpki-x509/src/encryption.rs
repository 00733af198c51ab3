//! Encryption under passwords, as private keys and PKCS#12 files have it.
//!
//! What is written is PBES2 of [RFC 8018](https://www.rfc-editor.org/rfc/rfc8018) with PBKDF2-HMAC-SHA256 and
//! AES-256-CBC; what is read is also what OpenSSL and Java wrote in the last twenty years.

use ::pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use aws_lc_rs::{
    cipher::{AES_128, AES_192, AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    iv::FixedLength,
    pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512},
};
use const_oid::ObjectIdentifier;
use der::{
    Sequence,
    asn1::{AnyRef, OctetStringRef},
};
use md5::{Digest, Md5};
use sha1::Sha1;
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::{Error, asn1::encode};
use cipher::Cipher;

mod cipher;

/// An encrypted value as PKCS#8 has it, and PKCS#12 within its own.
#[derive(Sequence)]
pub(crate) struct Encrypted<'a> {
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) data: &'a OctetStringRef,
}

/// Salt and initialization vector of one encryption: random, and never used twice.
#[derive(Clone, Copy)]
pub(crate) struct Salts {
    pub(crate) salt: [u8; SALT_LEN],
    pub(crate) iv: [u8; SALT_LEN],
}

/// What was encrypted, and the AlgorithmIdentifier that says how.
pub(crate) struct Ciphertext {
    pub(crate) algorithm: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// Encrypts with AES-256-CBC under a key made of the password by PBKDF2-HMAC-SHA256.
pub(crate) fn encrypt(
    plaintext: &[u8],
    password: &str,
    iterations: u32,
    salts: Salts,
) -> Result<Ciphertext, Error> {
    let failed = |_| Error::Internal("encryption under a password failed");
    let key = pbkdf2_key(PBKDF2_HMAC_SHA256, iterations, &salts.salt, password, AES_256_LEN)
        .ok_or(Error::Internal("a password was stretched zero times"))?;
    let key = UnboundCipherKey::new(&AES_256, &key).map_err(failed)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(failed)?;
    // Room for the padding: growing would leave a copy of the plaintext behind.
    let mut data = Vec::with_capacity(plaintext.len() + SALT_LEN);
    data.extend_from_slice(plaintext);
    let context = EncryptionContext::Iv128(FixedLength::from(salts.iv));
    key.less_safe_encrypt(&mut data, context).map_err(failed)?;
    Ok(Ciphertext { algorithm: pbes2_algorithm(iterations, salts)?, data })
}

fn pbes2_algorithm(iterations: u32, salts: Salts) -> Result<Vec<u8>, Error> {
    let failed = |_| Error::Internal("the parameters of an encryption could not be encoded");
    let pbkdf2 = encode(&Pbkdf2 {
        salt: OctetStringRef::new(&salts.salt).map_err(failed)?,
        iterations,
        key_len: None,
        prf: Some(AlgorithmIdentifierRef { oid: HMAC_SHA_256, parameters: Some(AnyRef::NULL) }),
    })?;
    let iv = OctetStringRef::new(&salts.iv).map_err(failed)?;
    let parameters = encode(&Pbes2 {
        kdf: AlgorithmIdentifierRef { oid: PBKDF2, parameters: Some(any(&pbkdf2)?) },
        cipher: AlgorithmIdentifierRef { oid: AES_256_CBC, parameters: Some(iv.into()) },
    })?;
    encode(&AlgorithmIdentifierRef { oid: PBES2, parameters: Some(any(&parameters)?) })
}

/// Decrypts what another program may have encrypted; `what` names it in errors.
///
/// A wrong password is noticed by the padding alone, which it meets once in 256 times: the caller checks what comes out.
pub(crate) fn decrypt(
    encrypted: &Encrypted<'_>,
    password: &str,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let algorithm = &encrypted.algorithm;
    let parameters = algorithm.parameters.ok_or(Error::Malformed { what: "encryption parameters" })?;
    let data = encrypted.data.as_bytes();
    match algorithm.oid {
        PBES2 => decrypt_pbes2(parameters, data, password, what),
        PBE_SHA1_3DES | PBE_SHA1_RC2_40 | PBE_SHA1_RC2_128 => {
            decrypt_pkcs12(algorithm.oid, parameters, data, password, what)
        }
        other => Err(unsupported(what, other.to_string())),
    }
}

fn decrypt_pbes2(
    parameters: AnyRef<'_>,
    data: &[u8],
    password: &str,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Pbes2 { kdf, cipher } = parameters.decode_as().map_err(|_| MALFORMED)?;
    if kdf.oid != PBKDF2 {
        let name = if kdf.oid == SCRYPT { "scrypt".to_owned() } else { kdf.oid.to_string() };
        return Err(unsupported(what, name));
    }
    let kdf: Pbkdf2<'_> = kdf.parameters.and_then(|it| it.decode_as().ok()).ok_or(MALFORMED)?;
    let prf = match kdf.prf.map_or(HMAC_SHA_1, |it| it.oid) {
        HMAC_SHA_1 => PBKDF2_HMAC_SHA1,
        HMAC_SHA_256 => PBKDF2_HMAC_SHA256,
        HMAC_SHA_384 => PBKDF2_HMAC_SHA384,
        HMAC_SHA_512 => PBKDF2_HMAC_SHA512,
        other => return Err(unsupported(what, format!("PBKDF2 with {other}"))),
    };
    check_iterations(kdf.iterations, what)?;
    let iv = cipher.parameters.and_then(|it| it.decode_as::<&OctetStringRef>().ok()).ok_or(MALFORMED)?;
    let cipher = match cipher.oid {
        AES_128_CBC => Cipher::Aes(&AES_128, 16),
        AES_192_CBC => Cipher::Aes(&AES_192, 24),
        AES_256_CBC => Cipher::Aes(&AES_256, AES_256_LEN),
        DES_EDE3_CBC => Cipher::TripleDes,
        other => return Err(unsupported(what, other.to_string())),
    };
    let key = pbkdf2_key(prf, kdf.iterations, kdf.salt.as_bytes(), password, cipher.key_len());
    cipher.decrypt(&key.ok_or(MALFORMED)?, iv.as_bytes(), data).ok_or(Error::WrongPassword { what })
}

/// The encryption of [RFC 7292 appendix C](https://www.rfc-editor.org/rfc/rfc7292#appendix-C).
fn decrypt_pkcs12(
    scheme: ObjectIdentifier,
    parameters: AnyRef<'_>,
    data: &[u8],
    password: &str,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Pbes1 { salt, iterations } = parameters.decode_as().map_err(|_| MALFORMED)?;
    let rounds = check_iterations(iterations, what)?;
    let cipher = match scheme {
        PBE_SHA1_3DES => Cipher::TripleDes,
        PBE_SHA1_RC2_128 => Cipher::Rc2(16),
        _ => Cipher::Rc2(5),
    };
    let derive = |kind, length| {
        derive_key_utf8::<Sha1>(password, salt.as_bytes(), kind, rounds, length)
            .map(Zeroizing::new)
            .map_err(|_| UNENCODABLE_PASSWORD)
    };
    let key = derive(Pkcs12KeyType::EncryptionKey, cipher.key_len())?;
    let iv = derive(Pkcs12KeyType::Iv, DES_BLOCK)?;
    cipher.decrypt(&key, &iv, data).ok_or(Error::WrongPassword { what })
}

/// Decrypts what OpenSSL's traditional PEM has: a key of MD5 over password and the start of the IV.
pub(crate) fn decrypt_traditional(
    cipher: &str,
    iv: &[u8],
    data: &[u8],
    password: &str,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let cipher = match cipher.to_ascii_uppercase().as_str() {
        "AES-128-CBC" => Cipher::Aes(&AES_128, 16),
        "AES-192-CBC" => Cipher::Aes(&AES_192, 24),
        "AES-256-CBC" => Cipher::Aes(&AES_256, AES_256_LEN),
        "DES-EDE3-CBC" => Cipher::TripleDes,
        other => return Err(unsupported(what, other.chars().take(MAX_SHOWN).collect())),
    };
    // `-----BEGIN RSA PRIVATE KEY-----` of OpenSSL: EVP_BytesToKey with one round.
    let salt = iv.get(..TRADITIONAL_SALT).ok_or(MALFORMED)?;
    let mut key = Zeroizing::new(Vec::with_capacity(cipher.key_len() + MD5_LEN));
    let mut block = Zeroizing::new([0; MD5_LEN]);
    while key.len() < cipher.key_len() {
        let mut hash = Md5::new();
        if !key.is_empty() {
            hash.update(*block);
        }
        hash.update(password.as_bytes());
        hash.update(salt);
        *block = hash.finalize().into();
        key.extend_from_slice(&*block);
    }
    key.truncate(cipher.key_len());
    cipher.decrypt(&key, iv, data).ok_or(Error::WrongPassword { what })
}

fn pbkdf2_key(
    prf: pbkdf2::Algorithm,
    iterations: u32,
    salt: &[u8],
    password: &str,
    length: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(prf, iterations.try_into().ok()?, salt, password.as_bytes(), &mut key);
    Some(key)
}

/// The number of iterations, if it is one that somebody could want.
pub(crate) fn check_iterations(iterations: u32, what: &'static str) -> Result<i32, Error> {
    match i32::try_from(iterations) {
        Ok(rounds @ 1..=MAX_ITERATIONS) => Ok(rounds),
        _ => Err(unsupported(what, format!("{iterations} iterations, at most {MAX_ITERATIONS} are done"))),
    }
}

pub(crate) fn unsupported(what: &'static str, scheme: String) -> Error {
    Error::UnsupportedEncryption {
        what,
        scheme,
        advice: "write it anew with OpenSSL 3, which uses PBKDF2 and AES",
    }
}

pub(crate) fn any(der: &[u8]) -> Result<AnyRef<'_>, Error> {
    AnyRef::try_from(der).map_err(|_| Error::Internal("a value that was encoded cannot be decoded"))
}

#[derive(Sequence)]
struct Pbes2<'a> {
    kdf: AlgorithmIdentifierRef<'a>,
    cipher: AlgorithmIdentifierRef<'a>,
}

/// PBKDF2-params; salts that are not octets nobody has.
#[derive(Sequence)]
struct Pbkdf2<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
    key_len: Option<u32>,
    /// HMAC-SHA1 where it is absent.
    prf: Option<AlgorithmIdentifierRef<'a>>,
}

#[derive(Sequence)]
struct Pbes1<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
}

pub(crate) const SALT_LEN: usize = 16;
pub(crate) const UNENCODABLE_PASSWORD: Error = Error::UnusablePassword {
    reason: "PKCS#12 files cannot have passwords with characters beyond U+FFFF, such as emoji",
};
/// What Java goes up to; a second or two.
const MAX_ITERATIONS: i32 = 5_000_000;
const AES_256_LEN: usize = 32;
const DES_BLOCK: usize = 8;
const MD5_LEN: usize = 16;
const TRADITIONAL_SALT: usize = 8;
/// How many characters of an unknown cipher an error shows.
const MAX_SHOWN: usize = 40;
const MALFORMED: Error = Error::Malformed { what: "encryption parameters" };

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
const PBE_SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const PBE_SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const PBE_SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");
