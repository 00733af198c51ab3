use super::{Content, Field, Kind, Object, foreign, words};
use crate::{
    Error,
    asn1::{Signed, decode},
    csr::{Info, requested_sans},
};

/// Describes a certification request.
pub(super) fn described(der: &[u8]) -> Object {
    let parts = decode::<Signed<'_>>(der, "certification request")
        .and_then(|signed| Ok((signed, Info::from_der(signed.body.0).map_err(|_| MALFORMED)?)));
    let Ok((signed, info)) = parts else {
        return Object::unreadable(Kind::Csr, "unreadable", "it is too damaged to be read");
    };
    let (key, mut warnings) = words::public_key(info.spki.0);
    let (algorithm, broken) = words::signature_algorithm(signed.algorithm.0);
    let subject = foreign::name_text(info.subject.0);
    let mut fields = vec![Field::new("subject", &subject), Field::new("key", key)];
    match requested_sans(info.attributes) {
        Ok(Some(sans)) => match words::general_names(&sans) {
            Some(names) => fields.push(Field::list("alternative names", names)),
            None => warnings.push("its subject alternative names cannot be read".to_owned()),
        },
        Ok(None) => warnings.push(
            "it asks for no alternative names, which certificates of TLS servers need; the CA may take the common name"
                .to_owned(),
        ),
        Err(_) => warnings.push("the extensions it asks for cannot be read".to_owned()),
    }
    fields.push(Field::new("signature", algorithm));
    match foreign::verify(der, info.spki.0, "certification request") {
        Ok(()) => fields.push(Field::new("signed with its key", "yes")),
        Err(Error::BadSignature { .. }) => {
            fields.push(Field::new("signed with its key", "no"));
            warnings
                .push("its signature does not verify: it was changed, or signed with another key".to_owned());
        }
        Err(error) => fields.push(Field::new("signed with its key", format!("not checked: {error}"))),
    }
    if broken {
        warnings.push("its signature uses a broken hash; make it anew with SHA-256".to_owned());
    }
    let content = Content::Csr { spki: info.spki.0.to_vec() };
    Object { fields, warnings, ..Object::new(Kind::Csr, subject, content) }
}

const MALFORMED: Error = Error::Malformed { what: "certification request" };
