//! Opening private keys that are encrypted.

use fastpki_types::Password;
use fastpki_x509::{Error as PkiError, PrivateKey};

use super::contents::{Contents, Loaded};
use crate::{ask, error::Error, output, progress::Progress};

/// Passphrases that are tried.
pub(super) struct Passphrases {
    known: Vec<Password>,
    /// Whether somebody is to be asked for more.
    ask: bool,
}

impl Passphrases {
    /// The one that was given, or else those that will be asked for.
    pub(super) fn new(given: Option<Password>) -> Self {
        Self { ask: given.is_none(), known: given.into_iter().collect() }
    }

    /// Opens what is encrypted: the CA's key, or it fails; of the others what the same passphrase opens, or another
    /// that is asked for. What stays locked is left out by the plan.
    pub(super) fn open(mut self, contents: &mut Contents) -> Result<(), Error> {
        self.open_authority(&mut contents.key)?;
        let locked = self.open_known(&mut contents.keys);
        if locked > 0 && self.ask && ask::at_terminal() {
            self.ask_for_others(&mut contents.keys, locked)?;
        }
        Ok(())
    }

    fn open_authority(&mut self, key: &mut Loaded) -> Result<(), Error> {
        if !is_locked(key) {
            return Ok(());
        }
        if !self.ask {
            return self.known.iter().try_for_each(|passphrase| unlock(key, passphrase));
        }
        let attempts = if ask::at_terminal() { ATTEMPTS } else { 1 };
        for attempt in 1..=attempts {
            let passphrase =
                ask::passphrase(&format!("Passphrase of {}", key.name), "--passphrase-file FILE")?;
            match unlock(key, &passphrase) {
                Err(Error::Pki { cause: PkiError::WrongPassword { .. }, .. }) if attempt < attempts => {
                    output::note("this passphrase does not open it");
                }
                done => {
                    self.known.push(passphrase);
                    return done;
                }
            }
        }
        Ok(())
    }

    /// Tries what is known; how many keys stay locked.
    fn open_known(&self, keys: &mut [Loaded]) -> usize {
        let progress = Progress::counting("opening private keys", keys.len());
        let mut locked = 0;
        for (at, key) in keys.iter_mut().enumerate() {
            if is_locked(key) && !self.known.iter().any(|passphrase| unlock(key, passphrase).is_ok()) {
                locked += 1;
            }
            progress.reached(at + 1);
        }
        locked
    }

    fn ask_for_others(&mut self, keys: &mut [Loaded], mut locked: usize) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let prompt =
                format!("Passphrase of {locked} private keys of certificates (none: leave them out)");
            let Some(passphrase) = ask::passphrase_or_none(&prompt)? else { return Ok(()) };
            self.known = vec![passphrase];
            let left = self.open_known(keys);
            if left == 0 {
                return Ok(());
            }
            output::note(&format!("it opens {} of them", locked - left));
            locked = left;
        }
        Ok(())
    }
}

fn is_locked(key: &Loaded) -> bool {
    matches!(key.file().key(None), Err(PkiError::PasswordNeeded { .. }))
}

/// Puts the opened key in the place of the encrypted one.
fn unlock(key: &mut Loaded, passphrase: &Password) -> Result<(), Error> {
    let opened = key.file().key(Some(passphrase.expose()));
    let opened: PrivateKey = opened.map_err(|cause| Error::Pki { what: key.name.clone(), cause })?;
    let pem = opened.to_pkcs8_pem();
    key.bytes = zeroize::Zeroizing::new(pem.as_bytes().to_vec());
    Ok(())
}

const ATTEMPTS: usize = 3;
