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
    add_names(info.attributes, &mut fields, &mut warnings);
    fields.push(Field::new("signature", algorithm));
    add_verification(der, info.spki.0, &mut fields, &mut warnings);
    if broken {
        warnings.push("its signature uses a broken hash; make it anew with SHA-256".to_owned());
    }
    let content = Content::Csr { spki: info.spki.0.to_vec() };
    Object { fields, warnings, ..Object::new(Kind::Csr, subject, content) }
}

fn add_names(attributes: &[u8], fields: &mut Vec<Field>, warnings: &mut Vec<String>) {
    match requested_sans(attributes).map(|sans| sans.map(|it| words::general_names(&it))) {
        Ok(Some(Some(names))) => fields.push(Field::list("alternative names", names)),
        Ok(None) => warnings.push(
            "it asks for no alternative names, which certificates of TLS servers need; the CA may take the common name"
                .to_owned(),
        ),
        Ok(Some(None)) | Err(_) => warnings.push("the extensions it asks for cannot be read".to_owned()),
    }
}

fn add_verification(der: &[u8], spki: &[u8], fields: &mut Vec<Field>, warnings: &mut Vec<String>) {
    let words = match foreign::verify(der, spki, "certification request") {
        Ok(()) => "yes".to_owned(),
        Err(Error::BadSignature { .. }) => {
            warnings
                .push("its signature does not verify: it was changed, or signed with another key".to_owned());
            "no".to_owned()
        }
        Err(error) => format!("not checked: {error}"),
    };
    fields.push(Field::new("signed with its key", words));
}

const MALFORMED: Error = Error::Malformed { what: "certification request" };
