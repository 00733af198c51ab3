//! What is wrong with a certificate, or may surprise whoever uses it.

use std::collections::BTreeSet;

use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_SUBJECT_KEY_IDENTIFIER, ID_KP_SERVER_AUTH,
};
use jiff::Timestamp;

use super::{certificate::Facts, foreign::Foreign, words};
use crate::{Error, limits::UNDERSTOOD, serial::SERIAL_LEN};

/// The warnings about a certificate, the worst first.
pub(super) fn of(certificate: &Foreign<'_>, facts: &Facts, now: Timestamp) -> Vec<String> {
    let mut warnings = validity(certificate, now);
    warnings.extend(signature(certificate, facts));
    warnings.extend(words::public_key(certificate.spki.0).1);
    warnings.extend(serial(certificate.serial).map(str::to_owned));
    warnings.extend(authority(certificate, facts).into_iter().map(str::to_owned));
    warnings.extend(server(certificate, facts));
    warnings.extend(extensions(certificate, facts));
    warnings
}

fn validity(certificate: &Foreign<'_>, now: Timestamp) -> Vec<String> {
    let (Some(from), Some(to)) = (certificate.not_before, certificate.not_after) else {
        return vec!["its validity cannot be read".to_owned()];
    };
    let left = (to.as_second() - now.as_second()) / SECONDS_PER_DAY;
    if to < from {
        vec!["it ends before it begins, so it is never valid".to_owned()]
    } else if now > to {
        vec![format!("it expired on {}", words::time(to))]
    } else if now < from {
        vec![format!("it is not valid before {}", words::time(from))]
    } else if left < SOON {
        vec![format!("it expires soon, on {}", words::time(to))]
    } else {
        Vec::new()
    }
}

fn signature(certificate: &Foreign<'_>, facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    let (words, broken) = words::signature_algorithm(certificate.signed.algorithm.0);
    // Nobody relies on the signature of a root: it is trusted because it is there.
    if broken && facts.self_signed.is_none() {
        warnings.push(format!("it is signed by {words}, which is broken: no current program accepts it"));
    }
    if certificate.algorithm != certificate.signed.algorithm {
        warnings.push("its two signature algorithms differ, so programs refuse it".to_owned());
    }
    if matches!(facts.self_signed, Some(Err(Error::BadSignature { .. }))) {
        warnings.push("it names itself as issuer, but its signature is not its own".to_owned());
    }
    warnings
}

fn serial(content: &[u8]) -> Option<&'static str> {
    match content {
        [first, ..] if first & 0x80 != 0 => Some("its serial number is negative"),
        _ if content.iter().all(|byte| *byte == 0) => Some("its serial number is zero"),
        _ if content.len() > SERIAL_LEN => Some("its serial number has more than 20 octets"),
        _ => None,
    }
}

fn authority(certificate: &Foreign<'_>, facts: &Facts) -> Vec<&'static str> {
    let signs = facts.usage.as_ref().map(|it| it.key_cert_sign());
    let basic = certificate.extension(ID_CE_BASIC_CONSTRAINTS);
    let mut warnings = Vec::new();
    if facts.ca && signs == Some(false) {
        warnings.push("it is a CA whose key usage does not let it sign certificates");
    }
    if facts.ca && signs.is_none() {
        warnings.push("it is a CA without key usage, which some programs want");
    }
    if facts.ca && basic.is_some_and(|it| !it.critical) {
        warnings.push("it is a CA whose basic constraints are not critical");
    }
    if !facts.ca && signs == Some(true) {
        warnings.push("its key usage lets it sign certificates, but it is no CA");
    }
    if facts.ca && certificate.extension(ID_CE_SUBJECT_KEY_IDENTIFIER).is_none() {
        warnings.push("it is a CA without key identifier");
    }
    if certificate.version < 3 && basic.is_none() {
        warnings.push("it is of an old version, without the extensions that tell a CA from others");
    }
    warnings
}

fn server(certificate: &Foreign<'_>, facts: &Facts) -> Vec<String> {
    let purposes = facts.purposes.as_ref();
    if facts.ca || !purposes.is_some_and(|it| it.0.contains(&ID_KP_SERVER_AUTH)) {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let has_host = facts.sans.iter().any(|it| it.starts_with("DNS ") || it.starts_with("IP "));
    if !has_host {
        warnings.push(
            "it is for a TLS server, but has no DNS name or IP address among its alternative names: browsers and \
             most programs refuse it"
                .to_owned(),
        );
    }
    if let (Some(from), Some(to)) = (certificate.not_before, certificate.not_after)
        && (to.as_second() - from.as_second()) / SECONDS_PER_DAY > APPLE_LIMIT
    {
        warnings.push(format!(
            "it is for a TLS server and valid for more than {APPLE_LIMIT} days: Apple's systems refuse it"
        ));
    }
    warnings
}

fn extensions(certificate: &Foreign<'_>, facts: &Facts) -> Vec<String> {
    let Some(extensions) = &certificate.extensions else {
        return vec!["its extensions are malformed and were not read".to_owned()];
    };
    let mut warnings: Vec<_> =
        facts.unreadable.iter().map(|name| format!("its {name} cannot be read")).collect();
    let mut seen = BTreeSet::new();
    for extension in extensions {
        if !seen.insert(extension.id) {
            warnings.push(format!("it has the extension {} twice, so programs refuse it", extension.id));
        } else if extension.critical && !UNDERSTOOD.iter().any(|known| extension.id == *known) {
            warnings.push(format!(
                "it has the critical extension {}: programs that do not know that refuse it",
                extension.id
            ));
        }
    }
    let is_root = facts.self_signed.is_some();
    if !is_root && certificate.version == 3 && certificate.extension(ID_CE_AUTHORITY_KEY_IDENTIFIER).is_none()
    {
        warnings.push("it does not tell its issuer's key identifier".to_owned());
    }
    warnings.truncate(MAX_WARNINGS);
    warnings
}

/// Days.
const SOON: i64 = 30;
/// [What Apple's systems accept](https://support.apple.com/en-us/103769) of TLS servers under roots that users added.
const APPLE_LIMIT: i64 = 825;
const MAX_WARNINGS: usize = 50;
const SECONDS_PER_DAY: i64 = 86_400;
