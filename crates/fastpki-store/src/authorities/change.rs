//! Changes of CAs: their settings, and whose they are.

use fastpki_types::{CaId, OrganizationId, Timestamp};

use super::{AuthorityRow, one, owner, revocation::shown, unique};
use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Patience, Table, Tx},
    error::StoreError,
    grants::{self, Grant},
};

/// What is to change of a CA; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AuthorityChange {
    /// The organization it is to belong to.
    pub to: Option<OrganizationId>,
    /// Whether what is below it moves with it.
    pub cascade: bool,
    /// What people are to call it.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Whether it issues certificates that are not CAs.
    pub allow_leaf_certs: Option<bool>,
    /// Base of the CRL and CA addresses in what it issues; `Some(None)` for the server's own.
    pub crl_base_url: Option<Option<String>>,
}

/// What went with a CA that was given to another organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// CAs below it.
    pub authorities: u64,
    /// Certificates of it and of those.
    pub certificates: u64,
}

impl Store {
    /// Changes a CA. Moved with `cascade`, CAs below it and certificates that have no
    /// organization go with it; where a CA of another organization stands, nothing from there on does. The entries for the
    /// audit log are made of the CA as it was, as it is, and what went with it.
    pub async fn change_authority(
        &self,
        id: CaId,
        change: AuthorityChange,
        now: Timestamp,
        grant: Grant,
        audits: impl FnOnce(&AuthorityRow, &AuthorityRow, Moved) -> Vec<NewAudit> + Clone + Send + 'static,
    ) -> Result<AuthorityRow, StoreError> {
        self.db
            .with(Patience::ManyRows)
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock_table(Table::Authorities).await?;
                    grants::check(tx, &grant).await?;
                    let before = one(tx, id).await?.ok_or(StoreError::Gone)?;
                    let moved = match change.to {
                        Some(to) => move_authority(tx, &before, to, change.cascade, now).await?,
                        None => Moved::default(),
                    };
                    set(tx, &before, change, now).await?;
                    let after = shown(tx, id).await?;
                    for audit in &audits(&before, &after, moved) {
                        audit::record(tx, audit, Some(id.0)).await?;
                    }
                    Ok(after)
                })
            })
            .await
    }
}

/// Sets what differs.
async fn set(
    tx: &mut Tx,
    before: &AuthorityRow,
    change: AuthorityChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ca = &before.ca;
    let name = change.name.unwrap_or_else(|| ca.name.clone());
    let is_moved = change.to.is_some_and(|to| ca.organization_id != Some(to));
    if name != ca.name || is_moved {
        let owner = unique::Owner { organization_id: change.to.or(ca.organization_id), ..owner(before) };
        unique::check_name(tx, Some(ca.id), owner, &name).await?;
    }
    let published_name = match name == ca.name {
        true => before.published_name.clone(),
        false => Some(before.published_name.clone().unwrap_or_else(|| ca.name.clone())),
    };
    let description = change.description.or_else(|| ca.description.clone());
    let allow_leaf_certs = change.allow_leaf_certs.unwrap_or(ca.allow_leaf_certs);
    let crl_base_url = change.crl_base_url.unwrap_or_else(|| ca.crl_base_url.clone());
    let same = name == ca.name
        && description == ca.description
        && allow_leaf_certs == ca.allow_leaf_certs
        && crl_base_url == ca.crl_base_url;
    if same {
        return Ok(());
    }
    let sql = "/* change_authority */
               UPDATE certificate_authorities
               SET name = $2, published_name = $3, description = $4, allow_leaf_certs = $5, crl_base_url = $6, updated_at = $7
               WHERE id = $1";
    let values = [
        ca.id.into(),
        name.into(),
        published_name.into(),
        description.into(),
        allow_leaf_certs.into(),
        crl_base_url.into(),
        now.into(),
    ];
    tx.execute(sql, &values).await.map(drop)
}

async fn move_authority(
    tx: &mut Tx,
    before: &AuthorityRow,
    to: OrganizationId,
    cascade: bool,
    now: Timestamp,
) -> Result<Moved, StoreError> {
    if before.ca.organization_id != Some(to) && before.ca.parent_ca_id.is_none() {
        check_subject_in(tx, before, to).await?;
    }
    give(tx, before.ca.id, to, now).await?;
    if cascade { move_below(tx, before.ca.id, to, now).await } else { Ok(Moved::default()) }
}

/// Refuses a root whose subject another root of the organization has.
async fn check_subject_in(tx: &mut Tx, row: &AuthorityRow, to: OrganizationId) -> Result<(), StoreError> {
    let Some(subject) = unique::subject_key(&row.ca.certificate) else { return Ok(()) };
    let owner = unique::Owner { organization_id: Some(to), ..owner(row) };
    unique::check_subject(tx, Some(row.ca.id), None, owner, &subject).await
}

async fn give(tx: &mut Tx, id: CaId, to: OrganizationId, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "/* give_authority */
               UPDATE certificate_authorities SET organization_id = $2, updated_at = $3 WHERE id = $1";
    tx.execute(sql, &[id.into(), to.into(), now.into()]).await
}

async fn move_below(tx: &mut Tx, id: CaId, to: OrganizationId, now: Timestamp) -> Result<Moved, StoreError> {
    let children = "/* children_of */
                    SELECT id, organization_id, name FROM certificate_authorities WHERE parent_ca_id = $1 ORDER BY id";
    let certificates = "/* give_certificates */
                        UPDATE certificates SET organization_id = $2, updated_at = $3
                        WHERE issuer_id = $1 AND organization_id IS NULL";
    let owner = unique::Owner {
        organization_id: Some(to),
        created_by_user_id: None,
        created_by_service_account_id: None,
    };
    let mut moved = Moved::default();
    let mut seen = vec![id];
    let mut next = 0;
    while let Some(&issuer) = seen.get(next) {
        next += 1;
        moved.certificates += tx.execute(certificates, &[issuer.into(), to.into(), now.into()]).await?;
        for mut child in tx.rows(children, &[issuer.into()]).await? {
            let (child, belongs, name): (CaId, Option<OrganizationId>, String) =
                (child.next()?, child.next()?, child.next()?);
            // An adopted database has no guard against a circle.
            if belongs.is_some_and(|belongs| belongs != to) || seen.contains(&child) {
                continue;
            }
            if belongs.is_none() {
                unique::check_name(tx, Some(child), owner, &name).await?;
                moved.authorities += give(tx, child, to, now).await?;
            }
            seen.push(child);
        }
    }
    Ok(moved)
}
