//! Issuing certificates: from a request, from a CSR, as a renewal.

use std::sync::Arc;

use fastpki_store::{Held, NewCertificate, Owner, StoreError};
use fastpki_types::{
    AuditAction, CaId, Certificate, CertificateCreate, CertificateId, CertificateRenew, CertificateStatus,
    CertificateType, CsrSign, KeyType, OrganizationId, PrivateKeyPem, Timestamp,
};
use fastpki_x509::{
    Csr, PrivateKey, Profile, PublicKey, Request, Serial, Urls, Validity, check_chain, intermediate_path_len,
};

use crate::{
    AuthorityRow, Caller, CertificateRow, CreateCa, Engine, Error, Issue, Permit,
    engine::aged,
    keyring::Signer,
    policy::Policy,
    revocation::check_publishes,
    slug,
    subject::{Subject, key_algorithm, key_type, leaf_profile},
};

/// A certificate that was issued and recorded, with its key where it was made here and is to be given.
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub private_key: Option<PrivateKeyPem>,
}

/// What a certificate is issued for, whatever it says of its subject.
struct Terms {
    certificate_type: CertificateType,
    days: u32,
    renewed_from: Option<CertificateId>,
    /// Whether that one may be revoked.
    renews_revoked: bool,
    /// Where public downloads are found.
    base: String,
    /// What the caller may have issued; users may have anything.
    policy: Option<Policy>,
}

impl Terms {
    /// Refuses what the caller's policy does not allow, and what the issuer's chain does not.
    fn check(&self, signer: &Signer, profile: Profile, subject: &Subject) -> Result<(), Error> {
        if let Some(policy) = &self.policy {
            policy.check(self.certificate_type, signer.ids[0], subject, self.days)?;
        }
        Ok(check_chain(&signer.chain, profile, &subject.name, &subject.sans)?)
    }
}

/// The key that is certified.
enum SubjectKey {
    /// Made here; stored and returned unless it is thrown away.
    Made { key: PrivateKey, keep: bool },
    /// Brought in a CSR.
    Brought(PublicKey),
}

impl SubjectKey {
    fn public(&self) -> &PublicKey {
        match self {
            Self::Made { key, .. } => key.public_key(),
            Self::Brought(key) => key,
        }
    }
}

impl Engine {
    /// Issues a certificate with a key made here. `base` is where public downloads are found.
    pub async fn issue(
        &self,
        mut permit: Permit<Issue, AuthorityRow>,
        caller: &Caller,
        new: CertificateCreate,
        base: &str,
    ) -> Result<Issued, Error> {
        let policy = self.policy_of(caller).await?;
        let (signer, held) = self.open_for_issuing(caller, &permit.resource, new.certificate_type).await?;
        permit.actor.grant.held.extend(held);
        let profile = profile(new.certificate_type, &signer)?;
        let terms = Terms {
            certificate_type: new.certificate_type,
            days: new.valid_days.unwrap_or(self.defaults.cert_days),
            renewed_from: None,
            renews_revoked: false,
            base: base.to_owned(),
            policy,
        };
        // The names are looked at before a key is made: a key takes its time.
        let given = move |new: &CertificateCreate| {
            Subject::given(profile, &new.subject_dn, &new.common_name, &new.sans)
        };
        let (new, terms, subject) = self.check_names(&signer, terms, profile, new, given).await?;
        let key = self.new_key(new.key_type, new.key_size, false).await?;
        let key = SubjectKey::Made { key, keep: new.include_private_key };
        self.sign_and_record(permit, signer, terms, move |_| Ok((subject, key))).await
    }

    /// The CA that a CSR is to be signed by.
    pub async fn authority_for_csr(&self, caller: &Caller, new: &CsrSign) -> Result<AuthorityRow, Error> {
        match (new.ca_id, &new.ca_name) {
            (Some(id), _) => self.issuer(id).await,
            (None, Some(name)) => self.authority_by_name(caller, name).await,
            (None, None) => Err(Error::Invalid("say which CA is to sign: give ca_id or ca_name".into())),
        }
    }

    /// The CA with this name in the caller's organization. Superusers find it everywhere, their own first, so that nobody
    /// else's name gets in their way.
    async fn authority_by_name(&self, caller: &Caller, name: &str) -> Result<AuthorityRow, Error> {
        if !caller.is_superuser() && caller.organization_id.is_none() {
            return Err(Error::NotFound("CA"));
        }
        let own = Owner {
            organization_id: caller.organization_id,
            created_by_user_id: caller.user_id(),
            created_by_service_account_id: None,
        };
        let mut found = self.store.authorities_by_name(name, Some(own)).await?;
        if found.is_empty() && caller.is_superuser() {
            found = self.store.authorities_by_name(name, None).await?;
        }
        let ids: Vec<String> = found.iter().map(|row| row.ca.id.to_string()).collect();
        match (found.pop(), found.is_empty()) {
            (Some(row), true) => Ok(row),
            (None, _) => Err(Error::NotFound("CA")),
            (Some(_), false) => Err(Error::Conflict(format!(
                "there are several CAs with the name '{name}': give ca_id, one of {}",
                ids.join(", ")
            ))),
        }
    }

    /// Issues a certificate for the key in a CSR.
    pub async fn sign_csr(
        &self,
        mut permit: Permit<Issue, AuthorityRow>,
        caller: &Caller,
        new: CsrSign,
        base: &str,
    ) -> Result<Issued, Error> {
        let policy = self.policy_of(caller).await?;
        let (signer, held) = self.open_for_issuing(caller, &permit.resource, new.certificate_type).await?;
        permit.actor.grant.held.extend(held);
        let CsrSign { csr, certificate_type, valid_days, common_name, subject_dn, sans, .. } = new;
        let terms = Terms {
            certificate_type,
            days: valid_days.unwrap_or(self.defaults.cert_days),
            renewed_from: None,
            renews_revoked: false,
            base: base.to_owned(),
            policy,
        };
        let csr = self.read_csr(csr, permit.resource.ca.organization_id).await?;
        let of_csr = move |profile| {
            let subject =
                Subject::of_csr(profile, &csr, subject_dn.as_deref(), common_name.as_deref(), &sans)?;
            Ok((subject, SubjectKey::Brought(csr.public_key().clone())))
        };
        self.sign_and_record(permit, signer, terms, of_csr).await
    }

    /// Issues a certificate like one that is there, from now on: the same names, CA, type and length. The
    /// caller needs leave for the certificate and for its CA.
    pub async fn renew(
        &self,
        permit: Permit<Issue, CertificateRow>,
        caller: &Caller,
        renewal: CertificateRenew,
        base: &str,
    ) -> Result<Issued, Error> {
        let Permit { resource: CertificateRow { certificate: old, is_csr_origin }, actor, .. } = permit;
        let issuer =
            old.issuer_id.ok_or_else(|| Error::Invalid("its CA is gone, so it cannot be renewed".into()))?;
        let mut permit = caller.permit::<Issue, _>(self.issuer(issuer).await?)?;
        permit.actor.grant.held.extend(actor.grant.held);
        if old.status == CertificateStatus::Revoked && !renewal.renew_revoked {
            return Err(StoreError::RenewsRevoked.into());
        }
        let csr = match (is_csr_origin, renewal.csr) {
            (true, None) => {
                return Err(Error::Coded {
                    code: "csr_required_for_csr_origin_cert",
                    message: "this certificate was issued from a CSR: send a new CSR as 'csr' to renew it",
                });
            }
            (false, Some(_)) => {
                return Err(Error::Coded {
                    code: "csr_not_allowed_for_server_key_cert",
                    message: "the server made this certificate's key and makes the next one too: leave 'csr' out",
                });
            }
            (_, csr) => csr,
        };
        let policy = self.policy_of(caller).await?;
        let (signer, held) = self.open_for_issuing(caller, &permit.resource, old.certificate_type).await?;
        permit.actor.grant.held.extend(held);
        let profile = profile(old.certificate_type, &signer)?;
        let terms = Terms {
            certificate_type: old.certificate_type,
            days: old.valid_days.max(1),
            renewed_from: Some(old.id),
            renews_revoked: renewal.renew_revoked,
            base: base.to_owned(),
            policy,
        };
        let predecessor = fastpki_x509::Certificate::from_pem(&old.certificate)?;
        let inherited = move |it: &fastpki_x509::Certificate| Subject::inherited(profile, it);
        let (_, terms, subject) = self.check_names(&signer, terms, profile, predecessor, inherited).await?;
        let key = match csr {
            Some(csr) => {
                let csr = self.read_csr(csr, permit.resource.ca.organization_id).await?;
                SubjectKey::Brought(csr.public_key().clone())
            }
            None => {
                let key = self.new_key(Some(old.key_type), Some(old.key_size), false).await?;
                SubjectKey::Made { key, keep: true }
            }
        };
        self.sign_and_record(permit, signer, terms, move |_| Ok((subject, key))).await
    }

    /// The names that are asked for, once they are allowed. Off the runtime's threads: there may be many, and a policy with many
    /// patterns.
    async fn check_names<T: Send + 'static>(
        &self,
        signer: &Arc<Signer>,
        terms: Terms,
        profile: Profile,
        asked: T,
        names: impl FnOnce(&T) -> Result<Subject, Error> + Send + 'static,
    ) -> Result<(T, Terms, Subject), Error> {
        let signer = Arc::clone(signer);
        self.lanes
            .sign(move || {
                let subject = names(&asked)?;
                terms.check(&signer, profile, &subject)?;
                Ok((asked, terms, subject))
            })
            .await?
    }

    /// Reads and verifies a CSR; its key must be one that this organization's CAs may certify.
    async fn read_csr(&self, pem: String, organization: Option<OrganizationId>) -> Result<Csr, Error> {
        let csr = self.lanes.sign(move || Csr::from_pem(&pem)).await??;
        self.store.check_public_key(csr.public_key().key_fingerprint(), organization).await?;
        Ok(csr)
    }

    /// The certificate with this id, as it is now.
    pub async fn certificate(&self, id: CertificateId) -> Result<CertificateRow, Error> {
        let row = self.store.certificate(id).await?.ok_or(Error::NotFound("certificate"))?;
        Ok(aged(row, self.now()))
    }

    /// A new key, off the runtime's threads.
    pub(crate) async fn new_key(
        &self,
        kind: Option<KeyType>,
        size: Option<u32>,
        is_ca: bool,
    ) -> Result<PrivateKey, Error> {
        let kind = kind.unwrap_or(KeyType::Rsa);
        let size = size.unwrap_or_else(|| self.defaults.key_size(kind, is_ca));
        let algorithm = key_algorithm(kind, size)?;
        let make = move || PrivateKey::generate(algorithm);
        let made = match (kind, size) {
            (KeyType::Ec | KeyType::Ed25519, _) => self.lanes.sign(make).await?,
            (KeyType::Rsa, ..=QUICK_RSA_BITS) => self.lanes.keys(make).await?,
            (KeyType::Rsa, _) => self.lanes.slow_keys(make).await?,
        };
        made.map_err(Error::internal)
    }

    /// A serial number that nobody can foresee.
    pub(crate) fn new_serial(&self) -> Serial {
        let mut random = [0; 20];
        self.entropy.fill(&mut random);
        Serial::from_random(random)
    }

    /// Refuses an issuer that was revoked, or hangs below one that was. Gives what must be so still when something that it
    /// signed is recorded.
    pub(crate) async fn check_not_revoked(&self, signer: &Signer) -> Result<Vec<Held>, Error> {
        let parents = signer.ids.iter().skip(1).copied().map(Some).chain([None]);
        let mut held = Vec::new();
        for (certificate, parent) in signer.chain.iter().zip(parents) {
            if self.store.is_authority_revoked(certificate.clone(), parent).await? {
                return Err(Error::Invalid(format!(
                    "the CA '{}' was revoked: nothing can be issued under it any more",
                    certificate.subject()
                )));
            }
            held.extend(parent.map(|parent| unrevoked(parent, certificate)));
        }
        if let Some(top) = signer.chain.last() {
            held.extend(self.check_issuers(top).await?);
        }
        Ok(held)
    }

    /// The same of those above the last CA of a chain that are here, but that it does not hang below: those who brought it
    /// may not see them, and are not told of them.
    pub(crate) async fn check_issuers(&self, top: &fastpki_x509::Certificate) -> Result<Vec<Held>, Error> {
        let (mut below, mut held) = (top.clone(), Vec::new());
        for _ in 0..MOST_ABOVE {
            if below.issuer() == below.subject() {
                break;
            }
            let issuers = self.store.issuers_of(below.clone()).await?;
            if issuers.is_empty() {
                break;
            }
            held.extend(issuers.iter().map(|(issuer, _)| unrevoked(*issuer, &below)));
            let mut good = None;
            for (_, issuer) in issuers {
                if !self.store.is_authority_revoked(issuer.clone(), None).await? {
                    good = Some(issuer);
                    break;
                }
            }
            below = good.ok_or_else(|| {
                Error::Invalid(format!(
                    "a CA above '{}' was revoked: nothing can be issued under it any more",
                    top.subject()
                ))
            })?;
        }
        Ok(held)
    }

    async fn open_for_issuing(
        &self,
        caller: &Caller,
        authority: &AuthorityRow,
        certificate_type: CertificateType,
    ) -> Result<(Arc<Signer>, Vec<Held>), Error> {
        check_leaves_allowed(authority)?;
        if certificate_type == CertificateType::Ca {
            // A CA by another name: who may not create CAs may not have this one either.
            caller.permit::<CreateCa, _>(authority.clone())?;
        }
        let signer = self.signer(authority.ca.id).await?;
        check_publishes(signer.certificate())?;
        let held = self.check_not_revoked(&signer).await?;
        Ok((signer, held))
    }

    /// Signs a certificate for what `subject` gives, and records it. Everything that is work is done in
    /// one go, off the runtime's threads.
    async fn sign_and_record(
        &self,
        permit: Permit<Issue, AuthorityRow>,
        signer: Arc<Signer>,
        terms: Terms,
        subject: impl FnOnce(Profile) -> Result<(Subject, SubjectKey), Error> + Send + 'static,
    ) -> Result<Issued, Error> {
        let Permit { resource: authority, mut actor, .. } = permit;
        if let Some((account, policy)) = actor.service_account.as_ref().zip(terms.policy.as_ref()) {
            actor.grant.held.push(Held::Policy(account.0, Box::new(policy.rules().clone())));
        }
        let now = self.now();
        let serial = self.new_serial();
        let urls = urls(&authority, &terms.base)?;
        let (certificate_type, renewed_from) = (terms.certificate_type, terms.renewed_from);
        let renews_revoked = terms.renews_revoked;
        let validity = Validity::from(now.into(), terms.days)?.within(signer.certificate())?;
        let (certificate, pem, common_name, key) = self
            .lanes
            .sign(move || {
                let profile = profile(certificate_type, &signer)?;
                let (subject, key) = subject(profile)?;
                terms.check(&signer, profile, &subject)?;
                let request = Request {
                    profile,
                    subject: subject.name,
                    sans: subject.sans,
                    public_key: key.public().clone(),
                    serial,
                    validity,
                    urls: Some(urls),
                };
                let certificate = signer.sign(request)?;
                let pem = certificate.to_pem();
                Ok::<_, Error>((certificate, pem, subject.common_name, key))
            })
            .await??;
        let made = match &key {
            SubjectKey::Made { key, keep: true } => Some(PrivateKeyPem::from(key.to_pkcs8_pem())),
            SubjectKey::Made { keep: false, .. } | SubjectKey::Brought(_) => None,
        };
        let algorithm = key.public().algorithm();
        let verb = if renewed_from.is_some() { "Renewed" } else { "Issued" };
        let audit = actor.clone().audit(
            now,
            AuditAction::CertCreate,
            authority.ca.organization_id,
            "certificate",
            format!("{verb} certificate '{common_name}' under CA '{}'", authority.ca.name),
        );
        let seal = self.seal();
        let new = NewCertificate {
            common_name,
            subject_dn: certificate.subject().to_string(),
            certificate_type,
            key_type: key_type(algorithm),
            key_size: algorithm.size(),
            valid_days: validity.whole_days(),
            private_key: made.as_ref().map(|pem| seal.seal(pem, now)),
            certificate: pem,
            serial_number: serial.to_hex(),
            not_before: Timestamp::from(validity.not_before),
            not_after: Timestamp::from(validity.not_after),
            issuer_id: authority.ca.id,
            organization_id: authority.ca.organization_id,
            created_by_user_id: actor.user.map(|(id, _)| id),
            created_by_service_account_id: actor.service_account.map(|(id, _)| id),
            is_csr_origin: matches!(key, SubjectKey::Brought(_)),
            renewed_from_id: renewed_from,
            renews_revoked,
            is_imported: false,
            // Looked at again in the write: it may have been revoked meanwhile.
            checked_key: match &key {
                SubjectKey::Brought(key) => Some(key.key_fingerprint()),
                SubjectKey::Made { .. } => None,
            },
        };
        let certificate = self.store.create_certificate(new, now, audit).await?;
        // Kept until here: whoever takes encryption keys away waits for those who still store under them.
        drop(seal);
        Ok(Issued { certificate, private_key: made })
    }
}

/// That an issuer has not revoked a CA.
fn unrevoked(issuer: CaId, certificate: &fastpki_x509::Certificate) -> Held {
    Held::Unrevoked { issuer, serial_number: certificate.serial().to_hex() }
}

fn check_leaves_allowed(authority: &AuthorityRow) -> Result<(), Error> {
    if authority.ca.allow_leaf_certs {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the CA '{}' issues no certificates but those of intermediate CAs: use a CA below it",
        authority.ca.name
    )))
}

fn profile(certificate_type: CertificateType, signer: &Signer) -> Result<Profile, Error> {
    match leaf_profile(certificate_type) {
        Some(profile) => Ok(profile),
        None => {
            let path_len = intermediate_path_len(signer.certificate(), None)?;
            Ok(Profile::Intermediate { path_len })
        }
    }
}

/// Where what a CA signs says that its CRL and certificate are found.
pub(crate) fn urls(authority: &AuthorityRow, base: &str) -> Result<Urls, Error> {
    let base = authority.ca.crl_base_url.as_deref().unwrap_or(base).trim_end_matches('/');
    if !base.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Invalid(
            "the address of the CRL must be ASCII: percent-encode what is not".into(),
        ));
    }
    let slug = slug(authority.public_name(), authority.ca.id).in_url();
    Ok(Urls { crl: format!("{base}/crl/{slug}"), ca: format!("{base}/ca/{slug}.crt") })
}

/// Bits of RSA keys that are made within seconds, also on a slow machine; more take up to a minute.
const QUICK_RSA_BITS: u32 = 4096;
/// CAs that are looked at above one whose parent is not known: more are in no chain that programs follow.
const MOST_ABOVE: usize = 10;
