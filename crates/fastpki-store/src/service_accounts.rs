//! Service accounts and their tokens.

use fastpki_types::{
    FlagsUpdate, OrganizationId, ServiceAccount, ServiceAccountCreate, ServiceAccountId, ServiceAccountToken,
    ServiceAccountTokenId, Timestamp, UserId,
};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Patience, Row, Table, Tx, Value},
    error::StoreError,
    jobs::CLOCKS_DIFFER_SECONDS,
    users::flags,
};

/// What of a service account is to be changed: what is not given stays.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccountChange {
    /// Unique within its organization.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Whether its tokens are refused.
    pub disabled: Option<bool>,
    /// What it may do beyond reading.
    pub flags: FlagsUpdate,
}

/// A token of a service account to be recorded.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The part of the token that is no secret.
    pub public_id: String,
    /// Lower-case hex of the HMAC of its secret.
    pub digest: String,
    /// What people call it.
    pub name: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A token with what only the engine sees, and whose it is.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// What the API shows.
    pub token: ServiceAccountToken,
    /// Lower-case hex of the HMAC of its secret.
    pub digest: String,
    /// Whose it is.
    pub account: ServiceAccount,
}

macro_rules! select_accounts {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */
             SELECT s.id, s.name, s.description, s.organization_id, s.created_by_user_id, s.created_at, s.updated_at,
                    s.disabled_at, s.can_create_ca, s.can_create_cert, s.can_revoke_cert, s.can_export_private_key,
                    s.can_delete_ca ",
            $rest
        )
    };
}

impl Store {
    /// Creates a service account; its name may be taken in its organization.
    pub async fn create_service_account(
        &self,
        organization: OrganizationId,
        new: ServiceAccountCreate,
        creator: Option<UserId>,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<ServiceAccount, StoreError> {
        let sql = "/* create_service_account */
                   INSERT INTO service_accounts
                       (id, name, description, organization_id, created_by_user_id, created_at, updated_at, can_create_ca,
                        can_create_cert, can_revoke_cert, can_export_private_key, can_delete_ca)
                   VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11)";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let id = ServiceAccountId(tx.next_id(Table::ServiceAccounts).await?);
                    let values = [
                        id.into(),
                        new.name.into(),
                        new.description.into(),
                        organization.into(),
                        creator.into(),
                        now.into(),
                        new.flags.can_create_ca.into(),
                        new.flags.can_create_cert.into(),
                        new.flags.can_revoke_cert.into(),
                        new.flags.can_export_private_key.into(),
                        new.flags.can_delete_ca.into(),
                    ];
                    tx.execute(sql, &values).await?;
                    audit::record(tx, &audit, Some(id.0)).await?;
                    one(tx, id).await?.ok_or(StoreError::Gone)
                })
            })
            .await
    }

    /// The service account with this id.
    pub async fn service_account(&self, id: ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
        self.db.read(move |tx| Box::pin(async move { one(tx, id).await })).await
    }

    /// The service accounts of one organization, or of all, by name.
    pub async fn service_accounts(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<Vec<ServiceAccount>, StoreError> {
        let of_one = select_accounts!(
            "service_accounts_of",
            "FROM service_accounts s WHERE s.organization_id = $1 ORDER BY s.name, s.id"
        );
        let all = select_accounts!("service_accounts", "FROM service_accounts s ORDER BY s.name, s.id");
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = match organization {
                        Some(id) => tx.rows(of_one, &[id.into()]).await?,
                        None => tx.rows(all, &[]).await?,
                    };
                    rows.into_iter().map(|mut row| account(&mut row)).collect()
                })
            })
            .await
    }

    /// Changes a service account; its new name may be taken.
    pub async fn update_service_account(
        &self,
        id: ServiceAccountId,
        change: ServiceAccountChange,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<ServiceAccount, StoreError> {
        let sql = "/* update_service_account */
                   UPDATE service_accounts
                   SET name = COALESCE($2, name), description = COALESCE($3, description),
                       disabled_at = CASE WHEN $4 THEN COALESCE(disabled_at, $5) WHEN NOT $4 THEN NULL ELSE disabled_at END,
                       can_create_ca = COALESCE($6, can_create_ca), can_create_cert = COALESCE($7, can_create_cert),
                       can_revoke_cert = COALESCE($8, can_revoke_cert),
                       can_export_private_key = COALESCE($9, can_export_private_key),
                       can_delete_ca = COALESCE($10, can_delete_ca), updated_at = $5
                   WHERE id = $1";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let values = [
                        id.into(),
                        change.name.into(),
                        change.description.into(),
                        change.disabled.into(),
                        now.into(),
                        change.flags.can_create_ca.into(),
                        change.flags.can_create_cert.into(),
                        change.flags.can_revoke_cert.into(),
                        change.flags.can_export_private_key.into(),
                        change.flags.can_delete_ca.into(),
                    ];
                    if tx.execute(sql, &values).await? == 0 {
                        return Err(StoreError::Gone);
                    }
                    audit::record(tx, &audit, Some(id.0)).await?;
                    one(tx, id).await?.ok_or(StoreError::Gone)
                })
            })
            .await
    }

    /// Deletes a service account with its tokens and its policy. What it had created stays, as nobody's.
    pub async fn delete_service_account(
        &self,
        id: ServiceAccountId,
        mut audit: NewAudit,
    ) -> Result<(), StoreError> {
        self.db
            .with(Patience::ManyRows)
            .write(move |tx| {
                Box::pin(async move {
                    // What creates a CA takes this table before its creator.
                    tx.will_write(Table::Authorities).await?;
                    audit.admit(tx).await?;
                    for sql in [
                        "/* delete_tokens */ DELETE FROM service_account_tokens WHERE service_account_id = $1",
                        "/* delete_policy */ DELETE FROM issuance_policies WHERE service_account_id = $1",
                        "/* disown_authorities */
                         UPDATE certificate_authorities SET created_by_service_account_id = NULL
                         WHERE created_by_service_account_id = $1",
                        "/* disown_certificates */
                         UPDATE certificates SET created_by_service_account_id = NULL
                         WHERE created_by_service_account_id = $1",
                        "/* keep_audit_id */
                         UPDATE audit_logs SET original_service_account_id = service_account_id, service_account_id = NULL
                         WHERE service_account_id = $1",
                    ] {
                        tx.execute(sql, &[id.into()]).await?;
                    }
                    let sql = "/* delete_service_account */ DELETE FROM service_accounts WHERE id = $1";
                    if tx.execute(sql, &[id.into()]).await? == 0 {
                        return Err(StoreError::Gone);
                    }
                    audit::record(tx, &audit, Some(id.0)).await
                })
            })
            .await
    }

    /// Records a token of a service account.
    pub async fn create_service_account_token(
        &self,
        account: ServiceAccountId,
        new: NewToken,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<ServiceAccountToken, StoreError> {
        let sql = "/* create_service_account_token */
                   INSERT INTO service_account_tokens
                       (id, service_account_id, public_id, digest, pepper_version, name, created_at, expires_at, revoked)
                   VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8)";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let id = ServiceAccountTokenId(tx.next_id(Table::ServiceAccountTokens).await?);
                    let values: [Value; 8] = [
                        id.into(),
                        account.into(),
                        new.public_id.as_str().into(),
                        new.digest.into(),
                        new.name.as_deref().into(),
                        now.into(),
                        new.expires_at.into(),
                        false.into(),
                    ];
                    tx.execute(sql, &values).await?;
                    audit::record(tx, &audit, Some(account.0)).await?;
                    Ok(ServiceAccountToken {
                        id,
                        public_id: new.public_id,
                        name: new.name,
                        created_at: now,
                        last_used_at: None,
                        expires_at: new.expires_at,
                        revoked: false,
                    })
                })
            })
            .await
    }

    /// The tokens of a service account, in the order in which they were made.
    pub async fn service_account_tokens(
        &self,
        account: ServiceAccountId,
    ) -> Result<Vec<ServiceAccountToken>, StoreError> {
        let sql = "/* service_account_tokens */
                   SELECT id, public_id, name, created_at, last_used_at, expires_at, revoked
                   FROM service_account_tokens WHERE service_account_id = $1 ORDER BY created_at, id";
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = tx.rows(sql, &[account.into()]).await?;
                    rows.into_iter().map(|mut row| token(&mut row)).collect()
                })
            })
            .await
    }

    /// Revokes a token of this service account; false if it has no such token. Of one that was revoked before
    /// there is no second entry.
    pub async fn revoke_service_account_token(
        &self,
        account: ServiceAccountId,
        id: ServiceAccountTokenId,
        mut audit: NewAudit,
    ) -> Result<bool, StoreError> {
        let exists = "/* service_account_token */
                      SELECT id FROM service_account_tokens WHERE id = $1 AND service_account_id = $2";
        let revoke = "/* revoke_service_account_token */
                      UPDATE service_account_tokens SET revoked = $3, revoked_at = $4
                      WHERE id = $1 AND service_account_id = $2 AND revoked <> $3";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    if tx.row(exists, &[id.into(), account.into()]).await?.is_none() {
                        return Ok(false);
                    }
                    let values = [id.into(), account.into(), true.into(), audit.at.into()];
                    if tx.execute(revoke, &values).await? > 0 {
                        audit::record(tx, &audit, Some(account.0)).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    /// The token with this public id, and whose it is.
    pub async fn service_account_token(&self, public_id: &str) -> Result<Option<TokenRow>, StoreError> {
        let sql = select_accounts!(
            "token_by_public_id",
            ", t.id, t.public_id, t.name, t.created_at, t.last_used_at, t.expires_at, t.revoked, t.digest
             FROM service_account_tokens t JOIN service_accounts s ON s.id = t.service_account_id
             WHERE t.public_id = $1"
        );
        let public_id = public_id.to_owned();
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let Some(mut row) = tx.row(sql, &[public_id.into()]).await? else { return Ok(None) };
                    let account = account(&mut row)?;
                    Ok(Some(TokenRow { account, token: token(&mut row)?, digest: row.next()? }))
                })
            })
            .await
    }

    /// Replaces the digest of a token, unless somebody else did meanwhile.
    pub async fn replace_token_digest(
        &self,
        id: ServiceAccountTokenId,
        old: String,
        new: String,
    ) -> Result<(), StoreError> {
        let sql = "/* replace_token_digest */ UPDATE service_account_tokens SET digest = $3 WHERE id = $1 AND digest = $2";
        self.db
            .write(move |tx| {
                Box::pin(async move { tx.execute(sql, &[id.into(), old.into(), new.into()]).await.map(drop) })
            })
            .await
    }

    /// Notes when tokens were last used: in the order of their ids, so that of two servers neither waits for the other.
    pub async fn note_token_uses(
        &self,
        mut uses: Vec<(ServiceAccountTokenId, Timestamp)>,
    ) -> Result<(), StoreError> {
        let sql = "/* note_token_use */
                   UPDATE service_account_tokens SET last_used_at = $2
                   WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2 OR last_used_at > $3)";
        uses.sort_unstable_by_key(|(id, _)| id.0);
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    // What was noted by a clock that was ahead is replaced.
                    let believed = |at: Timestamp| at.plus_seconds(CLOCKS_DIFFER_SECONDS);
                    let rows: Vec<[Value; 3]> = uses
                        .into_iter()
                        .map(|(id, at)| [id.into(), at.into(), believed(at).into()])
                        .collect();
                    tx.execute_many(sql, &rows).await.map(drop)
                })
            })
            .await
    }
}

async fn one(tx: &mut Tx, id: ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
    let sql = select_accounts!("service_account", "FROM service_accounts s WHERE s.id = $1");
    tx.row(sql, &[id.into()]).await?.as_mut().map(account).transpose()
}

fn account(row: &mut Row) -> Result<ServiceAccount, StoreError> {
    Ok(ServiceAccount {
        id: row.next()?,
        name: row.next()?,
        description: row.next()?,
        organization_id: row.next()?,
        created_by_user_id: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
        disabled_at: row.next()?,
        flags: flags(row)?,
    })
}

fn token(row: &mut Row) -> Result<ServiceAccountToken, StoreError> {
    Ok(ServiceAccountToken {
        id: row.next()?,
        public_id: row.next()?,
        name: row.next()?,
        created_at: row.next()?,
        last_used_at: row.next()?,
        expires_at: row.next()?,
        revoked: row.next()?,
    })
}
