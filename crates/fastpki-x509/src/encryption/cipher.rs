use aws_lc_rs::{
    cipher::{Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
    iv::FixedLength,
};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use zeroize::Zeroizing;

use super::SALT_LEN;

/// A block cipher in CBC mode with the padding of PKCS#7.
#[derive(Clone, Copy)]
pub(super) enum Cipher {
    /// AES, with the length of its key.
    Aes(&'static Algorithm, usize),
    TripleDes,
    /// RC2 with a key of so many octets, all of which count.
    Rc2(usize),
}

impl Cipher {
    pub(super) fn key_len(self) -> usize {
        match self {
            Self::Aes(_, length) | Self::Rc2(length) => length,
            Self::TripleDes => 24,
        }
    }

    /// `None` where the lengths or the padding are wrong.
    pub(super) fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Aes(algorithm, _) => {
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let iv: [u8; SALT_LEN] = iv.try_into().ok()?;
                let mut plaintext = Zeroizing::new(data.to_vec());
                let context = DecryptionContext::Iv128(FixedLength::from(iv));
                let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
                let length = key.decrypt(&mut plaintext, context).ok()?.len();
                plaintext.truncate(length);
                Some(plaintext)
            }
            Self::TripleDes => decrypt_cbc::<des::TdesEde3>(key, iv, data),
            Self::Rc2(_) => decrypt_cbc::<rc2::Rc2>(key, iv, data),
        }
    }
}

fn decrypt_cbc<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut plaintext = Zeroizing::new(data.to_vec());
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    let length = cipher.decrypt_padded::<Pkcs7>(&mut plaintext).ok()?.len();
    plaintext.truncate(length);
    Some(plaintext)
}
