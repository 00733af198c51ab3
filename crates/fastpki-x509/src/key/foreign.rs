//! Private keys as other programs leave them, under passphrases too.

use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION};
use der::{
    Decode, Reader, SliceReader,
    asn1::{AnyRef, BitStringRef, OctetStringRef},
};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use super::{
    DAMAGED, Kind, PrivateKey, RSA, block, decode_pem,
    public_half::{pkcs8_parts, rsa_public, sec1_public, skip_rest},
};
use crate::{
    Error,
    asn1::{Raw, encode},
    encryption::{self, Encrypted},
    pem,
};

impl PrivateKey {
    /// Reads the first private key in a text of at most 1 MB, whether it is encrypted or not.
    ///
    /// That is PKCS#8 (`PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) and SEC1
    /// (`EC PRIVATE KEY`), the last two also with the `DEK-Info` of OpenSSL. Where a passphrase is needed and is not
    /// there, the error is [`Error::PasswordNeeded`]; where it is wrong, [`Error::WrongPassword`]. One that is not
    /// needed is ignored.
    pub fn from_any_pem(text: &str, passphrase: Option<&str>) -> Result<Self, Error> {
        Opened::from_pem(text, passphrase)?.load()
    }

    /// Reads a private key in DER: PKCS#8, encrypted or not, PKCS#1 or SEC1. The errors are those of
    /// [`PrivateKey::from_any_pem`].
    pub fn from_any_der(der: &[u8], passphrase: Option<&str>) -> Result<Self, Error> {
        Opened::from_der(der, passphrase)?.load()
    }
}

/// A private key that was decrypted, if it had to be, and is not loaded.
pub(crate) struct Opened {
    kind: Kind,
    der: Zeroizing<Vec<u8>>,
}

impl Opened {
    pub(crate) fn from_pem(text: &str, passphrase: Option<&str>) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            return Err(Error::TooLarge { what: KEY, limit: MAX_LEN });
        }
        let (label, block) = first_block(text).ok_or(Error::PrivateKey { reason: NONE })?;
        match label {
            "ENCRYPTED PRIVATE KEY" => {
                Self::from_encrypted_der(&pem::decode(block, &["ENCRYPTED PRIVATE KEY"])?, passphrase)
            }
            "RSA PRIVATE KEY" if block.contains(TRADITIONAL) => {
                Self::from_traditional(Kind::Pkcs1, block, passphrase)
            }
            "EC PRIVATE KEY" if block.contains(TRADITIONAL) => {
                Self::from_traditional(Kind::Sec1, block, passphrase)
            }
            "OPENSSH PRIVATE KEY" => Err(Error::PrivateKey { reason: OPENSSH }),
            "DSA PRIVATE KEY" => Err(Error::PrivateKey { reason: DSA }),
            _ => decode_pem(block).map(|(kind, der)| Self { kind, der }),
        }
    }

    pub(crate) fn from_der(der: &[u8], passphrase: Option<&str>) -> Result<Self, Error> {
        if der.len() > MAX_LEN {
            return Err(Error::TooLarge { what: KEY, limit: MAX_LEN });
        }
        match DerKind::of(der) {
            Some(DerKind::Plain(kind)) => Ok(Self { kind, der: Zeroizing::new(der.to_vec()) }),
            Some(DerKind::Encrypted) => Self::from_encrypted_der(der, passphrase),
            None => Err(DAMAGED),
        }
    }

    fn from_encrypted_der(der: &[u8], passphrase: Option<&str>) -> Result<Self, Error> {
        let encrypted = Encrypted::from_der(der).map_err(|_| DAMAGED)?;
        let passphrase = passphrase.ok_or(Error::PasswordNeeded { what: KEY })?;
        let der = encryption::decrypt(&encrypted, passphrase, KEY)?;
        // A wrong passphrase may leave the padding right, but no PKCS#8.
        pkcs8_parts(&der).map_err(|_| Error::WrongPassword { what: KEY })?;
        Ok(Self { kind: Kind::Pkcs8, der })
    }

    fn from_traditional(kind: Kind, block: &str, passphrase: Option<&str>) -> Result<Self, Error> {
        let (cipher, iv, data) = traditional_parts(block).ok_or(Error::PrivateKey { reason: DEK_INFO })?;
        let passphrase = passphrase.ok_or(Error::PasswordNeeded { what: KEY })?;
        let der = encryption::decrypt_traditional(cipher, &iv, &data, passphrase, KEY)?;
        Raw::from_der(&der).map_err(|_| Error::WrongPassword { what: KEY })?;
        Ok(Self { kind, der })
    }

    pub(crate) fn load(&self) -> Result<PrivateKey, Error> {
        PrivateKey::from_der_of(self.kind, &self.der)
    }

    /// The SubjectPublicKeyInfo that the key tells, though it may be one that is not loaded.
    pub(crate) fn public_half(&self) -> Option<Vec<u8>> {
        if let Ok(key) = self.load() {
            return Some(key.public_key().spki_der().to_vec());
        }
        match self.kind {
            Kind::Pkcs1 => rsa_spki(&self.der),
            Kind::Sec1 => ec_spki(None, &self.der),
            Kind::Pkcs8 => {
                let (algorithm, key) = pkcs8_parts(&self.der).ok()?;
                match algorithm.oid {
                    RSA_ENCRYPTION => rsa_spki(key),
                    ID_EC_PUBLIC_KEY => ec_spki(Some(algorithm), key),
                    _ => None,
                }
            }
        }
    }
}

fn rsa_spki(pkcs1: &[u8]) -> Option<Vec<u8>> {
    spki(RSA, &encode(&rsa_public(pkcs1)?).ok()?)
}

fn ec_spki(algorithm: Option<AlgorithmIdentifierRef<'_>>, sec1: &[u8]) -> Option<Vec<u8>> {
    let (curve, point) = sec1_public(sec1)?;
    match (algorithm, curve) {
        (Some(algorithm), _) => spki(algorithm, point),
        (None, Some(curve)) => {
            let parameters = Some(AnyRef::from(&curve));
            spki(AlgorithmIdentifierRef { oid: ID_EC_PUBLIC_KEY, parameters }, point)
        }
        (None, None) => None,
    }
}

fn spki(algorithm: AlgorithmIdentifierRef<'_>, bits: &[u8]) -> Option<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(bits).ok()?;
    encode(&SubjectPublicKeyInfoRef { algorithm, subject_public_key }).ok()
}

/// What a DER of a private key is.
pub(crate) enum DerKind {
    Encrypted,
    Plain(Kind),
}

impl DerKind {
    /// By its first elements; `None` where it is no private key.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        if Encrypted::from_der(der).is_ok() {
            return Some(Self::Encrypted);
        }
        if pkcs8_parts(der).is_ok() {
            return Some(Self::Plain(Kind::Pkcs8));
        }
        let mut reader = SliceReader::new(der).ok()?;
        let kind = reader.sequence(|key| {
            let version = key.decode::<u8>()?;
            let is_sec1 = version == 1 && key.decode::<&OctetStringRef>().is_ok();
            // Version, modulus and seven more integers.
            let is_pkcs1 = !is_sec1 && version == 0 && key.decode::<der::asn1::UintRef<'_>>().is_ok();
            skip_rest(key)?;
            Ok::<_, der::Error>(if is_sec1 { Some(Kind::Sec1) } else { is_pkcs1.then_some(Kind::Pkcs1) })
        });
        kind.ok()?.map(Self::Plain)
    }
}

/// The block of a private key that comes first, with its label.
fn first_block(text: &str) -> Option<(&'static str, &str)> {
    let place = |label: &str| text.find(&format!("-----BEGIN {label}-----"));
    let (_, label) = LABELS.into_iter().filter_map(|label| Some((place(label)?, label))).min()?;
    Some((label, block(text, label)?))
}

/// Cipher, initialization vector and ciphertext of a block with a DEK-Info.
fn traditional_parts(block: &str) -> Option<(&str, Vec<u8>, Vec<u8>)> {
    let mut lines = block.lines();
    let info = lines.by_ref().find_map(|line| line.trim().strip_prefix("DEK-Info:"))?;
    let (cipher, iv) = info.trim().split_once(',')?;
    let body: Vec<_> = lines.take_while(|line| !line.starts_with("-----END")).collect();
    Some((cipher, octets_of_hex(iv)?, pem::decode_base64(&body.concat())?))
}

fn octets_of_hex(hex: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

const LABELS: [&str; 6] = [
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
];

/// A key has some kilobytes; the certificates that lie beside it in one file have more.
const MAX_LEN: usize = 1_000_000;
pub(crate) const KEY: &str = "private key";
const TRADITIONAL: &str = "Proc-Type: 4,ENCRYPTED";
const NONE: &str =
    "there is no PEM block of type PRIVATE KEY, ENCRYPTED PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY";
const DEK_INFO: &str = "it is encrypted, and its DEK-Info or its base64 is damaged";
const OPENSSH: &str = "it is in OpenSSH's own format; ssh-keygen -p -m PKCS8 -f FILE rewrites a copy of it";
const DSA: &str = "DSA keys do not sign certificates; RSA, EC and Ed25519 keys do";
