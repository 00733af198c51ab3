//! Certificate authorities.

mod change;
mod revocation;
mod unique;

use fastpki_types::{
    Ca, CaId, CertificateStatus, KeyType, Named, OrganizationId, ServiceAccountId, Timestamp, UserId,
};

pub use change::{AuthorityChange, Moved};
pub use revocation::AuthorityRevocation;
pub(crate) use revocation::shown;
pub use unique::Owner;

use crate::{
    Store,
    audit::{self, NewAudit},
    certificates::Visible,
    db::{Patience, Row, Table, Tx, Value},
    error::StoreError,
    grants::{self, Grant},
    public_keys,
    seal::{KeyOwner, SealedKey, StoredKey},
};

/// A certificate authority with what only the engine sees.
#[derive(Clone, Debug)]
pub struct AuthorityRow {
    /// What the API shows. Whether it is revoked is on its parent's CRL: [`Store::with_revocations`] fills it in.
    pub ca: Ca,
    /// Its serial number in hex; empty where its certificate cannot be read.
    pub serial_number: String,
    /// When its certificate ends.
    pub not_after: Option<Timestamp>,
    /// The name that its public addresses are made from, where it was renamed since.
    pub published_name: Option<String>,
    /// The service account that created it.
    pub created_by_service_account_id: Option<ServiceAccountId>,
}

/// A certificate authority to be recorded.
#[derive(Clone)]
pub struct NewAuthority {
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The subject of its certificate.
    pub subject_dn: String,
    /// The family of its key.
    pub key_type: KeyType,
    /// Bits of its key.
    pub key_size: u32,
    /// Whole days for which its certificate was issued.
    pub valid_days: u32,
    /// Its key, sealed.
    pub private_key: SealedKey,
    /// Its certificate as PEM.
    pub certificate: String,
    /// Its serial number in hex.
    pub serial_number: String,
    /// The fingerprint of its public key, by which it is known where it is to be certified again.
    pub key_fingerprint: String,
    /// Its subject, as [`fastpki_x509::Name::comparable`] has it.
    pub subject_key: String,
    /// The organization it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The user who creates it.
    pub created_by_user_id: Option<UserId>,
    /// The service account that creates it.
    pub created_by_service_account_id: Option<ServiceAccountId>,
    /// The CA that signed it.
    pub parent_ca_id: Option<CaId>,
    /// How many CAs may follow below it.
    pub path_length: Option<u8>,
    /// Whether it issues certificates that are not CAs.
    pub allow_leaf_certs: bool,
    /// Base of the CRL and CA addresses in what it issues.
    pub crl_base_url: Option<String>,
}

macro_rules! select_authorities {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */
             SELECT a.id, a.name, a.description, a.subject_dn, a.key_type, a.key_size, a.valid_days, a.created_at,
                    a.updated_at, a.certificate, a.organization_id, a.created_by_user_id, a.parent_ca_id,
                    a.path_length, a.allow_leaf_certs, a.crl_base_url, a.created_by_service_account_id,
                    a.published_name ",
            $rest
        )
    };
}

impl Store {
    /// Records a CA, whose name and subject must be its own. Its parent no longer issues leaf certificates.
    pub async fn create_authority(
        &self,
        new: NewAuthority,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<AuthorityRow, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock_table(Table::Authorities).await?;
                    audit.admit(tx).await?;
                    check_unique(tx, &new).await?;
                    let id = CaId(tx.next_id(Table::Authorities).await?);
                    if let Some(parent) = new.parent_ca_id {
                        let sql = "/* stop_leaf_certs */
                                   UPDATE certificate_authorities SET allow_leaf_certs = $2, updated_at = $3 WHERE id = $1";
                        if tx.execute(sql, &[parent.into(), false.into(), now.into()]).await? == 0 {
                            return Err(StoreError::Gone);
                        }
                    }
                    use_serial(tx, new.parent_ca_id.unwrap_or(id), &new.serial_number).await?;
                    insert(tx, id, &new, now).await?;
                    let sql = "/* create_crl */ INSERT INTO fastpki_crls (ca_id, reserved) VALUES ($1, $2)";
                    tx.execute(sql, &[id.into(), 0.into()]).await?;
                    audit::record(tx, &audit, Some(id.0)).await?;
                    one(tx, id).await?.ok_or(StoreError::Gone)
                })
            })
            .await
    }

    /// The CA with this id.
    pub async fn authority(&self, id: CaId) -> Result<Option<AuthorityRow>, StoreError> {
        self.db.read(move |tx| Box::pin(async move { one(tx, id).await })).await
    }

    /// The CA with this id and those above it, up to the root or to where a parent is missing.
    pub async fn authority_chain(&self, id: CaId) -> Result<Vec<AuthorityRow>, StoreError> {
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let mut chain: Vec<AuthorityRow> = Vec::new();
                    let mut next = Some(id);
                    while let Some(id) = next {
                        // An adopted database has no guard against a circle.
                        if chain.iter().any(|link| link.ca.id == id) {
                            break;
                        }
                        let Some(link) = one(tx, id).await? else { break };
                        next = link.ca.parent_ca_id;
                        chain.push(link);
                    }
                    Ok(chain)
                })
            })
            .await
    }

    /// The CAs right below this one, by id.
    pub async fn authority_children(&self, id: CaId) -> Result<Vec<AuthorityRow>, StoreError> {
        let sql = select_authorities!(
            "authority_children",
            "FROM certificate_authorities a WHERE a.parent_ca_id = $1 ORDER BY a.id"
        );
        self.many_authorities(sql, vec![id.into()]).await
    }

    /// The first CAs with this name, of one owner or of all, by id.
    pub async fn authorities_by_name(
        &self,
        name: &str,
        owner: Option<Owner>,
    ) -> Result<Vec<AuthorityRow>, StoreError> {
        let name = name.to_owned();
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let mut values: Vec<Value> = vec![name.into()];
                    let head = select_authorities!(
                        "authorities_by_name",
                        "FROM certificate_authorities a WHERE a.name = $1"
                    );
                    let condition = owner
                        .map(|owner| format!(" AND {}", owner.condition(&mut values)))
                        .unwrap_or_default();
                    let sql = format!("{head}{condition} ORDER BY a.id LIMIT {SAME_NAMES}");
                    tx.rows(&sql, &values).await?.into_iter().map(authority_row).collect()
                })
            })
            .await
    }

    /// A page of the CAs that a principal may see, after this id, by id.
    pub async fn authorities(
        &self,
        visible: Visible,
        after: CaId,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<AuthorityRow>, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let mut values: Vec<Value> = vec![after.into(), limit.into(), skip.into()];
                    let condition = visible.condition("a", &mut values);
                    let head =
                        select_authorities!("authorities", "FROM certificate_authorities a WHERE a.id > $1");
                    let sql = format!("{head}{condition} ORDER BY a.id LIMIT $2 OFFSET $3");
                    tx.rows(&sql, &values).await?.into_iter().map(authority_row).collect()
                })
            })
            .await
    }

    /// How many CAs a principal may see.
    pub async fn count_authorities(&self, visible: Visible) -> Result<i64, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let mut values: Vec<Value> = vec![0.into()];
                    let condition = visible.condition("a", &mut values);
                    let sql = format!(
                        "/* count_authorities */ SELECT COUNT(*) FROM certificate_authorities a WHERE a.id > $1{condition}"
                    );
                    tx.row(&sql, &values).await?.ok_or(StoreError::Gone)?.next()
                })
            })
            .await
    }

    /// The private key of a CA, as it is stored.
    pub async fn authority_key(&self, id: CaId) -> Result<Option<StoredKey>, StoreError> {
        let sql = "/* authority_key */
                   SELECT id, name, private_key, encryption_key_fingerprint, certificate
                   FROM certificate_authorities WHERE id = $1";
        self.db
            .read(move |tx| {
                Box::pin(async move { tx.row(sql, &[id.into()]).await?.map(authority_key).transpose() })
            })
            .await
    }

    /// The private key of one CA, whichever; `None` where there is no CA.
    pub async fn any_authority_key(&self) -> Result<Option<StoredKey>, StoreError> {
        let sql = "/* any_authority_key */
                   SELECT id, name, private_key, encryption_key_fingerprint, certificate
                   FROM certificate_authorities ORDER BY id LIMIT 1";
        self.db
            .read(move |tx| Box::pin(async move { tx.row(sql, &[]).await?.map(authority_key).transpose() }))
            .await
    }

    /// Deletes a CA with its certificates and CRL, unless others hang below it. With `revoke`, a CA whose certificate is
    /// still good is put on its parent's CRL. The entries for the audit log are told whether it was.
    pub async fn delete_authority(
        &self,
        id: CaId,
        revoke: bool,
        now: Timestamp,
        grant: Grant,
        audits: impl FnOnce(bool) -> Vec<NewAudit> + Clone + Send + 'static,
    ) -> Result<(), StoreError> {
        self.db
            .with(Patience::ManyRows)
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock_table(Table::Authorities).await?;
                    grants::check(tx, &grant).await?;
                    let row = one(tx, id).await?.ok_or(StoreError::Gone)?;
                    let children =
                        "/* child */ SELECT id FROM certificate_authorities WHERE parent_ca_id = $1 LIMIT 1";
                    if tx.row(children, &[id.into()]).await?.is_some() {
                        return Err(StoreError::HasChildren);
                    }
                    for sql in [
                        // In the order in which a revocation takes its locks.
                        "/* delete_certificates */ DELETE FROM certificates WHERE issuer_id = $1",
                        DELETE_CRL,
                        "/* delete_crl_entries */ DELETE FROM crl_entries WHERE ca_id = $1",
                        "/* delete_serials */ DELETE FROM fastpki_serials WHERE issuer_id = $1",
                    ] {
                        tx.execute(sql, &[id.into()]).await?;
                    }
                    public_keys::entries_were_deleted(tx).await?;
                    let parent = match revoke {
                        true => revocation::parent_to_revoke(tx, &row, now).await?,
                        false => None,
                    };
                    if let Some(parent) = parent {
                        revocation::revoke(tx, &row, parent, Some(CESSATION), now).await?;
                    }
                    let sql = "/* delete_authority */ DELETE FROM certificate_authorities WHERE id = $1";
                    if tx.execute(sql, &[id.into()]).await? == 0 {
                        return Err(StoreError::Gone);
                    }
                    // A number of a CRL may have been taken meanwhile; from now on none can be.
                    tx.execute(DELETE_CRL, &[id.into()]).await?;
                    for audit in &audits(parent.is_some()) {
                        audit::record(tx, audit, Some(id.0)).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn many_authorities(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<AuthorityRow>, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move { tx.rows(sql, &values).await?.into_iter().map(authority_row).collect() })
            })
            .await
    }
}

const DELETE_CRL: &str = "/* delete_crl */ DELETE FROM fastpki_crls WHERE ca_id = $1";

/// Refuses a CA whose name or subject another one has.
pub(crate) async fn check_unique(tx: &mut Tx, new: &NewAuthority) -> Result<(), StoreError> {
    let owner = Owner {
        organization_id: new.organization_id,
        created_by_user_id: new.created_by_user_id,
        created_by_service_account_id: new.created_by_service_account_id,
    };
    unique::check_name(tx, None, owner, &new.name).await?;
    unique::check_subject(tx, None, new.parent_ca_id, owner, &new.subject_key).await
}

/// Whose a CA is.
fn owner(row: &AuthorityRow) -> Owner {
    Owner {
        organization_id: row.ca.organization_id,
        created_by_user_id: row.ca.created_by_user_id,
        created_by_service_account_id: row.created_by_service_account_id,
    }
}

/// Whether there is a CA with this id.
pub(crate) async fn is_authority(tx: &mut Tx, id: CaId) -> Result<bool, StoreError> {
    let sql = "/* is_authority */ SELECT id FROM certificate_authorities WHERE id = $1";
    Ok(tx.row(sql, &[id.into()]).await?.is_some())
}

/// Whether there is a CA with this id, which nobody deletes until this unit of work ends.
pub(crate) async fn keep(tx: &mut Tx, id: CaId) -> Result<bool, StoreError> {
    let sql = "/* keep_authority */ SELECT id FROM certificate_authorities WHERE id = $1";
    let sql = format!("{sql}{}", tx.for_key_share());
    Ok(tx.row(&sql, &[id.into()]).await?.is_some())
}

/// Notes that an issuer has used a serial number; it may be used only once.
pub(crate) async fn use_serial(tx: &mut Tx, issuer: CaId, serial: &str) -> Result<(), StoreError> {
    let sql = "/* use_serial */ INSERT INTO fastpki_serials (issuer_id, serial_number) VALUES ($1, $2)";
    tx.execute(sql, &[issuer.into(), serial.into()]).await.map(drop)
}

pub(crate) async fn insert(
    tx: &mut Tx,
    id: CaId,
    new: &NewAuthority,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "/* create_authority */
         INSERT INTO certificate_authorities
             (id, name, description, subject_dn, key_type, key_size, valid_days, created_at, updated_at, private_key,
              certificate, organization_id, created_by_user_id, created_by_service_account_id, parent_ca_id,
              path_length, allow_leaf_certs, crl_base_url, encryption_key_fingerprint, serial_number, key_fingerprint,
              subject_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, (SELECT o.id FROM organizations o WHERE o.id = $11),
                 $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
        &[
            id.into(),
            new.name.as_str().into(),
            new.description.as_deref().into(),
            new.subject_dn.as_str().into(),
            new.key_type.name().into(),
            new.key_size.into(),
            new.valid_days.into(),
            now.into(),
            new.private_key.text(),
            new.certificate.as_str().into(),
            new.organization_id.into(),
            new.created_by_user_id.into(),
            new.created_by_service_account_id.into(),
            new.parent_ca_id.into(),
            new.path_length.into(),
            new.allow_leaf_certs.into(),
            new.crl_base_url.as_deref().into(),
            new.private_key.fingerprint(),
            new.serial_number.as_str().into(),
            new.key_fingerprint.as_str().into(),
            new.subject_key.as_str().into(),
        ],
    )
    .await
    .map(drop)
}

/// The row of a CA's key.
pub(crate) fn authority_key(mut row: Row) -> Result<StoredKey, StoreError> {
    let owner = KeyOwner::Ca(row.next()?, row.next()?);
    Ok(StoredKey { owner, key: SealedKey::from_columns(row.next()?, row.next()?), certificate: row.next()? })
}

pub(crate) async fn one(tx: &mut Tx, id: CaId) -> Result<Option<AuthorityRow>, StoreError> {
    let sql = select_authorities!("authority", "FROM certificate_authorities a WHERE a.id = $1");
    tx.row(sql, &[id.into()]).await?.map(authority_row).transpose()
}

fn authority_row(mut row: Row) -> Result<AuthorityRow, StoreError> {
    let (id, name, description, subject_dn): (CaId, String, Option<String>, String) =
        (row.next()?, row.next()?, row.next()?, row.next()?);
    let (key_type, key_size): (Option<String>, u32) = (row.next()?, row.next()?);
    let (valid_days, created_at, updated_at) = (row.next()?, row.next()?, row.next()?);
    let certificate: String = row.next()?;
    let (key_type, key_size) = key_of(key_type.as_deref(), key_size, &certificate);
    let read = fastpki_x509::Certificate::from_pem(&certificate).ok();
    // One that was imported may hang below a CA that is not here.
    let is_self_issued =
        read.as_ref().is_none_or(|certificate| certificate.issuer() == certificate.subject());
    let organization_id = row.next()?;
    let created_by_user_id = row.next()?;
    let parent_ca_id: Option<CaId> = row.next()?;
    let ca = Ca {
        id,
        name,
        description,
        subject_dn,
        key_type,
        key_size,
        valid_days,
        created_at,
        updated_at,
        certificate,
        organization_id,
        created_by_user_id,
        parent_ca_id,
        path_length: row.next()?,
        allow_leaf_certs: row.next()?,
        crl_base_url: row.next()?,
        is_root: parent_ca_id.is_none() && is_self_issued,
        status: CertificateStatus::Valid,
        revoked_at: None,
        revocation_reason: None,
    };
    Ok(AuthorityRow {
        ca,
        serial_number: read.as_ref().map(|certificate| certificate.serial().to_hex()).unwrap_or_default(),
        not_after: read.map(|certificate| certificate.validity().not_after.into()),
        created_by_service_account_id: row.next()?,
        published_name: row.next()?,
    })
}

impl AuthorityRow {
    /// The name that its public addresses are made from.
    pub fn public_name(&self) -> &str {
        self.published_name.as_deref().unwrap_or(&self.ca.name)
    }
}

/// Family and size of a certificate's key: from our column or, in adopted rows, from the certificate
/// itself (the old system wrote 2048 beside every key that came in a CSR).
pub(crate) fn key_of(key_type: Option<&str>, key_size: u32, certificate: &str) -> (KeyType, u32) {
    if let Some(key_type) = key_type.and_then(KeyType::from_name) {
        return (key_type, key_size);
    }
    fastpki_x509::Certificate::from_pem(certificate)
        .and_then(|certificate| certificate.public_key_info())
        .ok()
        .and_then(|key| Some((KeyType::from_name(key.algorithm().family())?, key.algorithm().size())))
        .unwrap_or((KeyType::Rsa, key_size))
}

/// Why a CA is revoked that is deleted: RFC 5280 section 5.3.1.
const CESSATION: &str = "cessation_of_operation";
/// CAs of one name that are looked at: enough to name them to somebody who is to choose.
const SAME_NAMES: u32 = 10;
