use std::collections::{HashMap, HashSet};

use super::{CertificateKind, File, Index, Inputs, OrphanRevocation, Status, status::Records};
use crate::{Certificate, PrivateKey, Profile, RevocationList, Serial};

/// What would be imported, and all that is wrong.
#[derive(Debug)]
pub struct Plan {
    /// The CA; `None` where it cannot be imported.
    pub authority: Option<PlannedAuthority>,
    /// The certificates that would be imported, in the order of their files.
    pub certificates: Vec<PlannedCertificate>,
    /// The revocations that lists must go on naming, though their certificates are not there.
    pub orphans: Vec<OrphanRevocation>,
    /// A number that is greater than that of every list before.
    pub next_crl_number: u64,
    /// Everything that is wrong, or may surprise, in the order it was found.
    pub problems: Vec<Problem>,
}

impl Plan {
    /// Whether anything stands in the way of the import.
    pub fn is_blocked(&self) -> bool {
        self.problems.iter().any(|it| it.severity == Severity::Blocks)
    }
}

/// The CA that would be imported.
#[derive(Debug)]
pub struct PlannedAuthority {
    /// Its certificate.
    pub certificate: Certificate,
    /// Its private key, which belongs to the certificate.
    pub key: Option<PrivateKey>,
    /// Whether it is a root: its certificate carries its own signature.
    pub is_root: bool,
}

/// A certificate that would be imported.
#[derive(Debug)]
pub struct PlannedCertificate {
    /// The name of its file.
    pub file: String,
    /// The certificate, which the CA signed.
    pub certificate: Certificate,
    /// Its private key, where one of the keys belongs to it.
    pub key: Option<PrivateKey>,
    /// What it is for.
    pub kind: CertificateKind,
    /// Its state.
    pub status: Status,
}

/// Something that is wrong, or may surprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file it is about.
    pub about: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, and what to do where that is not plain.
    pub text: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is imported all the same.
    Note,
    /// What it is about is left out.
    LeftOut,
    /// Nothing can be imported.
    Blocks,
}

/// Looks through all that was brought, and says what would be imported.
///
/// Every certificate must carry the CA's signature, and every private key belongs to what it is imported with. A
/// certificate counts as revoked where the index or the list says so.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut planning = Planning { problems: Vec::new() };
    let Some(authority) = planning.authority(inputs) else {
        return Plan {
            authority: None,
            certificates: Vec::new(),
            orphans: Vec::new(),
            next_crl_number: 1,
            problems: planning.problems,
        };
    };
    let index = planning.index(inputs.index);
    let list = inputs.crl.and_then(|file| planning.list(file, &authority.certificate));
    let records = Records::new(index.as_ref(), list.as_ref(), inputs.now);

    let mut certificates = planning.certificates(inputs.certificates, &authority.certificate, &records);
    planning.keys(inputs, &authority.certificate, &mut certificates);
    let mut there: HashSet<Serial> = certificates.iter().map(|it| *it.certificate.serial()).collect();
    if authority.is_root {
        // `openssl ca -selfsign` has the root in its index.
        there.insert(*authority.certificate.serial());
    }
    let (orphans, remarks) = records.orphans(&there);
    remarks.into_iter().for_each(|text| planning.say("index.txt and list", Severity::Note, text));
    let next_crl_number = planning.next_crl_number(inputs.crl_number, list.as_ref());
    Plan { authority: Some(authority), certificates, orphans, next_crl_number, problems: planning.problems }
}

struct Planning {
    problems: Vec<Problem>,
}

impl Planning {
    fn say(&mut self, about: &str, severity: Severity, text: impl Into<String>) {
        self.problems.push(Problem { about: about.to_owned(), severity, text: text.into() });
    }

    fn authority(&mut self, inputs: &Inputs<'_>) -> Option<PlannedAuthority> {
        let file = inputs.ca_certificate;
        let certificate = match authority_certificate(file) {
            Ok(certificate) => certificate,
            Err(text) => {
                self.say(file.name, Severity::Blocks, text);
                return None;
            }
        };
        if certificate.validity().not_after < inputs.now {
            let text =
                format!("the CA expired at {}: it issues nothing more", certificate.validity().not_after);
            self.say(file.name, Severity::Note, text);
        }
        for text in shortcomings(&certificate) {
            self.say(file.name, Severity::Note, text);
        }
        let key = match inputs.ca_key {
            Some(key_file) => Some(self.authority_key(key_file, inputs.passphrase, &certificate)?),
            None => {
                let text = "the CA's private key is missing: the CA can issue and revoke nothing";
                self.say(file.name, Severity::Note, text);
                None
            }
        };
        let is_root = certificate.is_issued_by(&certificate).is_ok();
        Some(PlannedAuthority { certificate, key, is_root })
    }

    fn authority_key(
        &mut self,
        file: File<'_>,
        passphrase: Option<&str>,
        certificate: &Certificate,
    ) -> Option<PrivateKey> {
        let text = match file.key(passphrase) {
            Ok(key) if certificate.matches_key(key.public_key()) => return Some(key),
            Ok(_) => "it is not the private key of the CA's certificate".to_owned(),
            Err(error) => error.to_string(),
        };
        self.say(file.name, Severity::Blocks, text);
        None
    }

    fn index(&mut self, text: Option<&str>) -> Option<Index> {
        let index = match Index::parse(text?) {
            Ok(index) => index,
            Err(error) => {
                self.say("index.txt", Severity::Blocks, error.to_string());
                return None;
            }
        };
        for problem in &index.problems {
            let text = format!("line {}: {}", problem.line, problem.reason);
            self.say("index.txt", Severity::LeftOut, text);
        }
        Some(index)
    }

    fn list(&mut self, file: File<'_>, issuer: &Certificate) -> Option<RevocationList> {
        let checked = file.list().and_then(|it| it.is_issued_by(issuer).map(|()| it));
        match checked {
            Ok(list) if list.is_partial() => {
                let text = "it is not the full list of one CA, so it is not used; bring the full one";
                self.say(file.name, Severity::LeftOut, text);
                None
            }
            Ok(list) => Some(list),
            Err(error) => {
                self.say(file.name, Severity::LeftOut, format!("it is not used: {error}"));
                None
            }
        }
    }

    /// The certificates that the CA issued, each once.
    fn certificates(
        &mut self,
        files: &[File<'_>],
        issuer: &Certificate,
        records: &Records<'_>,
    ) -> Vec<PlannedCertificate> {
        let mut planned: Vec<PlannedCertificate> = Vec::new();
        let mut places: HashMap<Serial, usize> = HashMap::new();
        for file in files {
            let Some(certificate) = self.issued(file, issuer) else { continue };
            match places.get(certificate.serial()).and_then(|place| planned.get(*place)) {
                Some(first) => self.again(file, &certificate, first),
                None => {
                    places.insert(*certificate.serial(), planned.len());
                    planned.push(self.certificate(file, certificate, records));
                }
            }
        }
        planned
    }

    /// The certificate in a file, if the CA issued it; `None` for the CA itself, too.
    fn issued(&mut self, file: &File<'_>, issuer: &Certificate) -> Option<Certificate> {
        let text = match file.certificate() {
            Ok(certificate) if certificate.der() == issuer.der() => return None,
            Ok(certificate) => match certificate.is_issued_by(issuer) {
                Ok(()) => return Some(certificate),
                Err(error) => format!("this CA did not issue it: {error}"),
            },
            Err(error) => error.to_string(),
        };
        self.say(file.name, Severity::LeftOut, text);
        None
    }

    /// A serial number for the second time: OpenSSL and Easy-RSA keep a copy of each certificate.
    fn again(&mut self, file: &File<'_>, certificate: &Certificate, first: &PlannedCertificate) {
        if first.certificate.der() != certificate.der() {
            let serial = certificate.serial().to_hex();
            let text =
                format!("{} has the same serial number, {serial}, and is another certificate", first.file);
            self.say(file.name, Severity::LeftOut, text);
        }
    }

    fn certificate(
        &mut self,
        file: &File<'_>,
        certificate: Certificate,
        records: &Records<'_>,
    ) -> PlannedCertificate {
        let (kind, remark) = CertificateKind::of(&certificate);
        let (status, remarks) = records.status_of(&certificate);
        for text in remark.into_iter().chain(remarks) {
            self.say(file.name, Severity::Note, text);
        }
        PlannedCertificate { file: file.name.to_owned(), certificate, key: None, kind, status }
    }

    /// Gives each key to the certificates it belongs to.
    fn keys(&mut self, inputs: &Inputs<'_>, authority: &Certificate, planned: &mut [PlannedCertificate]) {
        let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (place, it) in planned.iter().enumerate() {
            places.entry(it.certificate.spki_der().to_vec()).or_default().push(place);
        }
        for file in inputs.keys {
            let key = match file.key(inputs.passphrase) {
                Ok(key) => key,
                Err(error) => {
                    self.say(file.name, Severity::LeftOut, error.to_string());
                    continue;
                }
            };
            let owners = places.get(key.public_key().spki_der());
            if owners.is_none() && !authority.matches_key(key.public_key()) {
                self.say(file.name, Severity::LeftOut, "it belongs to no certificate that is imported");
            }
            let mut key = Some(key);
            for place in owners.into_iter().flatten() {
                if let Some(owner) = planned.get_mut(*place) {
                    // Certificates may share a key, as renewals do. Keys are not cloned, but read again.
                    owner.key = key.take().or_else(|| file.key(inputs.passphrase).ok());
                }
            }
        }
    }

    fn next_crl_number(&mut self, written: Option<&str>, list: Option<&RevocationList>) -> u64 {
        let after_list = list.and_then(RevocationList::number).map(|it| it.saturating_add(1));
        let after_list = after_list.filter(|it| *it <= MAX_CRL_NUMBER);
        let written = written.map(str::trim).filter(|it| !it.is_empty());
        let next = written.map(|it| u64::from_str_radix(it, 16).ok().filter(|it| *it <= MAX_CRL_NUMBER));
        if let Some(None) = next {
            let text = format!("it is not a hexadecimal number up to {MAX_CRL_NUMBER:x}, so it is not used");
            self.say("crlnumber", Severity::Note, text);
        }
        if list.is_some_and(|it| it.number_text().is_some()) && after_list.is_none() {
            let text = format!(
                "the number of the list is above {MAX_CRL_NUMBER}: those that follow begin again with lower ones"
            );
            self.say("list", Severity::Note, text);
        }
        next.flatten().unwrap_or(1).max(after_list.unwrap_or(1))
    }
}

/// What a CA cannot do here, because of what its certificate says.
fn shortcomings(certificate: &Certificate) -> Vec<String> {
    let mut texts = Vec::new();
    if !certificate.may_sign_revocation_lists() {
        texts.push(
            "its key usage does not let it sign CRLs: it can publish none, so that nothing can be issued or revoked under it \
             here; get a new certificate for it, with cRLSign"
                .to_owned(),
        );
    }
    for profile in [Profile::Intermediate { path_len: None }, Profile::Server, Profile::Client] {
        let text = certificate.cannot_issue(profile).map(|error| error.to_string());
        texts.extend(text.filter(|text| !texts.contains(text)));
    }
    texts
}

/// The certificate of a CA that could issue here, or why it could not.
fn authority_certificate(file: File<'_>) -> Result<Certificate, String> {
    let certificate = file.certificate().map_err(|error| error.to_string())?;
    if !certificate.may_sign_certificates() {
        return Err("it is not the certificate of a CA that may sign certificates".to_owned());
    }
    certificate.public_key_info().map_err(|error| error.to_string())?;
    Ok(certificate)
}

/// The highest number that a list is given here at first: it is kept in 63 bits, and half of them stay for the lists that
/// follow. RFC 5280 allows 20 octets; programs count up from 1 or take the seconds since 1970.
pub const MAX_CRL_NUMBER: u64 = 1 << 62;
