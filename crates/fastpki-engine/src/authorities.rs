//! Certificate authorities.

use fastpki_store::{Moved, NewAuthority};
use fastpki_types::{AuditAction, CaAssignOrganization, CaCreate, CaId, CertificateId, PrivateKeyPem};
use fastpki_x509::{Name, PrivateKey, Profile, Request, Validity, check_chain, intermediate_path_len};

use crate::{
    AuthorityRow, Caller, CertificateFilter, CertificateRow, CreateCa, DeleteCa, Engine, Error, ExportKey,
    Home, MoveCa, Permit, Slug, engine::aged, issuance::urls, sessions::sha256_hex, slug, subject::key_type,
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
        self.check_not_revoked(&signer).await?;
        permit.actor.grant.held.extend(signer.held());
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

    /// The CA with this id.
    pub async fn authority(&self, id: CaId) -> Result<AuthorityRow, Error> {
        self.store.authority(id).await?.ok_or(Error::NotFound("CA"))
    }

    /// The CA of a slug, if both its halves fit.
    pub async fn authority_by_slug(&self, text: &str) -> Result<AuthorityRow, Error> {
        let id = Slug::id_in(text).ok_or(Error::NotFound("CA"))?;
        let row = self.authority(id).await?;
        if slug(&row.ca.name, id).as_str() == text { Ok(row) } else { Err(Error::NotFound("CA")) }
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
        Ok(self.store.authorities(caller.visible(), page.after, page.skip, page.limit).await?)
    }

    /// How many CAs the caller sees.
    pub async fn count_authorities(&self, caller: &Caller) -> Result<i64, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.count_authorities(caller.visible()).await?)
    }

    /// The CA and those above it, up to the root.
    pub async fn chain(&self, id: CaId) -> Result<Vec<AuthorityRow>, Error> {
        Ok(self.store.authority_chain(id).await?)
    }

    /// The CAs right below this one that the caller may read.
    pub async fn children(&self, caller: &Caller, id: CaId) -> Result<Vec<AuthorityRow>, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        let mut children = self.store.authority_children(id).await?;
        children.retain(|child| caller.may_read(child));
        Ok(children)
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

    /// Gives a CA to another organization; with `cascade`, what below it has no organization goes with it, as far as
    /// to any CA of another organization.
    pub async fn move_authority(
        &self,
        permit: Permit<MoveCa, AuthorityRow>,
        change: CaAssignOrganization,
    ) -> Result<AuthorityRow, Error> {
        let Permit { resource: row, mut actor, .. } = permit;
        let grant = std::mem::take(&mut actor.grant);
        let CaAssignOrganization { organization_id: to, cascade } = change;
        self.check_organization_exists(to).await?;
        let now = self.now();
        let (id, name) = (row.ca.id, row.ca.name);
        let before = row.ca.organization_id;
        let named = before.map_or("none".to_owned(), |id| id.to_string());
        let audits = move |moved: Moved| {
            let detail = format!(
                "Moved CA '{name}' from organization {named} to {to}, with {} CAs and {} certificates",
                moved.authorities, moved.certificates
            );
            // Who loses it reads of it too.
            let logs = [before.filter(|before| *before != to), Some(to)].into_iter().flatten();
            let entry =
                |log| actor.clone().audit(now, AuditAction::CaUpdate, Some(log), "ca", detail.clone());
            logs.map(entry).collect()
        };
        Ok(self.store.move_authority(id, to, cascade, now, grant, audits).await?)
    }

    /// Deletes a CA with its certificates and its CRL.
    pub async fn delete_authority(&self, permit: Permit<DeleteCa, AuthorityRow>) -> Result<(), Error> {
        let Permit { resource: row, actor, .. } = permit;
        let id = row.ca.id;
        let detail = format!("Deleted CA '{}'", row.ca.name);
        let audit = actor.audit(self.now(), AuditAction::CaDelete, row.ca.organization_id, "ca", detail);
        self.store.delete_authority(id, audit).await?;
        self.keyring.forget(id);
        self.crls.forget(id);
        Ok(())
    }
}

/// Certificates whose fingerprints are taken at once.
const FINGERPRINT_PAGE: i64 = 500;
