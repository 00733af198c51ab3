use aws_lc_rs::hmac;
use der::{
    Decode, Reader, SliceReader, Tag,
    asn1::{AnyRef, BmpString, OctetStringRef},
};
use zeroize::Zeroizing;

use super::{
    CERT_BAG, CertBag, ContentInfo, DATA, ENCRYPTED_DATA, EncryptedData, FILE, FRIENDLY_NAME, KEY_BAG,
    LOCAL_KEY_ID, MacData, Pfx, SAFE_CONTENTS_BAG, SHROUDED_KEY_BAG, SafeBag, VERSION_3, X509_CERTIFICATE,
    mac_key,
};
use crate::{
    Certificate, Error, PrivateKey,
    encryption::{self, Encrypted},
};

/// What was in a PKCS#12 file, in its order.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The private keys; nearly always one.
    pub keys: Vec<OpenedKey>,
    /// The certificates, of keys and of CAs above them.
    pub certificates: Vec<OpenedCertificate>,
}

/// A private key from a PKCS#12 file.
#[derive(Clone)]
pub struct OpenedKey {
    pkcs8: Zeroizing<Vec<u8>>,
    /// What the file calls the key.
    pub friendly_name: Option<String>,
    /// What the file marks the key's certificate with, too.
    pub local_key_id: Option<Vec<u8>>,
}

/// A certificate from a PKCS#12 file.
#[derive(Clone, Debug)]
pub struct OpenedCertificate {
    /// The certificate in DER; whether it is one was not looked at.
    pub der: Vec<u8>,
    /// What the file calls the certificate.
    pub friendly_name: Option<String>,
    /// What the file marks the certificate's key with, too.
    pub local_key_id: Option<Vec<u8>>,
}

impl OpenedKey {
    /// The key, if it is one that signs.
    pub fn private_key(&self) -> Result<PrivateKey, Error> {
        PrivateKey::from_pkcs8_der(&self.pkcs8)
    }

    /// The PKCS#8 of the key, whatever kind it is of.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl OpenedCertificate {
    /// The certificate, if it can be read.
    pub fn certificate(&self) -> Result<Certificate, Error> {
        Certificate::from_der(&self.der)
    }
}

impl Contents {
    /// The first key with its certificate and the certificates above that, as far as the file has them.
    pub fn identity(&self) -> Result<(PrivateKey, Certificate, Vec<Certificate>), Error> {
        let key = self.keys.first().ok_or(Error::PrivateKey { reason: "the PKCS#12 file holds none" })?;
        let key = key.private_key()?;
        // One that cannot be read is not the one that is looked for.
        let mut others: Vec<_> = self.certificates.iter().filter_map(|it| it.certificate().ok()).collect();
        let place =
            others.iter().position(|it| it.matches_key(key.public_key())).ok_or(Error::KeyOfAnother)?;
        let certificate = others.swap_remove(place);
        let mut chain: Vec<Certificate> = Vec::new();
        while let Some(place) = {
            let below = chain.last().unwrap_or(&certificate);
            others.iter().position(|it| below.is_issued_by(it).is_ok())
        } {
            chain.push(others.swap_remove(place));
        }
        Ok((key, certificate, chain))
    }
}

impl std::fmt::Debug for OpenedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedKey").field("friendly_name", &self.friendly_name).finish_non_exhaustive()
    }
}

/// Opens a PKCS#12 file of at most 4 MB, as OpenSSL, Java, Windows and Python write it.
///
/// A password that is not the file's is [`Error::WrongPassword`], or [`Error::PasswordNeeded`] where it is empty. A file
/// may have been made without password; then it is the empty one.
pub fn open(bytes: &[u8], password: &str) -> Result<Contents, Error> {
    if bytes.len() > MAX_LEN {
        return Err(Error::TooLarge { what: FILE, limit: MAX_LEN });
    }
    if bytes.starts_with(&INDEFINITE) {
        return Err(Error::Malformed {
            what: "PKCS#12 file in BER, as Firefox writes it (OpenSSL reads it and writes DER)",
        });
    }
    read(bytes, password).map_err(|error| match error {
        Error::WrongPassword { what } if password.is_empty() => Error::PasswordNeeded { what },
        other => other,
    })
}

/// Whether these bytes look like a PKCS#12 file, without opening it.
pub(crate) fn is_pkcs12(bytes: &[u8]) -> bool {
    Pfx::from_der(bytes).is_ok_and(|pfx| pfx.version == VERSION_3)
}

fn read(bytes: &[u8], password: &str) -> Result<Contents, Error> {
    let pfx = Pfx::from_der(bytes).map_err(|_| MALFORMED)?;
    if pfx.version != VERSION_3 || pfx.auth_safe.content_type != DATA {
        return Err(MALFORMED);
    }
    let safes = octets(pfx.auth_safe.content.ok_or(MALFORMED)?)?;
    if let Some(mac) = &pfx.mac {
        verify(mac, password, safes)?;
    }
    let mut file = File { password, contents: Contents::default(), decryptions: 0 };
    for safe in sequence_of::<ContentInfo<'_>>(safes)? {
        file.read_safe(&safe)?;
    }
    Ok(file.contents)
}

fn verify(mac: &MacData<'_>, password: &str, safes: &[u8]) -> Result<(), Error> {
    let key = mac_key(mac.mac.algorithm.oid, password, mac.salt.as_bytes(), mac.iterations)?;
    hmac::verify(&key, safes, mac.mac.digest.as_bytes()).map_err(|_| Error::WrongPassword { what: FILE })
}

/// A file that is being read.
struct File<'a> {
    password: &'a str,
    contents: Contents,
    decryptions: usize,
}

impl File<'_> {
    fn read_safe(&mut self, safe: &ContentInfo<'_>) -> Result<(), Error> {
        let content = safe.content.ok_or(MALFORMED)?;
        match safe.content_type {
            DATA => self.read_bags(octets(content)?, 0),
            ENCRYPTED_DATA => {
                let EncryptedData { content, .. } = content.decode_as().map_err(|_| MALFORMED)?;
                let Some(data) = content.data else { return Ok(()) };
                let bags = self.decrypt(&Encrypted { algorithm: content.algorithm, data })?;
                // What a wrong password leaves of a file without MAC is no DER.
                sequence_of::<SafeBag<'_>>(&bags).map_err(|_| Error::WrongPassword { what: FILE })?;
                self.read_bags(&bags, 0)
            }
            other => Err(encryption::unsupported(FILE, other.to_string())),
        }
    }

    fn read_bags(&mut self, bags: &[u8], depth: usize) -> Result<(), Error> {
        for bag in sequence_of::<SafeBag<'_>>(bags)? {
            match bag.id {
                KEY_BAG => {
                    let pkcs8 = der::Encode::to_der(&bag.value).map_err(|_| MALFORMED)?;
                    self.push_key(Zeroizing::new(pkcs8), &bag)?;
                }
                SHROUDED_KEY_BAG => {
                    let pkcs8 = self.decrypt(&bag.value.decode_as().map_err(|_| MALFORMED)?)?;
                    self.push_key(pkcs8, &bag)?;
                }
                CERT_BAG => self.push_certificate(&bag)?,
                SAFE_CONTENTS_BAG if depth < MAX_DEPTH => {
                    let nested = Zeroizing::new(der::Encode::to_der(&bag.value).map_err(|_| MALFORMED)?);
                    self.read_bags(&nested, depth + 1)?;
                }
                // CRLs, and secrets of Java.
                _ => {}
            }
        }
        Ok(())
    }

    /// Each decryption may cost a second.
    fn decrypt(&mut self, encrypted: &Encrypted<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.decryptions += 1;
        if self.decryptions > MAX_DECRYPTIONS {
            return Err(TOO_MANY);
        }
        encryption::decrypt(encrypted, self.password, FILE)
    }

    fn push_key(&mut self, pkcs8: Zeroizing<Vec<u8>>, bag: &SafeBag<'_>) -> Result<(), Error> {
        // What a wrong password leaves of a file without MAC is no DER.
        AnyRef::from_der(&pkcs8).map_err(|_| Error::WrongPassword { what: FILE })?;
        let (friendly_name, local_key_id) = attributes(bag);
        self.contents.keys.push(OpenedKey { pkcs8, friendly_name, local_key_id });
        self.check_count()
    }

    fn push_certificate(&mut self, bag: &SafeBag<'_>) -> Result<(), Error> {
        let certificate: CertBag<'_> = bag.value.decode_as().map_err(|_| MALFORMED)?;
        if certificate.id != X509_CERTIFICATE {
            return Ok(());
        }
        let der = octets(certificate.value)?.to_vec();
        let (friendly_name, local_key_id) = attributes(bag);
        self.contents.certificates.push(OpenedCertificate { der, friendly_name, local_key_id });
        self.check_count()
    }

    fn check_count(&self) -> Result<(), Error> {
        let count = self.contents.keys.len() + self.contents.certificates.len();
        if count > MAX_OBJECTS { Err(TOO_MANY) } else { Ok(()) }
    }
}

/// Friendly name and local key id; what cannot be read is as good as absent.
fn attributes(bag: &SafeBag<'_>) -> (Option<String>, Option<Vec<u8>>) {
    let (mut name, mut id) = (None, None);
    let set = bag.attributes.filter(|it| it.header().tag() == Tag::Set);
    let mut reader = SliceReader::new(set.map_or(&[][..], |it| it.value())).ok();
    while let Some(reader) = reader.as_mut().filter(|it| !it.is_finished()) {
        let Ok((oid, value)) = reader.sequence(attribute) else { break };
        match (oid, value) {
            (FRIENDLY_NAME, Some(value)) => {
                name = value.decode_as::<BmpString>().ok().map(|it| it.to_string());
            }
            (LOCAL_KEY_ID, Some(value)) => id = octets(value).ok().map(<[u8]>::to_vec),
            _ => {}
        }
    }
    (name, id)
}

/// Type and first value of an attribute.
fn attribute<'a>(
    reader: &mut SliceReader<'a>,
) -> der::Result<(const_oid::ObjectIdentifier, Option<AnyRef<'a>>)> {
    let oid = reader.decode()?;
    let values = AnyRef::decode(reader)?;
    let mut values = SliceReader::new(values.value())?;
    Ok((oid, if values.is_finished() { None } else { Some(values.decode()?) }))
}

fn octets(any: AnyRef<'_>) -> Result<&[u8], Error> {
    any.decode_as::<&OctetStringRef>().map(OctetStringRef::as_bytes).map_err(|_| MALFORMED)
}

fn sequence_of<'a, T: Decode<'a, Error = der::Error>>(der: &'a [u8]) -> Result<Vec<T>, Error> {
    let list = SliceReader::new(der).and_then(|mut reader| {
        let list = reader.sequence(|reader| {
            let mut list = Vec::new();
            while !reader.is_finished() {
                list.push(T::decode(reader)?);
            }
            Ok::<_, der::Error>(list)
        })?;
        reader.finish().map(|()| list)
    });
    list.map_err(|_| MALFORMED)
}

/// A SEQUENCE of indefinite length.
const INDEFINITE: [u8; 2] = [0x30, 0x80];
/// Room for many long chains, and for the trust stores Java ships.
const MAX_LEN: usize = 4_000_000;
const MAX_OBJECTS: usize = 1000;
const MAX_DECRYPTIONS: usize = 20;
const MAX_DEPTH: usize = 4;
const TOO_MANY: Error = Error::TooLarge { what: FILE, limit: MAX_LEN };
const MALFORMED: Error = Error::Malformed { what: FILE };
