//! Refresh tokens.

use fastpki_types::{Timestamp, User, UserId};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Table, Tx},
    error::StoreError,
    users::{self, PasswordHash},
};

/// A refresh token to be stored.
#[derive(Clone, Debug)]
pub struct NewRefreshToken {
    /// Lower-case hex SHA-256 of the token.
    pub token_hash: String,
    /// Whose it is.
    pub user_id: UserId,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Store {
    /// Records that somebody signed in, and the refresh token they were given; gives the generation of the access token
    /// that goes with it. [`StoreError::Gone`] if they are not active any more, or their password is another by now than
    /// the one that was checked, or not good where they are.
    pub async fn sign_in(
        &self,
        token: NewRefreshToken,
        checked: PasswordHash,
        now: Timestamp,
        audit: NewAudit,
    ) -> Result<i32, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = users::locked(tx, token.user_id).await?.ok_or(StoreError::Gone)?;
                    if !row.user.is_active || row.password.0 != checked.0 || !row.password_is_good() {
                        return Err(StoreError::Gone);
                    }
                    insert(tx, &token, now).await?;
                    audit::record(tx, &audit, None).await?;
                    users::token_generation(tx, &row).await
                })
            })
            .await
    }

    /// Spends a refresh token for the next one, in one step: of two who try at once, one succeeds. Gives its
    /// user and the generation of the access token that goes with it; [`StoreError::Gone`] if it is unknown, spent or
    /// over, its user inactive, or it was made by a clock that was far ahead.
    pub async fn rotate_refresh_token(
        &self,
        old_hash: String,
        new_hash: String,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(User, i32), StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let owner = owner_of(tx, &old_hash).await?.ok_or(StoreError::Gone)?;
                    // Whoever kills all tokens of a user changes this row first: they see the new token, or this
                    // sees that the old one is dead.
                    let row = users::locked(tx, owner).await?.ok_or(StoreError::Gone)?;
                    let sql = "/* spend_refresh_token */
                               UPDATE refresh_tokens SET revoked = $2
                               WHERE token_hash = $1 AND revoked = $3 AND expires_at > $4 AND created_at <= $5";
                    // A clock that was ahead by more than a token's whole life dated it: it would live on and on.
                    let values = [old_hash.into(), true.into(), false.into(), now.into(), expires_at.into()];
                    if !row.user.is_active || tx.execute(sql, &values).await? == 0 {
                        return Err(StoreError::Gone);
                    }
                    insert(tx, &NewRefreshToken { token_hash: new_hash, user_id: owner, expires_at }, now)
                        .await?;
                    let generation = users::token_generation(tx, &row).await?;
                    Ok((row.user, generation))
                })
            })
            .await
    }

    /// Whose a refresh token is; `None` if it is unknown.
    pub async fn refresh_token_owner(&self, token_hash: String) -> Result<Option<UserId>, StoreError> {
        self.db.read(move |tx| Box::pin(async move { owner_of(tx, &token_hash).await })).await
    }

    /// Makes an access token, by its `jti`, and a refresh token useless.
    pub async fn sign_out(
        &self,
        user: UserId,
        access_token: Option<(String, Timestamp)>,
        refresh_hash: String,
        now: Timestamp,
        audit: NewAudit,
    ) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    // What the token is used for at this moment is written before, or fails.
                    users::locked(tx, user).await?.ok_or(StoreError::Gone)?;
                    if let Some((jti, ends)) = access_token {
                        let id = tx.next_id(Table::BlocklistedTokens).await?;
                        let sql = "/* blocklist_token */
                                   INSERT INTO blocklisted_tokens (id, jti, exp, created_at) VALUES ($1, $2, $3, $4)
                                   ON CONFLICT (jti) DO NOTHING";
                        tx.execute(sql, &[id.into(), jti.into(), ends.into(), now.into()]).await?;
                    }
                    let sql = "/* revoke_refresh_token */ UPDATE refresh_tokens SET revoked = $2 WHERE token_hash = $1";
                    tx.execute(sql, &[refresh_hash.into(), true.into()]).await?;
                    audit::record(tx, &audit, None).await
                })
            })
            .await
    }

    /// Makes every token of a user useless that was issued until now.
    pub async fn invalidate_tokens(
        &self,
        user: UserId,
        now: Timestamp,
        audit: NewAudit,
    ) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    users::kill_tokens(tx, user, now).await?;
                    audit::record(tx, &audit, Some(user.0)).await
                })
            })
            .await
    }
}

async fn owner_of(tx: &mut Tx, token_hash: &str) -> Result<Option<UserId>, StoreError> {
    let sql = "/* refresh_token_owner */ SELECT user_id FROM refresh_tokens WHERE token_hash = $1";
    tx.row(sql, &[token_hash.into()]).await?.map(|mut row| row.next()).transpose()
}

async fn insert(tx: &mut Tx, token: &NewRefreshToken, now: Timestamp) -> Result<(), StoreError> {
    let id = tx.next_id(Table::RefreshTokens).await?;
    tx.execute(
        "/* create_refresh_token */
         INSERT INTO refresh_tokens (id, token_hash, user_id, expires_at, revoked, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            id.into(),
            token.token_hash.as_str().into(),
            token.user_id.into(),
            token.expires_at.into(),
            false.into(),
            now.into(),
        ],
    )
    .await
    .map(drop)
}
