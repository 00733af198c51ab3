//! What tells whether two public keys belong to the same private key.

use aws_lc_rs::digest::{SHA256, digest};
use const_oid::db::{
    rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION},
    rfc8410::ID_ED_25519,
};
use spki::SubjectPublicKeyInfoRef;

use crate::{
    asn1::decode,
    public_key::{RsaPublicKey, UNCOMPRESSED},
};

/// The fingerprint of a key, of whatever kind, from its SubjectPublicKeyInfo: SHA-256 in lower-case hex over what the
/// private key is the secret of.
///
/// That is less than the whole SubjectPublicKeyInfo, since its holder can make others that are served by the same
/// secret: an RSA modulus with another exponent, and the point with the same abscissa on the other side of a curve.
pub(crate) fn key_fingerprint(spki_der: &[u8]) -> String {
    let essence = essence(spki_der).unwrap_or_else(|| spki_der.to_vec());
    digest(&SHA256, &essence).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn essence(spki_der: &[u8]) -> Option<Vec<u8>> {
    let spki: SubjectPublicKeyInfoRef<'_> = decode(spki_der, "subject public key info").ok()?;
    let bits = spki.subject_public_key.as_bytes()?;
    match spki.algorithm.oid {
        RSA_ENCRYPTION => {
            let key: RsaPublicKey<'_> = decode(bits, "RSA public key").ok()?;
            Some([b"rsa", key.modulus.as_bytes()].concat())
        }
        ID_EC_PUBLIC_KEY => {
            let abscissa = match bits {
                [UNCOMPRESSED, point @ ..] => &point[..point.len() / 2],
                [_, compressed @ ..] => compressed,
                [] => return None,
            };
            // The length of the abscissa tells the curve.
            Some([b"ec", abscissa].concat())
        }
        ID_ED_25519 => {
            let mut ordinate = bits.to_vec();
            *ordinate.last_mut()? &= !SIGN;
            Some([b"ed25519", ordinate.as_slice()].concat())
        }
        _ => None,
    }
}

/// The bit of an encoded Ed25519 point that tells which of two it is.
const SIGN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use crate::{Csr, PrivateKey, PublicKey, testing::*};

    #[test]
    fn keys_of_one_secret_have_one_fingerprint() {
        let key = PrivateKey::from_pem(data!("p256.pkcs8.pem")).unwrap();
        let public = key.public_key();
        assert_eq!(
            public.key_fingerprint(),
            Csr::from_pem(data!("p256.csr.pem")).unwrap().public_key().key_fingerprint()
        );
        let other = Csr::from_pem(data!("p384.csr.pem")).unwrap();
        assert_ne!(public.key_fingerprint(), other.public_key().key_fingerprint());
        // The same modulus with the exponent 65539: the last octet of the key is that of the exponent.
        let rsa = Csr::from_pem(data!("rsa2048.csr.pem")).unwrap().public_key().clone();
        let mut spki = rsa.spki_der().to_vec();
        *spki.last_mut().unwrap() = 3;
        let sibling = PublicKey::from_spki_der(&spki).unwrap();
        assert_ne!(sibling, rsa);
        assert_eq!(sibling.key_fingerprint(), rsa.key_fingerprint());
        let ed25519 = Csr::from_pem(data!("ed25519.csr.pem")).unwrap().public_key().clone();
        let mut spki = ed25519.spki_der().to_vec();
        *spki.last_mut().unwrap() ^= 0x80;
        assert_eq!(PublicKey::from_spki_der(&spki).unwrap().key_fingerprint(), ed25519.key_fingerprint());
    }

    #[test]
    fn other_side_of_the_curve_has_the_same_fingerprint() {
        let public = PrivateKey::from_pem(data!("p256.pkcs8.pem")).unwrap().public_key().clone();
        let mut spki = public.spki_der().to_vec();
        let ordinate = spki.len() - 32;
        // p - y, octet by octet.
        let mut borrow = 0;
        for (octet, prime) in spki[ordinate..].iter_mut().zip(P256_PRIME).rev() {
            let difference = i32::from(prime) - i32::from(*octet) - borrow;
            borrow = i32::from(difference < 0);
            *octet = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        let other = PublicKey::from_spki_der(&spki).unwrap();
        assert_ne!(other, public);
        assert_eq!(other.key_fingerprint(), public.key_fingerprint());
    }

    const P256_PRIME: [u8; 32] = [
        255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255,
    ];
}
