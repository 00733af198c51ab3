//! Refresh tokens.

use fastpki_types::{Timestamp, UserId};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::Table,
    error::StoreError,
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
    /// Records that somebody signed in, and the refresh token they were given.
    pub async fn sign_in(
        &self,
        token: NewRefreshToken,
        now: Timestamp,
        audit: NewAudit,
    ) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
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
                    .await?;
                    audit::record(tx, &audit, None).await
                })
            })
            .await
    }

    /// Removes tokens that have ended: nobody can use them any more. Says how many there were.
    pub async fn sweep_tokens(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let mut swept = 0;
                    for sql in [
                        "/* sweep_refresh_tokens */ DELETE FROM refresh_tokens WHERE expires_at < $1",
                        "/* sweep_blocklisted_tokens */ DELETE FROM blocklisted_tokens WHERE exp < $1",
                    ] {
                        swept += tx.execute(sql, &[now.into()]).await?;
                    }
                    Ok(swept)
                })
            })
            .await
    }
}
