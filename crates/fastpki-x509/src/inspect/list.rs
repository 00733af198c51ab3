use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use super::{Content, Field, Kind, Object, words};
use crate::{
    ListedRevocation, RevocationList,
    asn1::{Signed, decode},
};

/// Describes a revocation list.
pub(super) fn described(der: &[u8], now: Timestamp) -> Object {
    let Ok(list) = RevocationList::from_der(der) else {
        return Object::unreadable(Kind::Crl, "unreadable", "it is too damaged to be read");
    };
    let algorithm =
        decode::<Signed<'_>>(der, "revocation list").map(|it| words::signature_algorithm(it.algorithm.0));
    let (algorithm, broken) = algorithm.unwrap_or_default();
    let number = list.number_text().unwrap_or_else(|| "none".to_owned());
    let next = list.next_update().map_or("not stated".to_owned(), |at| words::time_from(at, now));
    let issuer = list.issuer().to_string();
    let mut fields = vec![
        Field::new("issuer", &issuer),
        Field::new("number", number),
        Field::new("made", words::time_from(list.this_update(), now)),
        Field::new("next one due", next),
        Field::new("revoked certificates", list.entries().len().to_string()),
    ];
    if !list.entries().is_empty() {
        fields.push(Field::list("reasons", reasons(list.entries())));
        fields.push(Field::list("entries", entries(list.entries())));
    }
    fields.extend(list.authority_key_id().map(|it| Field::new("issuer's key identifier", words::colons(it))));
    fields.push(Field::new("signature", algorithm));
    fields.push(Field::new("SHA-256 fingerprint", words::colons(digest(&SHA256, der).as_ref())));
    let warnings = warnings(&list, broken, now);
    Object { fields, warnings, ..Object::new(Kind::Crl, issuer, Content::Crl(Box::new(list))) }
}

fn warnings(list: &RevocationList, broken: bool, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    match list.next_update() {
        Some(next) if next < now => {
            warnings.push(format!("it is out of date since {}: programs refuse it", words::time(next)));
        }
        Some(_) => {}
        None => warnings.push("it does not say when the next one is due".to_owned()),
    }
    if list.this_update() > now {
        warnings.push(format!("it is dated ahead, to {}", words::time(list.this_update())));
    }
    if broken {
        warnings.push("its signature uses a broken hash".to_owned());
    }
    if list.number_text().is_none() {
        warnings.push("it has no number, so that nobody can tell which of two is newer".to_owned());
    }
    if list.is_partial() {
        warnings.push("it is not the full list of one CA: a delta list, or one for several CAs".to_owned());
    }
    warnings
}

/// How many there are of each reason.
fn reasons(entries: &[ListedRevocation]) -> Vec<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for words in entries.iter().map(reason) {
        match counts.iter_mut().find(|(known, _)| *known == words) {
            Some((_, count)) => *count += 1,
            None => counts.push((words, 1)),
        }
    }
    counts.into_iter().map(|(words, count)| format!("{count} × {words}")).collect()
}

fn entries(entries: &[ListedRevocation]) -> Vec<String> {
    let shown = entries.iter().take(MAX_SHOWN);
    let mut lines: Vec<_> = shown
        .map(|it| format!("{}, on {}, {}", it.serial_text(), words::time(it.revoked_at), reason(it)))
        .collect();
    if entries.len() > MAX_SHOWN {
        lines.push(format!("and {} more", entries.len() - MAX_SHOWN));
    }
    lines
}

fn reason(entry: &ListedRevocation) -> &'static str {
    if entry.is_removal() { "taken off the list" } else { entry.reason().words() }
}

const MAX_SHOWN: usize = 20;
