//! Users.

use fastpki_types::{Flags, OrganizationId, Timestamp, User, UserId, UserRole};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Row, Table, Tx, Value},
    error::StoreError,
};

/// A bcrypt hash of a password. Shows nothing in `Debug`.
#[derive(Clone)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A user with what only the engine sees.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// What the API shows.
    pub user: User,
    /// What a password is checked against.
    pub password: PasswordHash,
    /// Every token issued before is dead.
    pub tokens_invalidated_at: Option<Timestamp>,
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Unique over all users.
    pub username: String,
    /// Unique over all users.
    pub email: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// What the user is to the system.
    pub role: UserRole,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// The organization the user belongs to.
    pub organization_id: Option<OrganizationId>,
    /// What the user may do beyond reading.
    pub flags: Flags,
    /// Fails with [`StoreError::NotFirstUser`] unless there is no user yet.
    pub must_be_first: bool,
}

macro_rules! select_users {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */
             SELECT u.username, u.email, u.role, u.is_active, u.organization_id,
                    u.can_create_ca, u.can_create_cert, u.can_revoke_cert, u.can_export_private_key, u.can_delete_ca,
                    u.id, u.created_at, u.updated_at, u.hashed_password, u.tokens_invalidated_at ",
            $rest
        )
    };
}

impl Store {
    /// Creates a user; the name or the e-mail address may be taken.
    pub async fn create_user(
        &self,
        new: NewUser,
        now: Timestamp,
        audit: NewAudit,
    ) -> Result<User, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    if new.must_be_first {
                        tx.lock_table(Table::Users).await?;
                        if tx.row("/* any_user */ SELECT id FROM users LIMIT 1", &[]).await?.is_some() {
                            return Err(StoreError::NotFirstUser);
                        }
                    }
                    let id = UserId(tx.next_id(Table::Users).await?);
                    tx.execute(
                        "/* create_user */
                         INSERT INTO users (id, username, email, hashed_password, role, is_active, created_at, updated_at,
                                            organization_id, can_create_ca, can_create_cert, can_revoke_cert,
                                            can_export_private_key, can_delete_ca)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12, $13)",
                        &[
                            id.into(),
                            new.username.as_str().into(),
                            new.email.as_str().into(),
                            new.password.0.as_str().into(),
                            Value::named(new.role),
                            new.is_active.into(),
                            now.into(),
                            new.organization_id.into(),
                            new.flags.can_create_ca.into(),
                            new.flags.can_create_cert.into(),
                            new.flags.can_revoke_cert.into(),
                            new.flags.can_export_private_key.into(),
                            new.flags.can_delete_ca.into(),
                        ],
                    )
                    .await?;
                    audit::record(tx, &audit, Some(id.0)).await?;
                    Ok(User {
                        username: new.username,
                        email: new.email,
                        role: new.role,
                        is_active: new.is_active,
                        organization_id: new.organization_id,
                        flags: new.flags,
                        id,
                        created_at: now,
                        updated_at: now,
                    })
                })
            })
            .await
    }

    /// Whether there is any user.
    pub async fn any_user(&self) -> Result<bool, StoreError> {
        let sql = "/* any_user */ SELECT id FROM users LIMIT 1";
        self.db.read(|tx| Box::pin(async move { Ok(tx.row(sql, &[]).await?.is_some()) })).await
    }

    /// The user with this id.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        self.db.read(move |tx| Box::pin(async move { one(tx, id).await })).await
    }

    /// The user with this name.
    pub async fn user_by_name(&self, username: &str) -> Result<Option<UserRow>, StoreError> {
        let sql = select_users!("user_by_name", "FROM users u WHERE u.username = $1");
        let username = username.to_owned();
        self.db
            .read(move |tx| {
                Box::pin(
                    async move { tx.row(sql, &[username.into()]).await?.as_mut().map(user_row).transpose() },
                )
            })
            .await
    }

    /// The user that an access token names, and whether that token was signed out.
    pub async fn user_of_token(
        &self,
        id: UserId,
        jti: Option<String>,
    ) -> Result<Option<(UserRow, bool)>, StoreError> {
        let sql = select_users!(
            "user_of_token",
            ", EXISTS (SELECT 1 FROM blocklisted_tokens b WHERE b.jti = $2) FROM users u WHERE u.id = $1"
        );
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let Some(mut row) = tx.row(sql, &[id.into(), jti.into()]).await? else { return Ok(None) };
                    Ok(Some((user_row(&mut row)?, row.next()?)))
                })
            })
            .await
    }

    /// Users by id.
    pub async fn users(&self, skip: i64, limit: i64) -> Result<Vec<User>, StoreError> {
        let sql = select_users!("users", "FROM users u ORDER BY u.id LIMIT $1 OFFSET $2");
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = tx.rows(sql, &[limit.into(), skip.into()]).await?;
                    rows.into_iter().map(|mut row| Ok(user_row(&mut row)?.user)).collect()
                })
            })
            .await
    }
}

/// The user with this id, within a change.
pub(crate) async fn one(tx: &mut Tx, id: UserId) -> Result<Option<UserRow>, StoreError> {
    let sql = select_users!("user", "FROM users u WHERE u.id = $1");
    tx.row(sql, &[id.into()]).await?.as_mut().map(user_row).transpose()
}

fn user_row(row: &mut Row) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        user: User {
            username: row.next()?,
            email: row.next()?,
            role: row.named()?,
            is_active: row.next()?,
            organization_id: row.next()?,
            flags: Flags {
                can_create_ca: row.next()?,
                can_create_cert: row.next()?,
                can_revoke_cert: row.next()?,
                can_export_private_key: row.next()?,
                can_delete_ca: row.next()?,
            },
            id: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        },
        password: PasswordHash(row.next()?),
        tokens_invalidated_at: row.next()?,
    })
}
