//! Bringing along a CA that another program kept, with what it issued.

use std::sync::Arc;

use fastpki_store::{
    ImportedAuthority, ImportedCertificate, ImportedRevocation, NewAuthority, NewCertificate,
};
use fastpki_types::{
    AuditAction, CaId, CaImport, CaImported, CertificateId, CertificateType, OrganizationId, PrivateKeyPem,
    Timestamp,
};
use fastpki_x509::{
    Certificate, PrivateKey, Serial,
    import::{CertificateKind, File, Inputs, Plan, Severity, plan},
};

use crate::{
    Action, AuthorityRow, Caller, CreateCa, Engine, Error, ImportCa, LargeBodyTurn, Owned, Permit,
    error::NEW_CA, permissions::Actor, subject::key_type,
};

impl Engine {
    /// A turn to send an import: few are sent at once, and one by each user.
    pub async fn import_turn(&self, caller: &Caller) -> Result<LargeBodyTurn, Error> {
        self.lanes.large_body(caller.id).await
    }

    /// Brings a CA along, all or nothing: its key must belong to its certificate, and it must have signed everything
    /// that comes with it. What is there already is left as it is. A CA whose issuer is here, and is one under which
    /// the caller may create CAs, hangs below it.
    pub async fn import_authority(
        &self,
        caller: &Caller,
        permit: Permit<ImportCa, Option<OrganizationId>>,
        import: CaImport,
    ) -> Result<CaImported, Error> {
        let Permit { resource: organization, mut actor, .. } = permit;
        let mut grant = std::mem::take(&mut actor.grant);
        if let Some(organization) = organization {
            self.check_organization_exists(organization).await?;
        }
        let now = self.now();
        let (import, plan) =
            self.lanes.import(move || planned(&import, now).map(|plan| (import, plan))).await??;
        let authority = plan.authority.as_ref().ok_or(Error::NotFound("CA"))?;
        let parent = match authority.is_root {
            true => None,
            false => self.issuer_here(caller, &authority.certificate).await?,
        };
        let mut warnings = plan_warnings(&plan);
        if let Some(parent) = &parent {
            check_subject(parent, &authority.certificate)?;
        }
        let above = parent.as_ref().map(|parent| parent.ca.id);
        if self.store.is_authority_revoked(authority.certificate.clone(), above).await? {
            let issuer = above.map_or("its issuer".to_owned(), |id| format!("CA {id}"));
            warnings.push(format!("{issuer} revoked it: nothing can be issued under it"));
        } else if parent.is_none()
            && let Err(Error::Invalid(text)) = self.check_issuers(&authority.certificate).await
        {
            warnings.push(text);
        }
        grant.held.extend(parent.as_ref().map(|parent| parent.held(Action::Read)));
        let seal = self.seal();
        let (name, dry_run) = (import.name.clone(), import.dry_run);
        let (sealing, importer) = (Arc::clone(&seal), actor.clone());
        let rows = self.lanes.import(move || {
            let sealed = |key: &PrivateKey| sealing.seal(&PrivateKeyPem::from(key.to_pkcs8_pem()), now);
            let (parent, actor) = (parent.as_ref(), &importer);
            NewImport { import: &import, plan: &plan, organization, parent, actor }.rows(sealed)
        });
        let rows = rows.await??;
        let audit = move |report: &CaImported| {
            let detail = format!(
                "Imported CA '{name}': {} certificates and {} revocations",
                report.certificates, report.revocations
            );
            actor.audit(now, AuditAction::CaImport, organization, "ca", detail)
        };
        let mut report = self.store.import_authority(rows, dry_run, now, grant, audit).await?;
        report.warnings = warnings;
        // Kept until here: whoever takes encryption keys away waits for those who still store under them.
        drop(seal);
        Ok(report)
    }

    /// The CA that signed a certificate, if it is here and the caller may create CAs under it.
    async fn issuer_here(
        &self,
        caller: &Caller,
        certificate: &Certificate,
    ) -> Result<Option<AuthorityRow>, Error> {
        let mut after = CaId(0);
        loop {
            let rows = self.store.authorities(caller.visible(), after, 0, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(None) };
            after = last.ca.id;
            for row in rows {
                let signed = Certificate::from_pem(&row.ca.certificate)
                    .is_ok_and(|issuer| certificate.is_issued_by(&issuer).is_ok());
                if signed && caller.permit::<CreateCa, _>(row.clone()).is_ok() {
                    return Ok(Some(row));
                }
            }
        }
    }
}

/// What is to be recorded; refused where anything is wrong.
fn planned(import: &CaImport, now: Timestamp) -> Result<Plan, Error> {
    check_dates(import, now)?;
    let names: Vec<String> = (0..import.certificates.len()).map(|at| format!("certificates[{at}]")).collect();
    let certificates: Vec<File<'_>> = (names.iter().zip(&import.certificates))
        .map(|(name, certificate)| File { name, bytes: certificate.certificate.as_bytes() })
        .collect();
    let keys: Vec<File<'_>> = (names.iter().zip(&import.certificates))
        .filter_map(|(name, certificate)| {
            Some(File { name, bytes: certificate.private_key.as_ref()?.expose().as_bytes() })
        })
        .collect();
    let plan = plan(&Inputs {
        ca_certificate: File { name: CA, bytes: import.certificate.as_bytes() },
        ca_key: Some(File { name: "private_key", bytes: import.private_key.expose().as_bytes() }),
        passphrase: None,
        certificates: &certificates,
        keys: &keys,
        index: None,
        crl: None,
        crl_number: None,
        now: now.into(),
    });
    let problems = plan.problems.iter().filter(|problem| problem.severity != Severity::Note);
    let texts: Vec<String> =
        problems.take(MAX_PROBLEMS).map(|it| format!("{}: {}", it.about, it.text)).collect();
    if !texts.is_empty() {
        return Err(Error::Invalid(texts.join("; ")));
    }
    if let Some(authority) = &plan.authority {
        let strength = authority.certificate.public_key_info()?.check_strength();
        strength.map_err(|why| Error::Invalid(format!("{CA}: {why}: {NEW_CA}")))?;
    }
    Ok(plan)
}

/// What the CA cannot do here.
fn plan_warnings(plan: &Plan) -> Vec<String> {
    let notes = plan.problems.iter().filter(|it| it.severity == Severity::Note && it.about == CA);
    notes.take(MAX_PROBLEMS).map(|it| it.text.clone()).collect()
}

/// A CA with the subject of its issuer would look as if it had signed itself.
fn check_subject(parent: &AuthorityRow, certificate: &Certificate) -> Result<(), Error> {
    let above = Certificate::from_pem(&parent.ca.certificate)?;
    match above.subject().is_same(certificate.subject()) {
        true => Err(fastpki_x509::Error::SubjectOfIssuer { subject: above.subject().to_string() }.into()),
        false => Ok(()),
    }
}

/// A CRL cannot say that something was revoked before 1970, and nobody should read that it will be.
fn check_dates(import: &CaImport, now: Timestamp) -> Result<(), Error> {
    let of_certificates = import.certificates.iter().map(|certificate| certificate.revoked_at);
    let of_revocations = import.revocations.iter().map(|revocation| Some(revocation.revoked_at));
    let latest = now.plus_seconds(CLOCK_SKEW_SECONDS);
    for (list, place, at) in (of_certificates.enumerate().map(|(place, at)| ("certificates", place, at)))
        .chain(of_revocations.enumerate().map(|(place, at)| ("revocations", place, at)))
    {
        if at.is_some_and(|at| at < Timestamp::epoch() || at > latest) {
            let text = format!("{list}[{place}]: revoked_at must be between 1970 and now");
            return Err(Error::Invalid(text));
        }
    }
    Ok(())
}

/// Everything that rows are made from.
struct NewImport<'i> {
    import: &'i CaImport,
    plan: &'i Plan,
    organization: Option<OrganizationId>,
    parent: Option<&'i AuthorityRow>,
    actor: &'i Actor,
}

impl NewImport<'_> {
    fn rows(
        &self,
        sealed: impl Fn(&PrivateKey) -> fastpki_store::SealedKey,
    ) -> Result<ImportedAuthority, Error> {
        let NewImport { import, plan, organization, parent, actor } = self;
        let planned = plan.authority.as_ref().ok_or(Error::NotFound("CA"))?;
        let key = planned.key.as_ref().ok_or(Error::NotFound("private key"))?;
        let certificate = &planned.certificate;
        let authority = NewAuthority {
            name: import.name.clone(),
            description: import.description.clone(),
            subject_dn: certificate.subject().to_string(),
            key_type: key_type(key.algorithm()),
            key_size: key.algorithm().size(),
            valid_days: certificate.validity().whole_days(),
            private_key: sealed(key),
            certificate: certificate.to_pem(),
            serial_number: certificate.serial().to_hex(),
            key_fingerprint: certificate.key_fingerprint(),
            subject_key: certificate.subject().comparable(),
            organization_id: *organization,
            created_by_user_id: actor.user.as_ref().map(|(id, _)| *id),
            created_by_service_account_id: None,
            parent_ca_id: parent.map(|parent| parent.ca.id),
            path_length: certificate.path_len(),
            allow_leaf_certs: import.allow_leaf_certs.unwrap_or(true),
            crl_base_url: import.crl_base_url.clone(),
        };
        let mut certificates = Vec::with_capacity(plan.certificates.len());
        for planned in &plan.certificates {
            let new =
                self.certificate(&planned.certificate, planned.kind, planned.key.as_ref().map(&sealed))?;
            let asked = import.certificates.get(position(&planned.file));
            let revoked = asked.and_then(|asked| Some((asked.revoked_at?, asked.reason.clone())));
            certificates.push(ImportedCertificate { certificate: new, revoked });
        }
        let revocations: Result<Vec<_>, Error> = (import.revocations.iter().enumerate())
            .map(|(at, revocation)| {
                let serial = Serial::from_hex(&revocation.serial_number)
                    .map_err(|error| Error::Invalid(format!("revocations[{at}]: {error}")))?;
                Ok(ImportedRevocation {
                    serial_number: serial.to_hex(),
                    revoked_at: revocation.revoked_at,
                    reason: revocation.reason.clone(),
                })
            })
            .collect();
        Ok(ImportedAuthority {
            authority,
            next_crl_number: import.next_crl_number.unwrap_or(1),
            certificates,
            revocations: revocations?,
        })
    }

    fn certificate(
        &self,
        certificate: &Certificate,
        kind: CertificateKind,
        private_key: Option<fastpki_store::SealedKey>,
    ) -> Result<NewCertificate, Error> {
        let algorithm = certificate.public_key_info()?.algorithm();
        let serial_number = certificate.serial().to_hex();
        let names = certificate.subject().common_names();
        Ok(NewCertificate {
            common_name: names.into_iter().next().unwrap_or_else(|| format!("serial {serial_number}")),
            subject_dn: certificate.subject().to_string(),
            certificate_type: match kind {
                CertificateKind::Ca => CertificateType::Ca,
                CertificateKind::Server => CertificateType::Server,
                CertificateKind::Client => CertificateType::Client,
                CertificateKind::DualPurpose => CertificateType::DualPurpose,
            },
            key_type: key_type(algorithm),
            key_size: algorithm.size(),
            valid_days: certificate.validity().whole_days(),
            // Without its key it is renewed with a CSR.
            is_csr_origin: private_key.is_none(),
            private_key,
            certificate: certificate.to_pem(),
            serial_number,
            not_before: certificate.validity().not_before.into(),
            not_after: certificate.validity().not_after.into(),
            // The store puts the CA's id here.
            issuer_id: CaId(0),
            organization_id: self.organization,
            created_by_user_id: self.actor.user.as_ref().map(|(id, _)| *id),
            created_by_service_account_id: None,
            renewed_from_id: None::<CertificateId>,
            // What another program has certified stays certified.
            checked_key: None,
            renews_revoked: false,
            is_imported: true,
        })
    }
}

/// The place in the list that a file's name says: `certificates[7]`.
fn position(name: &str) -> usize {
    name.trim_start_matches("certificates[").trim_end_matches(']').parse().unwrap_or(usize::MAX)
}

/// What the CA's certificate is called in problems: the field of the body.
const CA: &str = "certificate";
/// Seconds that the clock of the other program may have been ahead.
const CLOCK_SKEW_SECONDS: i64 = 3600;
/// CAs that are looked at at once.
const PAGE: i64 = 200;
/// Problems that one answer tells.
const MAX_PROBLEMS: usize = 20;
