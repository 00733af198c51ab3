use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Index, IndexEntry, IndexStatus};
use crate::{Certificate, ListedRevocation, Reason, RevocationList, Serial};

/// The state of a certificate that would be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is valid, or will be.
    Valid,
    /// It has expired.
    Expired,
    /// It was revoked.
    Revoked {
        /// When it was.
        at: Timestamp,
        /// Why it was.
        reason: Reason,
    },
}

/// A revocation of a certificate that is not there: the CA's lists must go on naming it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrphanRevocation {
    /// The serial number of the certificate.
    pub serial: Serial,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Why it was.
    pub reason: Reason,
    /// When the certificate expires, where the index says so; lists need not name it after that.
    pub expires: Option<Timestamp>,
}

/// What index and list say of serial numbers.
pub(super) struct Records<'a> {
    index: Option<HashMap<Serial, &'a IndexEntry>>,
    list: Option<(&'a RevocationList, HashMap<Serial, &'a ListedRevocation>)>,
    now: Timestamp,
}

impl<'a> Records<'a> {
    pub(super) fn new(index: Option<&'a Index>, list: Option<&'a RevocationList>, now: Timestamp) -> Self {
        let index = index.map(|it| it.entries.iter().map(|entry| (entry.serial, entry)).collect());
        let list = list.map(|list| {
            let entries = list.entries().iter().filter(|it| !it.is_removal());
            (list, entries.filter_map(|it| Some((it.serial().ok()?, it))).collect())
        });
        Self { index, list, now }
    }

    /// The status of a certificate, and what is odd about it.
    pub(super) fn status_of(&self, certificate: &Certificate) -> (Status, Vec<String>) {
        let mut remarks = Vec::new();
        let indexed = self.index.as_ref().map(|it| it.get(certificate.serial()).copied());
        let listed = self.list.as_ref().and_then(|(_, it)| it.get(certificate.serial()).copied());
        let indexed = match indexed {
            Some(None) => {
                remarks.push("index.txt does not have its serial number".to_owned());
                None
            }
            Some(Some(entry)) => {
                remarks.extend(self.differing_expiry(certificate, entry));
                Some(entry)
            }
            None => None,
        };
        let status = match (indexed, listed) {
            (Some(IndexEntry { status: IndexStatus::Revoked { at, reason }, line, .. }), listed) => {
                remarks.extend(self.differing_revocation(certificate, *line, *at, *reason, listed));
                Status::Revoked { at: *at, reason: *reason }
            }
            (indexed, Some(listed)) => {
                if let Some(entry) = indexed {
                    remarks.push(format!(
                        "line {} of index.txt does not have it as revoked, but the revocation list does: it counts as revoked",
                        entry.line
                    ));
                }
                Status::Revoked { at: listed.revoked_at, reason: listed.reason() }
            }
            (_, None) if certificate.validity().not_after < self.now => Status::Expired,
            (_, None) => Status::Valid,
        };
        (status, remarks)
    }

    fn differing_expiry(&self, certificate: &Certificate, entry: &IndexEntry) -> Option<String> {
        let not_after = certificate.validity().not_after;
        (entry.expires != not_after).then(|| {
            format!(
                "it expires at {not_after}, but line {} of index.txt says {}: it may be another certificate of that serial number",
                entry.line, entry.expires
            )
        })
    }

    fn differing_revocation(
        &self,
        certificate: &Certificate,
        line: usize,
        at: Timestamp,
        reason: Reason,
        listed: Option<&ListedRevocation>,
    ) -> Option<String> {
        let (list, _) = self.list.as_ref()?;
        match listed {
            Some(listed) if listed.reason() != reason => Some(format!(
                "line {line} of index.txt has it revoked for {}, but the revocation list for {}: the first counts",
                reason.words(),
                listed.reason().words()
            )),
            Some(_) => None,
            None => {
                let due = at <= list.this_update() && certificate.validity().not_after >= list.this_update();
                due.then(|| {
                    format!("line {line} of index.txt has it revoked, but the revocation list has not: it counts as revoked")
                })
            }
        }
    }

    /// The revocations of certificates that are not among these, and what that means for the others in the index.
    pub(super) fn orphans(&self, there: &HashSet<Serial>) -> (Vec<OrphanRevocation>, Vec<String>) {
        let (mut orphans, mut remarks) = (Vec::new(), Vec::new());
        let mut entries: Vec<_> = self.index.iter().flatten().map(|(_, entry)| *entry).collect();
        entries.sort_by_key(|it| it.line);
        for entry in entries.into_iter().filter(|it| !there.contains(&it.serial)) {
            match entry.status {
                IndexStatus::Revoked { at, reason } => orphans.push(OrphanRevocation {
                    serial: entry.serial,
                    revoked_at: at,
                    reason,
                    expires: Some(entry.expires),
                }),
                IndexStatus::Valid if entry.expires >= self.now => remarks.push(format!(
                    "line {} of index.txt: the certificate {} of {} is missing, so it cannot be imported, nor revoked later",
                    entry.line,
                    entry.serial.to_hex(),
                    entry.subject
                )),
                IndexStatus::Valid | IndexStatus::Expired => {}
            }
        }
        self.add_listed(there, &mut orphans, &mut remarks);
        (orphans, remarks)
    }

    /// What the list alone has as revoked.
    fn add_listed(
        &self,
        there: &HashSet<Serial>,
        orphans: &mut Vec<OrphanRevocation>,
        remarks: &mut Vec<String>,
    ) {
        let known: HashSet<Serial> = orphans.iter().map(|it| it.serial).collect();
        for entry in self.list.iter().flat_map(|(list, _)| list.entries()).filter(|it| !it.is_removal()) {
            let Ok(serial) = entry.serial() else {
                remarks.push(format!(
                    "the revocation list has the serial number {}, which no certificate can have: it is left out",
                    entry.serial_text()
                ));
                continue;
            };
            if !there.contains(&serial) && !known.contains(&serial) {
                let expires = self.index.as_ref().and_then(|it| it.get(&serial)).map(|it| it.expires);
                let (revoked_at, reason) = (entry.revoked_at, entry.reason());
                orphans.push(OrphanRevocation { serial, revoked_at, reason, expires });
            }
        }
    }
}
