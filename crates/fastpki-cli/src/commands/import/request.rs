//! What is sent to the server.

use fastpki_types::{CaImport, CertificateImport, PrivateKeyPem, RevocationImport, Timestamp};
use fastpki_x509::{
    PrivateKey, Reason,
    import::{OrphanRevocation, Plan, PlannedCertificate, Problem, Severity, Status},
};

use jiff::Timestamp as Instant;

use super::Options;
use crate::error::Error;

/// Mends what the server would refuse everything for, and says so.
pub(super) fn make_acceptable(plan: &mut Plan, now: Instant) {
    leave_out_what_is_too_long(plan);
    let Plan { certificates, orphans, problems, .. } = plan;
    let revoked = certificates.iter_mut().filter_map(|it| match &mut it.status {
        Status::Revoked { at, .. } => Some((it.file.clone(), at)),
        Status::Valid | Status::Expired => None,
    });
    let orphaned =
        orphans.iter_mut().map(|it| (format!("serial number {}", it.serial.to_hex()), &mut it.revoked_at));
    for (about, at) in revoked.chain(orphaned) {
        let possible = (*at).clamp(Instant::UNIX_EPOCH, now);
        if possible != *at {
            let text = format!("it was revoked at {at}, which cannot be: it counts as revoked at {possible}");
            problems.push(Problem { about, severity: Severity::Note, text });
            *at = possible;
        }
    }
}

/// Of what was revoked, the revocation stays.
fn leave_out_what_is_too_long(plan: &mut Plan) {
    let Plan { certificates, orphans, problems, .. } = plan;
    certificates.retain(|it| {
        let fits = it.certificate.to_pem().len() <= MAX_PEM;
        if !fits {
            if let Status::Revoked { at, reason } = it.status {
                let (serial, expires) = (*it.certificate.serial(), Some(it.certificate.validity().not_after));
                orphans.push(OrphanRevocation { serial, revoked_at: at, reason, expires });
            }
            let text =
                format!("it has more than {MAX_PEM} characters as PEM, which the server does not take");
            problems.push(Problem { about: it.file.clone(), severity: Severity::LeftOut, text });
        }
        fits
    });
}

/// The plan as requests, each of a size that the server takes: the first makes the CA, the others add to it.
pub(super) fn requests(plan: &Plan, options: &Options) -> Result<Vec<CaImport>, Error> {
    let authority = plan.authority.as_ref().ok_or_else(|| Error::Failed("there is no CA".into()))?;
    let key =
        authority.key.as_ref().ok_or_else(|| Error::Failed("there is no private key of the CA".into()))?;
    let subject = authority.certificate.subject();
    let name = subject.common_names().into_iter().next().unwrap_or_else(|| subject.to_string());
    let empty = || CaImport {
        name: options.name.clone().unwrap_or_else(|| name.chars().take(MAX_NAME).collect()),
        description: options.description.clone(),
        certificate: authority.certificate.to_pem(),
        private_key: pem(key),
        organization_id: super::organization(options),
        allow_leaf_certs: None,
        crl_base_url: options.crl_base_url.clone(),
        next_crl_number: Some(plan.next_crl_number),
        certificates: Vec::new(),
        revocations: Vec::new(),
        dry_run: true,
    };
    let mut all = vec![(empty(), 0)];
    for certificate in plan.certificates.iter().map(certificate) {
        let size = size(&certificate);
        let request = with_room(&mut all, size, |it| it.certificates.len(), empty);
        request.certificates.push(certificate);
    }
    for orphan in &plan.orphans {
        let request = with_room(&mut all, REVOCATION_SIZE, |it| it.revocations.len(), empty);
        request.revocations.push(RevocationImport {
            serial_number: orphan.serial.to_hex(),
            revoked_at: Timestamp::from(orphan.revoked_at),
            reason: reason(orphan.reason),
        });
    }
    Ok(all.into_iter().map(|(request, _)| request).collect())
}

/// The last request, or a new one where that is full.
fn with_room(
    all: &mut Vec<(CaImport, usize)>,
    size: usize,
    count: impl Fn(&CaImport) -> usize,
    empty: impl Fn() -> CaImport,
) -> &mut CaImport {
    let full = all.last().is_none_or(|(it, filled)| filled + size > MAX_REQUEST || count(it) >= MAX_COUNT);
    if full {
        all.push((empty(), 0));
    }
    let (request, filled) = all.last_mut().expect("there is one, if only just now");
    *filled += size;
    request
}

fn certificate(planned: &PlannedCertificate) -> CertificateImport {
    let (revoked_at, reason) = match planned.status {
        Status::Revoked { at, reason: why } => (Some(Timestamp::from(at)), reason(why)),
        Status::Valid | Status::Expired => (None, None),
    };
    CertificateImport {
        certificate: planned.certificate.to_pem(),
        private_key: planned.key.as_ref().map(pem),
        revoked_at,
        reason,
    }
}

fn pem(key: &PrivateKey) -> PrivateKeyPem {
    PrivateKeyPem::from(key.to_pkcs8_pem())
}

fn reason(reason: Reason) -> Option<String> {
    reason.name().map(str::to_owned)
}

/// Bytes in a request: a line end of PEM takes two, and the names of fields some.
fn size(certificate: &CertificateImport) -> usize {
    let key = certificate.private_key.as_ref().map_or(0, |key| key.expose().len());
    (certificate.certificate.len() + key) * 21 / 20 + 200
}

/// Bytes of a request. The server takes 64 MiB.
const MAX_REQUEST: usize = 48 * 1024 * 1024;
/// Certificates, or revocations, of a request, as the server takes them.
const MAX_COUNT: usize = 50_000;
const REVOCATION_SIZE: usize = 180;
/// Characters of a certificate as the server takes it.
const MAX_PEM: usize = 64 * 1024;
/// Characters of a name as the server takes it.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> CaImport {
        CaImport {
            name: String::new(),
            description: None,
            certificate: String::new(),
            private_key: String::new().into(),
            organization_id: None,
            allow_leaf_certs: None,
            crl_base_url: None,
            next_crl_number: None,
            certificates: Vec::new(),
            revocations: Vec::new(),
            dry_run: true,
        }
    }

    fn pem(lines: usize) -> CertificateImport {
        let certificate = format!("{}\n", "A".repeat(64)).repeat(lines);
        let private_key = Some(certificate.clone().into());
        CertificateImport { certificate, private_key, revoked_at: None, reason: None }
    }

    #[test]
    fn what_a_request_has_no_room_for_goes_into_the_next() {
        let mut all = vec![(empty(), 0)];
        for _ in 0..3 {
            with_room(&mut all, MAX_REQUEST / 2, |_| 0, empty);
        }
        assert_eq!(all.iter().map(|(_, filled)| *filled).collect::<Vec<_>>(), [MAX_REQUEST, MAX_REQUEST / 2]);
        with_room(&mut all, 1, |_| MAX_COUNT, empty);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn certificate_takes_no_more_room_than_was_counted() {
        for lines in [0, 1, 30, 1000] {
            let certificate = pem(lines);
            let takes = serde_json::to_vec(&certificate).unwrap().len();
            assert!(takes <= size(&certificate), "{takes} with {lines} lines");
        }
    }
}
