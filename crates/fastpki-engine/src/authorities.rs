//! Certificate authorities.

use fastpki_store::{AuthorityChange, Moved, NewAudit, NewAuthority};
use fastpki_types::{
    AuditAction, CaCreate, CaId, CaUpdate, CertificateId, CertificateStatus, OrganizationId, PrivateKeyPem,
    Timestamp,
};
use fastpki_x509::{Name, PrivateKey, Profile, Request, Validity, check_chain, intermediate_path_len};

use crate::{
    AuthorityRow, Caller, CertificateFilter, CertificateRow, CreateCa, DeleteCa, Engine, Error, ExportKey,
    Home, Permit, Revoke, Slug, UpdateCa, engine::aged, issuance::urls, permissions::Actor,
    revocation::check_publishes, sessions::sha256_hex, slug::leads_to, subject::key_type,
};

/// Which of the CAs that a caller sees: those after an id, some passed over.
#[derive(Clone, Copy, Debug)]
pub struct AuthorityPage {
    /// The id after which it begins.
    pub after: CaId,
    /// How many to pass over.
    pub skip: i64,
    /// How many to give.
    pub limit: i64,
}

impl Engine {
    /// Creates a root CA with a new key.
    pub async fn create_root(
        &self,
        permit: Permit<CreateCa, Home>,
        new: CaCreate,
    ) -> Result<(AuthorityRow, PrivateKeyPem), Error> {
        let subject = Name::parse(&new.subject_dn)?;
        let validity = self.ca_validity(&new)?;
        let key = self.new_key(new.key_type, new.key_size, true).await?;
        let request = Request {
            profile: Profile::Root { path_len: new.path_length },
            subject,
            sans: Vec::new(),
            public_key: key.public_key().clone(),
            serial: self.new_serial(),
            validity,
            urls: None,
        };
        let (certificate, key) = self
            .lanes
            .sign(move || {
                let certificate = request.prepare_self_signed(&key)?.sign(&key).map_err(Error::internal)?;
                Ok::<_, Error>((certificate, key))
            })
            .await??;
        let path_len = new.path_length;
        self.record_authority(permit, None, new, path_len, validity, &certificate, &key).await
    }

    /// Creates an intermediate CA with a new key, signed by its parent. The caller needs leave for the
    /// parent and for what will be the new CA's organization.
    pub async fn create_intermediate(
        &self,
        mut permit: Permit<CreateCa, Home>,
        parent: Permit<CreateCa, AuthorityRow>,
        new: CaCreate,
        base: &str,
    ) -> Result<(AuthorityRow, PrivateKeyPem), Error> {
        let Permit { resource: parent, actor, .. } = parent;
        permit.actor.grant.held.extend(actor.grant.held);
        let signer = self.signer(parent.ca.id).await?;
        check_publishes(signer.certificate())?;
        permit.actor.grant.held.extend(self.check_not_revoked(&signer).await?);
        let path_len = intermediate_path_len(signer.certificate(), new.path_length)?;
        let subject = Name::parse(&new.subject_dn)?;
        let profile = Profile::Intermediate { path_len };
        check_chain(&signer.chain, profile, &subject, &[])?;
        let validity = self.ca_validity(&new)?.within(signer.certificate())?;
        let key = self.new_key(new.key_type, new.key_size, true).await?;
        let request = Request {
            profile,
            subject,
            sans: Vec::new(),
            public_key: key.public_key().clone(),
            serial: self.new_serial(),
            validity,
            urls: Some(urls(&parent, base)?),
        };
        let certificate = self.lanes.sign(move || signer.sign(request)).await??;
        self.record_authority(permit, Some(parent), new, path_len, validity, &certificate, &key).await
    }

    fn ca_validity(&self, new: &CaCreate) -> Result<Validity, Error> {
        Ok(Validity::from(self.now().into(), new.valid_days.unwrap_or(self.defaults.ca_days))?)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a root and an intermediate are recorded alike from here on"
    )]
    async fn record_authority(
        &self,
        permit: Permit<CreateCa, Home>,
        parent: Option<AuthorityRow>,
        new: CaCreate,
        path_length: Option<u8>,
        validity: Validity,
        certificate: &fastpki_x509::Certificate,
        key: &PrivateKey,
    ) -> Result<(AuthorityRow, PrivateKeyPem), Error> {
        let Permit { resource: Home(home), actor, .. } = permit;
        let now = self.now();
        let organization_id = parent.as_ref().and_then(|parent| parent.ca.organization_id).or(home);
        let pem = PrivateKeyPem::from(key.to_pkcs8_pem());
        let detail = match &parent {
            Some(parent) => format!("Created CA '{}' under CA '{}'", new.name, parent.ca.name),
            None => format!("Created CA '{}'", new.name),
        };
        let audit = actor.clone().audit(now, AuditAction::CaCreate, organization_id, "ca", detail);
        let seal = self.seal();
        let authority = NewAuthority {
            name: new.name,
            description: new.description,
            subject_dn: certificate.subject().to_string(),
            key_type: key_type(key.algorithm()),
            key_size: key.algorithm().size(),
            valid_days: validity.whole_days(),
            private_key: seal.seal(&pem, now),
            certificate: certificate.to_pem(),
            serial_number: certificate.serial().to_hex(),
            key_fingerprint: certificate.key_fingerprint(),
            subject_key: certificate.subject().comparable(),
            organization_id,
            created_by_user_id: actor.user.map(|(id, _)| id),
            created_by_service_account_id: actor.service_account.map(|(id, _)| id),
            parent_ca_id: parent.map(|parent| parent.ca.id),
            path_length,
            allow_leaf_certs: new.allow_leaf_certs.unwrap_or(true),
            crl_base_url: new.crl_base_url,
        };
        let created = self.store.create_authority(authority, now, audit).await?;
        // Kept until here: whoever takes encryption keys away waits for those who still store under them.
        drop(seal);
        Ok((created, pem))
    }

    /// The CA with this id, as it is now.
    pub async fn authority(&self, id: CaId) -> Result<AuthorityRow, Error> {
        let mut rows = self.as_they_are(vec![self.issuer(id).await?]).await?;
        rows.pop().ok_or(Error::NotFound("CA"))
    }

    /// The CA with this id, as issuing needs it: whether it was revoked is looked at with its whole chain.
    pub async fn issuer(&self, id: CaId) -> Result<AuthorityRow, Error> {
        self.store.authority(id).await?.ok_or(Error::NotFound("CA"))
    }

    /// The CA above this one, if it is here.
    pub async fn parent(&self, row: &AuthorityRow) -> Result<Option<AuthorityRow>, Error> {
        match row.ca.parent_ca_id {
            Some(parent) => Ok(self.store.authority(parent).await?),
            None => Ok(None),
        }
    }

    /// These CAs, revoked or expired as they are now.
    async fn as_they_are(&self, rows: Vec<AuthorityRow>) -> Result<Vec<AuthorityRow>, Error> {
        let now = self.now();
        let rows = self.store.with_revocations(rows).await?;
        Ok(rows.into_iter().map(|row| aged_authority(row, now)).collect())
    }

    /// The CA of a slug, if both its halves fit.
    pub async fn authority_by_slug(&self, text: &str) -> Result<AuthorityRow, Error> {
        let id = Slug::id_in(text).ok_or(Error::NotFound("CA"))?;
        let row = self.issuer(id).await?;
        let fits = leads_to(text, id, &row.ca.name, row.published_name.as_deref());
        if fits { Ok(row) } else { Err(Error::NotFound("CA")) }
    }

    /// The certificate of a CA as DER.
    pub fn certificate_der(&self, row: &AuthorityRow) -> Result<Vec<u8>, Error> {
        let certificate =
            fastpki_x509::Certificate::from_pem(&row.ca.certificate).map_err(Error::internal)?;
        Ok(certificate.der().to_vec())
    }

    /// A page of the CAs that the caller sees, by id.
    pub async fn authorities(
        &self,
        caller: &Caller,
        page: AuthorityPage,
    ) -> Result<Vec<AuthorityRow>, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        let rows = self.store.authorities(caller.visible(), page.after, page.skip, page.limit).await?;
        self.as_they_are(rows).await
    }

    /// How many CAs the caller sees.
    pub async fn count_authorities(&self, caller: &Caller) -> Result<i64, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.count_authorities(caller.visible()).await?)
    }

    /// The CA and those above it, up to the root.
    pub async fn chain(&self, id: CaId) -> Result<Vec<AuthorityRow>, Error> {
        self.as_they_are(self.store.authority_chain(id).await?).await
    }

    /// The CAs right below this one that the caller may read.
    pub async fn children(&self, caller: &Caller, id: CaId) -> Result<Vec<AuthorityRow>, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        let mut children = self.store.authority_children(id).await?;
        children.retain(|child| caller.may_read(child));
        self.as_they_are(children).await
    }

    /// A page of certificates after an id, by id, as they are now.
    pub async fn certificates(
        &self,
        caller: &Caller,
        filter: CertificateFilter,
        after: CertificateId,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<CertificateRow>, Error> {
        let now = self.now();
        let _turn = self.lanes.reading(caller.id).await;
        let rows = self.store.certificates(filter, after, skip, limit).await?;
        Ok(rows.into_iter().map(|row| aged(row, now)).collect())
    }

    /// The certificate of a list with this SHA-256 in lower-case hex. Nothing indexes fingerprints: the list is read
    /// through, a page at a time.
    pub async fn certificate_by_fingerprint(
        &self,
        caller: &Caller,
        filter: CertificateFilter,
        fingerprint: &str,
    ) -> Result<Option<CertificateId>, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        let mut after = CertificateId(0);
        loop {
            let rows = self.store.certificates(filter.clone(), after, 0, FINGERPRINT_PAGE).await?;
            let Some(last) = rows.last() else { return Ok(None) };
            after = last.certificate.id;
            let wanted = fingerprint.to_owned();
            let found = self
                .lanes
                .sign(move || {
                    let fits = |pem: &str| {
                        fastpki_x509::Certificate::from_pem(pem)
                            .is_ok_and(|certificate| sha256_hex(certificate.der()) == wanted)
                    };
                    rows.iter().find(|row| fits(&row.certificate.certificate)).map(|row| row.certificate.id)
                })
                .await?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// How many certificates there are in a list.
    pub async fn count_certificates(&self, caller: &Caller, filter: CertificateFilter) -> Result<i64, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.count_certificates(filter).await?)
    }

    /// Gives out a CA's private key, once the audit log says so.
    pub async fn export_authority_key(
        &self,
        permit: Permit<ExportKey, AuthorityRow>,
    ) -> Result<(AuthorityRow, PrivateKeyPem), Error> {
        let Permit { resource: row, actor, .. } = permit;
        let stored = self.store.authority_key(row.ca.id).await?.ok_or(Error::NotFound("CA"))?;
        let pem = self.seal().open(&stored).map_err(Error::internal)?;
        let detail = format!("Exported the private key of CA '{}'", row.ca.name);
        let action = AuditAction::CaExportPrivateKey;
        let audit = actor.audit(self.now(), action, row.ca.organization_id, "ca", detail);
        self.store.record(audit, Some(row.ca.id.0)).await?;
        Ok((row, pem))
    }

    /// Gives out a certificate's private key, if there is one, once the audit log says so.
    pub async fn export_certificate_key(
        &self,
        permit: Permit<ExportKey, CertificateRow>,
    ) -> Result<(CertificateRow, Option<PrivateKeyPem>), Error> {
        let Permit { resource: row, actor, .. } = permit;
        let certificate = &row.certificate;
        let stored = self.store.certificate_key(certificate.id).await?;
        let pem = stored.map(|stored| self.seal().open(&stored)).transpose().map_err(Error::internal)?;
        let verb = if pem.is_some() { "Exported" } else { "Asked for" };
        let detail = format!("{verb} the private key of certificate '{}'", certificate.common_name);
        let action = AuditAction::CertExportPrivateKey;
        let audit = actor.audit(self.now(), action, certificate.organization_id, "certificate", detail);
        self.store.record(audit, Some(certificate.id.0)).await?;
        Ok((row, pem))
    }

    /// Changes a CA. Where it goes to another organization with `cascade`, what below it has no organization goes with
    /// it, as far as to any CA of another organization.
    pub async fn update_authority(
        &self,
        permit: Permit<UpdateCa, AuthorityRow>,
        change: CaUpdate,
    ) -> Result<AuthorityRow, Error> {
        let Permit { resource: row, mut actor, .. } = permit;
        let grant = std::mem::take(&mut actor.grant);
        if let Some(to) = change.organization_id {
            self.check_organization_exists(to).await?;
        }
        let now = self.now();
        let to = change.organization_id;
        let change = AuthorityChange {
            to,
            cascade: change.cascade,
            name: change.name,
            description: change.description,
            allow_leaf_certs: change.allow_leaf_certs,
            crl_base_url: change.crl_base_url.map(|url| Some(url).filter(|url| !url.is_empty())),
        };
        let audits = move |before: &AuthorityRow, after: &AuthorityRow, moved: Moved| {
            let mut audits = match to {
                Some(to) => moves(&actor, now, before, to, moved),
                None => Vec::new(),
            };
            if let Some(detail) = differences(before, after) {
                let organization = after.ca.organization_id;
                audits.push(actor.audit(now, AuditAction::CaUpdate, organization, "ca", detail));
            }
            audits
        };
        let row = self.store.change_authority(row.ca.id, change, now, grant, audits).await?;
        Ok(aged_authority(row, now))
    }

    /// Deletes a CA with its certificates and its CRL. Its parent revokes it, unless `revoke` says otherwise: then
    /// nobody can any more, and the caller needs leave to revoke under the parent, if that can revoke anything.
    pub async fn delete_authority(
        &self,
        caller: &Caller,
        permit: Permit<DeleteCa, AuthorityRow>,
        revoke: bool,
    ) -> Result<(), Error> {
        let Permit { resource: row, mut actor, .. } = permit;
        let mut grant = std::mem::take(&mut actor.grant);
        let id = row.ca.id;
        let is_valid = row.ca.status == CertificateStatus::Valid;
        let parent = self.parent(&row).await?.filter(|_| is_valid);
        match &parent {
            Some(parent) if revoke => check_publishes_on_deletion(parent)?,
            // Nobody can revoke it under such a parent: no right to is taken from anybody.
            Some(parent) if matches!(check_publishes_on_deletion(parent), Err(Error::Invalid(_))) => {}
            Some(parent) => grant.held.extend(caller.permit::<Revoke, _>(parent.clone())?.actor.grant.held),
            None => {}
        }
        let now = self.now();
        let audits = move |revoked: bool| {
            let words = match (&parent, revoked) {
                (Some(_), true) => " and revoked it: cessation_of_operation",
                (Some(_), false) => " without revoking it",
                (None, _) => "",
            };
            let entry =
                |action, organization, detail| actor.clone().audit(now, action, organization, "ca", detail);
            let detail = format!("Deleted CA '{}'{words}", row.ca.name);
            let deleted = entry(AuditAction::CaDelete, row.ca.organization_id, detail);
            let above = parent.filter(|_| revoked).map(|parent| {
                let detail = format!(
                    "Revoked CA '{}' under CA '{}': cessation_of_operation, since it was deleted",
                    row.ca.name, parent.ca.name
                );
                entry(AuditAction::CaRevoke, parent.ca.organization_id, detail)
            });
            [Some(deleted), above].into_iter().flatten().collect()
        };
        self.store.delete_authority(id, revoke, now, grant, audits).await?;
        self.keyring.forget(id);
        self.crls.forget(id);
        Ok(())
    }
}

/// The CA as it is at an instant.
pub(crate) fn aged_authority(mut row: AuthorityRow, now: Timestamp) -> AuthorityRow {
    let is_over = row.not_after.is_some_and(|end| end < now);
    if row.ca.status != CertificateStatus::Revoked && is_over {
        row.ca.status = CertificateStatus::Expired;
    }
    row
}

fn check_publishes_on_deletion(parent: &AuthorityRow) -> Result<(), Error> {
    let certificate = fastpki_x509::Certificate::from_pem(&parent.ca.certificate).map_err(Error::internal)?;
    check_publishes(&certificate).map_err(|_| {
        Error::Invalid(format!(
            "the CA '{}' above it cannot sign CRLs, and so cannot revoke it: delete it with revoke=false",
            parent.ca.name
        ))
    })
}

/// The entries about a CA that went to another organization: who loses it reads of it too.
fn moves(
    actor: &Actor,
    now: Timestamp,
    before: &AuthorityRow,
    to: OrganizationId,
    moved: Moved,
) -> Vec<NewAudit> {
    let from = before.ca.organization_id;
    let named = from.map_or("none".to_owned(), |id| id.to_string());
    let detail = format!(
        "Moved CA '{}' from organization {named} to {to}, with {} CAs and {} certificates",
        before.ca.name, moved.authorities, moved.certificates
    );
    let logs = [from.filter(|from| *from != to), Some(to)].into_iter().flatten();
    let entry = |log| actor.clone().audit(now, AuditAction::CaUpdate, Some(log), "ca", detail.clone());
    logs.map(entry).collect()
}

/// What was changed of a CA beside its organization, for people; `None` where nothing was.
fn differences(before: &AuthorityRow, after: &AuthorityRow) -> Option<String> {
    let (before, after) = (&before.ca, &after.ca);
    let quoted = |text: &Option<String>| text.as_ref().map_or("none".to_owned(), |text| format!("'{text}'"));
    let mut changes = Vec::new();
    if before.name != after.name {
        changes.push(format!("name '{}' to '{}'", before.name, after.name));
    }
    if before.allow_leaf_certs != after.allow_leaf_certs {
        changes.push(format!("allow_leaf_certs {} to {}", before.allow_leaf_certs, after.allow_leaf_certs));
    }
    if before.crl_base_url != after.crl_base_url {
        let (old, new) = (quoted(&before.crl_base_url), quoted(&after.crl_base_url));
        changes.push(format!("crl_base_url {old} to {new}"));
    }
    if before.description != after.description {
        changes.push("description".to_owned());
    }
    if changes.is_empty() {
        None
    } else {
        Some(format!("Changed CA '{}': {}", before.name, changes.join(", ")))
    }
}

/// Certificates whose fingerprints are taken at once.
const FINGERPRINT_PAGE: i64 = 500;
