use super::{Content, Field, Kind, Object, words};
use crate::{Error, key::Opened};

/// Describes a private key that was read, or says why it was not.
pub(super) fn described(key: Result<Opened, Error>, encrypted: bool) -> Object {
    let protection = Field::new("encrypted", if encrypted { "yes" } else { "no" });
    let key = match key {
        Ok(key) => key,
        Err(
            error @ (Error::PasswordNeeded { .. }
            | Error::WrongPassword { .. }
            | Error::UnsupportedEncryption { .. }),
        ) => {
            let locked = Object::closed(Kind::PrivateKey, "private key", error);
            return Object { fields: vec![protection], ..locked };
        }
        Err(error) => {
            let unreadable = Object::unreadable(Kind::PrivateKey, "private key", error.to_string());
            return Object { fields: vec![protection], ..unreadable };
        }
    };
    let refused = key.load().err();
    let Some(spki) = key.public_half() else {
        let reason = refused.map_or("it does not tell its public half".to_owned(), |it| it.to_string());
        let unreadable = Object::unreadable(Kind::PrivateKey, "private key", reason);
        return Object { fields: vec![protection], ..unreadable };
    };
    let (kind, mut warnings) = words::public_key(&spki);
    if refused.is_some() {
        warnings.push("it is of a kind or size that does not sign here, or damaged".to_owned());
    }
    if !encrypted {
        warnings.push("it is not encrypted: whoever reads this file has the key".to_owned());
    }
    let identifier = words::key_identifier(&spki).unwrap_or_default();
    Object {
        fields: vec![Field::new("key", &kind), protection, Field::new("key identifier", identifier)],
        warnings,
        ..Object::new(Kind::PrivateKey, kind, Content::Key { spki })
    }
}
