use aws_lc_rs::digest::{SHA256, digest};
use const_oid::db::rfc5280::{
    ID_CE_BASIC_CONSTRAINTS, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME, ID_PE_AUTHORITY_INFO_ACCESS,
};
use der::{Decode, asn1::ObjectIdentifier};
use jiff::Timestamp;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};

use super::{
    Content, Field, Kind, Object,
    foreign::{Foreign, name_text},
    warnings, words,
};
use crate::{
    Error, NameConstraints, Subtree,
    certificate::AnyPathLen,
    serial::{hex, hex_of_integer},
};

/// Describes a certificate.
pub(super) fn described(der: &[u8], now: Timestamp) -> Object {
    if der.len() > MAX_LEN {
        return Object::unreadable(Kind::Certificate, "unreadable", "it is larger than any certificate");
    }
    let Ok(certificate) = Foreign::from_der(der) else {
        return Object::unreadable(Kind::Certificate, "unreadable", "it is too damaged to be read");
    };
    let facts = Facts::of(&certificate);
    let summary = certificate.summary(der);
    let name = match facts.subject.as_str() {
        "(empty)" => facts.sans.first().cloned().unwrap_or_else(|| "(empty)".to_owned()),
        subject => subject.to_owned(),
    };
    Object {
        fields: fields(der, &certificate, &facts, now),
        warnings: warnings::of(&certificate, &facts, now),
        ..Object::new(Kind::Certificate, name, Content::Certificate(Box::new(summary)))
    }
}

/// What a certificate says, read as far as it can be.
pub(super) struct Facts {
    pub(super) subject: String,
    pub(super) sans: Vec<String>,
    pub(super) ca: bool,
    pub(super) path_len: Option<String>,
    pub(super) usage: Option<KeyUsage>,
    pub(super) purposes: Option<ExtendedKeyUsage>,
    /// Whether a self-issued certificate carries its own signature; `None` where it names another issuer.
    pub(super) self_signed: Option<Result<(), Error>>,
    /// The extensions that are there and cannot be read.
    pub(super) unreadable: Vec<&'static str>,
}

impl Facts {
    fn of(certificate: &Foreign<'_>) -> Self {
        let mut unreadable = Vec::new();
        let basic: Option<AnyPathLen<'_>> =
            read(certificate, ID_CE_BASIC_CONSTRAINTS, "basic constraints", &mut unreadable);
        let usage = read(certificate, ID_CE_KEY_USAGE, "key usage", &mut unreadable);
        let purposes = read(certificate, ID_CE_EXT_KEY_USAGE, "extended key usage", &mut unreadable);
        let sans = certificate.extension(ID_CE_SUBJECT_ALT_NAME).map(|it| {
            words::general_names(it.value).unwrap_or_else(|| {
                unreadable.push("subject alternative names");
                Vec::new()
            })
        });
        let verify = || super::foreign::verify_parsed(&certificate.signed, certificate.spki.0);
        Self {
            subject: name_text(certificate.subject.0),
            sans: sans.unwrap_or_default(),
            ca: basic.as_ref().is_some_and(|it| it.ca),
            path_len: basic.and_then(|it| it.path_len).map(|it| match it.as_bytes() {
                [octet] => octet.to_string(),
                longer => format!("0x{}", hex(longer)),
            }),
            usage,
            purposes,
            self_signed: certificate.is_self_issued().then(verify),
            unreadable,
        }
    }
}

fn read<'a, T: Decode<'a>>(
    certificate: &Foreign<'a>,
    id: ObjectIdentifier,
    name: &'static str,
    unreadable: &mut Vec<&'static str>,
) -> Option<T> {
    let read = T::from_der(certificate.extension(id)?.value).ok();
    if read.is_none() {
        unreadable.push(name);
    }
    read
}

fn fields(der: &[u8], certificate: &Foreign<'_>, facts: &Facts, now: Timestamp) -> Vec<Field> {
    let time = |at: Option<Timestamp>| at.map_or("unreadable".to_owned(), |at| words::time_from(at, now));
    let mut fields = vec![
        Field::new("subject", &facts.subject),
        Field::new("issuer", name_text(certificate.issuer.0)),
        Field::new("self-signed", self_signed(facts)),
        Field::new("serial number", hex_of_integer(certificate.serial)),
        Field::new("valid from", time(certificate.not_before)),
        Field::new("valid until", time(certificate.not_after)),
        Field::new("key", words::public_key(certificate.spki.0).0),
    ];
    if !facts.sans.is_empty() {
        fields.push(Field::list("alternative names", facts.sans.clone()));
    }
    fields.push(Field::new("certificate authority", authority(facts)));
    fields.extend(facts.usage.as_ref().map(|it| Field::list("key usage", words::key_usages(it))));
    fields.extend(
        facts
            .purposes
            .as_ref()
            .map(|it| Field::list("purposes", it.0.iter().map(|oid| words::purpose(*oid)).collect())),
    );
    fields.extend(name_constraints(certificate));
    for (label, id) in [
        ("revocation list at", ID_CE_CRL_DISTRIBUTION_POINTS),
        ("about the issuer at", ID_PE_AUTHORITY_INFO_ACCESS),
    ] {
        let uris = certificate.extension(id).map(|it| words::uris(it.value)).unwrap_or_default();
        if !uris.is_empty() {
            fields.push(Field::list(label, uris));
        }
    }
    fields.push(Field::new("signature", words::signature_algorithm(certificate.signed.algorithm.0).0));
    let summary = certificate.summary(der);
    fields.extend(summary.subject_key_id.map(|it| Field::new("key identifier", words::colons(&it))));
    fields
        .extend(summary.authority_key_id.map(|it| Field::new("issuer's key identifier", words::colons(&it))));
    fields.push(Field::new("SHA-256 fingerprint", words::colons(digest(&SHA256, der).as_ref())));
    fields
}

fn self_signed(facts: &Facts) -> String {
    match &facts.self_signed {
        None => "no".to_owned(),
        Some(Ok(())) => "yes".to_owned(),
        Some(Err(Error::BadSignature { .. })) => {
            "no: it names itself as issuer, but another key signed it".to_owned()
        }
        Some(Err(error)) => format!("by its names; its signature was not checked: {error}"),
    }
}

fn authority(facts: &Facts) -> String {
    match (facts.ca, &facts.path_len) {
        (false, _) => "no".to_owned(),
        (true, None) => "yes, with any number of CAs below it".to_owned(),
        (true, Some(limit)) if limit == "0" => "yes, with no CA below it".to_owned(),
        (true, Some(limit)) => format!("yes, with at most {limit} CAs below it in a row"),
    }
}

fn name_constraints(certificate: &Foreign<'_>) -> Option<Field> {
    let extension = certificate.extension(ID_CE_NAME_CONSTRAINTS)?;
    let Ok(constraints) = NameConstraints::from_der(extension.value) else {
        return Some(Field::new("name constraints", "unreadable"));
    };
    let permitted = constraints.permitted.iter().map(|it| format!("only {}", subtree(it)));
    let excluded = constraints.excluded.iter().map(|it| format!("never {}", subtree(it)));
    let mut lines: Vec<_> = permitted.chain(excluded).collect();
    if lines.is_empty() {
        lines.push("for kinds of names that are not shown here, such as URIs".to_owned());
    }
    Some(Field::list("name constraints", lines))
}

fn subtree(subtree: &Subtree) -> String {
    match subtree {
        Subtree::Dns(domain) => format!("DNS names in {domain:?}"),
        Subtree::Email(base) => format!("e-mail addresses in {base:?}"),
        Subtree::Ip { address, mask } => format!("IP addresses {} mask {}", hex(address), hex(mask)),
        Subtree::Directory(name) => format!("directory names under {name}"),
    }
}

/// A thousand alternative names have some 30 KB.
const MAX_LEN: usize = 256 * 1024;
