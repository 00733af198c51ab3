//! Whether objects belong together.

use std::collections::HashMap;

use super::{
    Content, Object,
    foreign::{self, Summary},
    words,
};
use crate::{Error, RevocationList};

/// A statement about one object, or about two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The place of the object that it is about.
    pub of: usize,
    /// The place of the other object, where there is one.
    pub with: Option<usize>,
    /// Whether it fits.
    pub verdict: Verdict,
    /// The statement in plain words.
    pub text: String,
}

/// Whether objects belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They do.
    Fits,
    /// They do not, or the certificate is revoked.
    DoesNotFit,
    /// That could not be found out.
    Unknown,
}

/// Says which of these objects belong together: keys, certificates and requests of one key; certificates and their
/// issuers; revocation lists, their issuers, and what they revoke.
///
/// Signatures are verified. Validity is not looked at: see [`Object::warnings`].
pub fn fits(objects: &[Object]) -> Vec<Fit> {
    let mut comparing = Comparing { objects, fits: Vec::new(), verifications: 0 };
    for (place, object) in objects.iter().enumerate() {
        match &object.content {
            Content::Key { spki } => comparing.key(place, spki),
            Content::Csr { spki } => comparing.request(place, spki),
            Content::Certificate(certificate) => comparing.certificate(place, certificate),
            Content::Crl(list) => comparing.list(place, list),
            Content::Nothing => {}
        }
    }
    comparing.fits
}

struct Comparing<'a> {
    objects: &'a [Object],
    fits: Vec<Fit>,
    verifications: usize,
}

impl<'a> Comparing<'a> {
    fn certificates(&self) -> impl Iterator<Item = (usize, &'a Summary)> + use<'a> {
        self.objects.iter().enumerate().filter_map(|(place, object)| match &object.content {
            Content::Certificate(certificate) => Some((place, &**certificate)),
            _ => None,
        })
    }

    fn requests(&self) -> impl Iterator<Item = (usize, &'a [u8])> + use<'a> {
        self.objects.iter().enumerate().filter_map(|(place, object)| match &object.content {
            Content::Csr { spki } => Some((place, &spki[..])),
            _ => None,
        })
    }

    fn say(&mut self, of: usize, with: Option<usize>, verdict: Verdict, text: String) {
        self.fits.push(Fit { of, with, verdict, text });
    }

    /// The name of an object with its kind before it.
    fn called(&self, place: usize) -> String {
        self.objects.get(place).map(|it| format!("{} {}", it.kind.words(), it.name)).unwrap_or_default()
    }

    fn key(&mut self, place: usize, spki: &[u8]) {
        let others = self.certificates().map(|(at, it)| (at, &it.spki[..])).chain(self.requests());
        let others: Vec<_> = others.collect();
        let same: Vec<_> = others.iter().filter(|(_, it)| *it == spki).map(|(at, _)| *at).collect();
        for at in &same {
            let text = format!("the {} belongs to the {}", self.called(place), self.called(*at));
            self.say(place, Some(*at), Verdict::Fits, text);
        }
        if same.is_empty() && !others.is_empty() {
            let only = if let [(at, _)] = others[..] { Some(at) } else { None };
            let what = only.map_or_else(
                || "any certificate or request given".to_owned(),
                |at| format!("the {}", self.called(at)),
            );
            let text = format!("the {} does not belong to {what}", self.called(place));
            self.say(place, only, Verdict::DoesNotFit, text);
        }
    }

    fn request(&mut self, place: usize, spki: &[u8]) {
        let certificates: Vec<_> = self.certificates().collect();
        let same: Vec<_> = certificates.iter().filter(|(_, it)| it.spki == spki).map(|(at, _)| *at).collect();
        for at in &same {
            let text = format!("the {} is for the same key as the {}", self.called(place), self.called(*at));
            self.say(place, Some(*at), Verdict::Fits, text);
        }
        if same.is_empty() && !certificates.is_empty() {
            let text = format!("the {} is for the key of no certificate given", self.called(place));
            self.say(place, None, Verdict::DoesNotFit, text);
        }
    }

    fn certificate(&mut self, place: usize, certificate: &Summary) {
        if certificate.subject == certificate.issuer {
            return;
        }
        let named = self.certificates().filter(|(at, it)| *at != place && it.subject == certificate.issuer);
        let named: Vec<_> = named.collect();
        if named.is_empty() && self.certificates().count() > 1 {
            let issuer = words::printable(&foreign::name_text(&certificate.issuer));
            let text = format!("the issuer of the {}, {issuer}, is not among these", self.called(place));
            self.say(place, None, Verdict::Unknown, text);
        }
        for (at, issuer) in named {
            let outcome = if differ(&certificate.authority_key_id, &issuer.subject_key_id) {
                Err("it was signed with another key of that name, as the key identifiers say".to_owned())
            } else {
                self.verified(|| certificate.verify(&issuer.spki))
            };
            self.say_issued(place, at, outcome);
        }
    }

    fn list(&mut self, place: usize, list: &RevocationList) {
        let issuer_name = list.issuer().der();
        let named: Vec<_> = self.certificates().filter(|(_, it)| it.subject == issuer_name).collect();
        if named.is_empty() && self.certificates().count() > 0 {
            let text = format!("the issuer of the {} is not among these", self.called(place));
            self.say(place, None, Verdict::Unknown, text);
        }
        for (at, issuer) in named {
            let outcome = if differ(&list.authority_key_id().map(<[u8]>::to_vec), &issuer.subject_key_id) {
                Err("it was signed with another key of that name, as the key identifiers say".to_owned())
            } else {
                self.verified(|| foreign::verify(list.der(), &issuer.spki, "revocation list"))
            };
            self.say_issued(place, at, outcome);
        }
        self.revocations(place, list);
    }

    fn revocations(&mut self, place: usize, list: &RevocationList) {
        let issued: Vec<_> = self.certificates().filter(|(_, it)| it.issuer == list.issuer().der()).collect();
        if issued.is_empty() {
            return;
        }
        let entries: HashMap<_, _> = list.entries().iter().map(|it| (it.serial_content(), it)).collect();
        for (at, certificate) in issued {
            let (verdict, text) = match entries.get(&*certificate.serial) {
                Some(entry) if !entry.is_removal() => (
                    Verdict::DoesNotFit,
                    format!(
                        "the {} was revoked on {} ({})",
                        self.called(at),
                        words::time(entry.revoked_at),
                        entry.reason().words(),
                    ),
                ),
                _ => (Verdict::Fits, format!("the {} is not on the {}", self.called(at), self.called(place))),
            };
            self.say(at, Some(place), verdict, text);
        }
    }

    /// `Err(text)` where it does not verify, with an empty text where that was not found out.
    fn verified(&mut self, verify: impl FnOnce() -> Result<(), Error>) -> Outcome {
        self.verifications += 1;
        if self.verifications > MAX_VERIFICATIONS {
            return Ok(Some(format!("more than {MAX_VERIFICATIONS} signatures are not verified")));
        }
        match verify() {
            Ok(()) => Ok(None),
            Err(Error::BadSignature { .. }) => Err("its signature does not verify".to_owned()),
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    fn say_issued(&mut self, of: usize, issuer: usize, outcome: Outcome) {
        let (issued, by) = (self.called(of), self.called(issuer));
        let (verdict, text) = match outcome {
            Ok(None) => (Verdict::Fits, format!("the {issued} was issued by the {by}")),
            Ok(Some(why)) => (
                Verdict::Unknown,
                format!("the {issued} names the {by} as issuer, but its signature was not checked: {why}"),
            ),
            Err(why) => (
                Verdict::DoesNotFit,
                format!("the {issued} names the {by} as issuer, but was not issued by it: {why}"),
            ),
        };
        self.say(of, Some(issuer), verdict, text);
    }
}

/// Verified; not checked, and why; does not verify, and why.
type Outcome = Result<Option<String>, String>;

fn differ(ours: &Option<Vec<u8>>, theirs: &Option<Vec<u8>>) -> bool {
    matches!((ours, theirs), (Some(ours), Some(theirs)) if ours != theirs)
}

/// A few seconds at the most.
const MAX_VERIFICATIONS: usize = 2000;
