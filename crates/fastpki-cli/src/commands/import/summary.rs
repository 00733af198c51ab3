//! What an import would do, for people.

use std::fmt::Write;

use fastpki_types::Ca;
use fastpki_x509::import::{CertificateKind, Plan, PlannedAuthority, PlannedCertificate, Severity, Status};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::contents::Contents;
use crate::{
    clock,
    table::{self, Column, Kind},
};

/// A plan, and what is told with it.
pub(super) struct Summary<'a> {
    pub(super) plan: &'a Plan,
    pub(super) contents: &'a Contents,
    /// The CA of the server that it would hang below.
    pub(super) parent: Option<&'a Ca>,
    /// Whether all remarks are wanted.
    pub(super) verbose: bool,
}

impl Summary<'_> {
    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(authority) = &self.plan.authority {
            text.push_str(&table::pairs(self.authority(authority)));
            text.push('\n');
            if !self.plan.certificates.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n{}\n", table::list(&self.counts(), &COUNTS, clock::now()));
            }
        }
        self.remarks(&mut text, Severity::Blocks, "In the way");
        self.remarks(&mut text, Severity::LeftOut, "Left out");
        self.remarks(&mut text, Severity::Note, "Notes");
        text
    }

    fn authority(&self, authority: &PlannedAuthority) -> Vec<(String, String)> {
        let (plan, certificate) = (self.plan, &authority.certificate);
        let validity = certificate.validity();
        let keys = plan.certificates.iter().filter(|it| it.key.is_some()).count();
        let place = match (authority.is_root, self.parent) {
            (true, _) => "a root".to_owned(),
            (false, Some(parent)) => format!("below {} (CA {})", parent.name, parent.id),
            (false, None) => format!("issued by {}", certificate.issuer()),
        };
        let pairs = [
            ("CA", certificate.subject().to_string()),
            ("Valid", format!("{} to {}", date(validity.not_before), date(validity.not_after))),
            ("Place", place),
            ("Files", format!("{}, {}", self.contents.cert.name, self.contents.key.name)),
            ("Certificates", plan.certificates.len().to_string()),
            ("Their private keys", keys.to_string()),
            ("Revocations without certificate", plan.orphans.len().to_string()),
            ("Number of the next CRL", plan.next_crl_number.to_string()),
        ];
        pairs.into_iter().map(|(title, text)| (title.to_owned(), text)).collect()
    }

    /// A row for each type that there is.
    fn counts(&self) -> Vec<Value> {
        let kinds = [
            CertificateKind::Server,
            CertificateKind::Client,
            CertificateKind::DualPurpose,
            CertificateKind::Ca,
        ];
        let row = |kind: CertificateKind| {
            let of_kind = || self.plan.certificates.iter().filter(move |it| it.kind == kind);
            let count = |fits: fn(&PlannedCertificate) -> bool| of_kind().filter(|it| fits(it)).count();
            (of_kind().count() > 0).then(|| {
                json!({"type": kind.to_string(),
                    "valid": count(|it| it.status == Status::Valid),
                    "expired": count(|it| it.status == Status::Expired),
                    "revoked": count(|it| matches!(it.status, Status::Revoked { .. })),
                    "keys": count(|it| it.key.is_some())})
            })
        };
        kinds.into_iter().filter_map(row).collect()
    }

    fn remarks(&self, text: &mut String, severity: Severity, title: &str) {
        let remarks = self.grouped(severity);
        if remarks.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{title}:");
        let shown = if self.verbose { remarks.len() } else { MAX_SHOWN };
        for (names, remark) in remarks.iter().take(shown) {
            let _ = writeln!(text, "  {}: {}", table::harmless(&self.listed(names)), table::harmless(remark));
        }
        if remarks.len() > shown {
            let _ = writeln!(text, "  … and {} more: --verbose shows all", remarks.len() - shown);
        }
    }

    /// What is to be said, each once, with all that it is about.
    fn grouped(&self, severity: Severity) -> Vec<(Vec<String>, String)> {
        let planned = self.plan.problems.iter().filter(|it| it.severity == severity);
        let planned = planned.map(|it| (it.about.clone(), it.text.clone()));
        let own = match severity {
            Severity::LeftOut => self.contents.unreadable.clone(),
            Severity::Note => self.notes(),
            Severity::Blocks => Vec::new(),
        };
        let mut groups: Vec<(Vec<String>, String)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (about, remark) in own.into_iter().chain(planned) {
            let place = *places.entry(remark.clone()).or_insert_with(|| {
                groups.push((Vec::new(), remark));
                groups.len() - 1
            });
            groups[place].0.push(about);
        }
        groups
    }

    fn notes(&self) -> Vec<(String, String)> {
        let (contents, mut notes) = (self.contents, Vec::new());
        let mut say = |about: &str, text: &str| notes.push((about.to_owned(), text.to_owned()));
        match (&contents.index, &contents.crl) {
            (None, None) => say(
                "revocations",
                "there is neither index.txt nor CRL, so that nothing counts as revoked; if something was, bring the CRL with --crl",
            ),
            (None, Some(crl)) if contents.is_folder => {
                say(&crl.name, "there is no index.txt: revoked is what this CRL names");
            }
            _ => {}
        }
        let Some(authority) = self.plan.authority.as_ref().filter(|it| !it.is_root) else { return notes };
        let (subject, issuer) = (authority.certificate.subject(), authority.certificate.issuer());
        if subject == issuer {
            say(
                &contents.cert.name,
                "its signature by itself cannot be verified, so that it does not count as a root; it can issue all the same",
            );
        } else if self.parent.is_none() {
            say(
                &contents.cert.name,
                "the CA that issued it is not on the server, or you may not see it: import that first, or this one will stand \
                 alone for good, with chains that end here",
            );
        }
        notes
    }

    fn listed(&self, names: &[String]) -> String {
        let shown = if self.verbose { names.len() } else { MAX_NAMES };
        let mut text = names.iter().take(shown).cloned().collect::<Vec<_>>().join(", ");
        if names.len() > shown {
            // Writing to a String cannot fail.
            let _ = write!(text, " and {} more", names.len() - shown);
        }
        text
    }
}

fn date(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d").to_string()
}

const COUNTS: [Column; 5] = [
    Column("Type", "type", Kind::Plain),
    Column("Valid", "valid", Kind::Plain),
    Column("Expired", "expired", Kind::Plain),
    Column("Revoked", "revoked", Kind::Plain),
    Column("With key", "keys", Kind::Plain),
];
/// Remarks of a kind that are shown at first.
const MAX_SHOWN: usize = 20;
/// Files that are named with a remark.
const MAX_NAMES: usize = 3;
