//! The audit log: written with every change, read in pages, never changed.

use fastpki_types::{AuditAction, AuditLog, OrganizationId, ServiceAccountId, Timestamp, UserId};

use crate::{
    Store,
    db::{Row, Table, Tx, Value},
    error::StoreError,
    grants::{self, Grant},
};

/// An entry to be written with the change it tells of.
#[derive(Clone, Debug)]
pub struct NewAudit {
    /// When it was done.
    pub at: Timestamp,
    /// What was done.
    pub action: AuditAction,
    /// The user who did it, and their name.
    pub user: Option<(UserId, String)>,
    /// The service account that did it, and its name.
    pub service_account: Option<(ServiceAccountId, String)>,
    /// A name where there is no user: the one that was tried at a failed sign-in.
    pub username: Option<String>,
    /// The organization whose log it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// What it was done to,
    pub resource_type: Option<&'static str>,
    /// and its id, where it is another than that of the row which changes.
    pub resource_id: Option<i32>,
    /// Particulars, for people.
    pub detail: Option<String>,
    /// What it was permitted for; looked at again before anything is written.
    pub grant: Grant,
}

/// Which entries to read.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of this organization only; `None` for all.
    pub organization_id: Option<OrganizationId>,
    /// Of this action.
    pub action: Option<AuditAction>,
    /// By this user.
    pub user_id: Option<UserId>,
    /// By this service account.
    pub service_account_id: Option<ServiceAccountId>,
    /// About resources of this type.
    pub resource_type: Option<String>,
    /// About the resource with this id.
    pub resource_id: Option<i32>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// How many to pass over.
    pub skip: i64,
    /// How many to give.
    pub limit: i64,
}

impl Store {
    /// Writes an entry about an act that changes nothing else: reading a private key, failing to sign in.
    pub async fn record(&self, audit: NewAudit, resource_id: Option<i32>) -> Result<(), StoreError> {
        self.db.write(move |tx| Box::pin(async move { record(tx, &audit, resource_id).await })).await
    }

    /// Entries, newest first.
    pub async fn audit_logs(&self, filter: AuditFilter) -> Result<Vec<AuditLog>, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let mut conditions = String::new();
                    let mut values: Vec<Value> = Vec::new();
                    let mut only = |condition: &str, value: Value| {
                        if !matches!(value, Value::Null) {
                            values.push(value);
                            let word = if values.len() == 1 { "WHERE" } else { "AND" };
                            conditions.push_str(&format!(" {word} {condition} ${}", values.len()));
                        }
                    };
                    only("organization_id =", filter.organization_id.into());
                    if let Some(action) = filter.action {
                        let condition = match stand_in(action) {
                            // FastPKI's main branch wrote some that the release has no name for.
                            Some(_) => "COALESCE(own_action, CAST(action AS VARCHAR)) =",
                            None => "own_action IS NULL AND action =",
                        };
                        only(condition, Value::named(action));
                    }
                    only("user_id =", filter.user_id.into());
                    only("service_account_id =", filter.service_account_id.into());
                    only("resource_type =", filter.resource_type.into());
                    only("resource_id =", filter.resource_id.into());
                    only("created_at >=", filter.since.into());
                    only("created_at <=", filter.until.into());
                    values.extend([filter.limit.into(), filter.skip.into()]);
                    let (limit, skip) = (values.len() - 1, values.len());
                    let sql = format!(
                        "/* audit_logs */
                         SELECT id, created_at, COALESCE(own_action, CAST(action AS VARCHAR)), user_id, original_user_id, username,
                                service_account_id, original_service_account_id, service_account_name, organization_id,
                                original_organization_id, resource_type, resource_id, detail
                         FROM audit_logs{conditions}
                         ORDER BY created_at DESC, id DESC LIMIT ${limit} OFFSET ${skip}"
                    );
                    tx.rows(&sql, &values).await?.into_iter().map(entry).collect()
                })
            })
            .await
    }
}

impl NewAudit {
    /// Fails where the change that this entry tells of is not permitted any more. A change asks it first, so that locks
    /// are taken in one order.
    pub(crate) async fn admit(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        grants::check(tx, &std::mem::take(&mut self.grant)).await
    }
}

/// Writes an entry within a change, which fails where it is not permitted any more.
pub(crate) async fn record(
    tx: &mut Tx,
    audit: &NewAudit,
    resource_id: Option<i32>,
) -> Result<(), StoreError> {
    // Nothing is asked twice of a change that was admitted.
    grants::check(tx, &audit.grant).await?;
    let id = tx.next_id_within(Table::AuditLogs).await?;
    let known = stand_in(audit.action);
    let username = audit.user.as_ref().map(|(_, name)| name.as_str()).or(audit.username.as_deref());
    let sql = format!(
        "/* record_audit */
         INSERT INTO audit_logs (id, created_at, action, user_id, username, service_account_id,
                                 service_account_name, organization_id, original_organization_id, resource_type,
                                 resource_id, detail, own_action)
         VALUES ({id}, $1, $2, $3, $4, $5, $6, (SELECT o.id FROM organizations o WHERE o.id = $7),
                 CASE WHEN NOT EXISTS (SELECT 1 FROM organizations o WHERE o.id = $7) THEN $7 END, $8, $9, $10, $11)"
    );
    tx.execute(
        &sql,
        &[
            audit.at.into(),
            Value::named(known.unwrap_or(audit.action)),
            audit.user.as_ref().map(|(id, _)| *id).into(),
            username.into(),
            audit.service_account.as_ref().map(|(id, _)| *id).into(),
            audit.service_account.as_ref().map(|(_, name)| name.as_str()).into(),
            audit.organization_id.into(),
            audit.resource_type.into(),
            audit.resource_id.or(resource_id).into(),
            audit.detail.as_deref().into(),
            known.map_or(Value::Null, |_| Value::named(audit.action)),
        ],
    )
    .await
    .map(drop)
}

/// The action under which FastPKI 0.4.0 finds an entry whose own action it has no name for: it fails on names
/// it does not know. Its main branch knows `ca_update`, the release does not.
fn stand_in(action: AuditAction) -> Option<AuditAction> {
    match action {
        AuditAction::Logout => Some(AuditAction::LoginSuccess),
        AuditAction::TokensInvalidate | AuditAction::UserDelete => Some(AuditAction::UserUpdate),
        AuditAction::CaImport | AuditAction::CaUpdate => Some(AuditAction::CaCreate),
        AuditAction::CaRevoke => Some(AuditAction::CertRevoke),
        AuditAction::OrgUpdate => Some(AuditAction::OrgCreate),
        AuditAction::KeysEncrypt
        | AuditAction::KeysRotate
        | AuditAction::KeysDecrypt
        | AuditAction::KeysVerify
        | AuditAction::KeysRetire
        | AuditAction::KeysWipe => Some(AuditAction::CaCreate),
        _ => None,
    }
}

fn entry(mut row: Row) -> Result<AuditLog, StoreError> {
    Ok(AuditLog {
        id: row.next()?,
        created_at: row.next()?,
        action: row.named()?,
        user_id: row.next()?,
        original_user_id: row.next()?,
        username: row.next()?,
        service_account_id: row.next()?,
        original_service_account_id: row.next()?,
        service_account_name: row.next()?,
        organization_id: row.next()?,
        original_organization_id: row.next()?,
        resource_type: row.next()?,
        resource_id: row.next()?,
        detail: row.next()?,
    })
}
