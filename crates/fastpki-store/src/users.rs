//! Users.

use fastpki_types::{Flags, FlagsUpdate, OrganizationId, Timestamp, User, UserId, UserRole};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Patience, Row, Table, Tx, Value},
    error::StoreError,
    jobs::CLOCKS_DIFFER_SECONDS,
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
    /// The organization in which alone the password is good: an admin of it knows it, perhaps.
    pub password_of: Option<OrganizationId>,
    /// Every token issued before is dead, as far as it does not say its generation.
    pub tokens_invalidated_at: Option<Timestamp>,
    /// How often all tokens were invalidated: those of other generations are dead.
    pub token_generation: i32,
    /// Whether that counts every invalidation; FastPKI 0.4 sets the time alone.
    pub generation_holds: bool,
}

impl UserRow {
    /// Whether the right password lets the user in: one that an admin may know does only where that admin has a say.
    pub fn password_is_good(&self) -> bool {
        let User { organization_id, role, .. } = self.user;
        self.password_of.is_none_or(|only| organization_id == Some(only) && role != UserRole::Superuser)
    }
}

/// What a username looks like: two that have any of these in common pass for each other.
#[derive(Clone, Debug)]
pub struct Skeletons {
    /// Of the name as it is written.
    pub as_written: String,
    /// Of the name in small letters.
    pub in_small_letters: String,
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Unique over all users.
    pub username: String,
    /// What the name looks like: no user's may look so.
    pub skeletons: Skeletons,
    /// Unique over all users.
    pub email: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// The organization in which alone the password is good.
    pub password_of: Option<OrganizationId>,
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

/// What of a user is to be changed: what is not given stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Unique over all users.
    pub email: Option<String>,
    /// The hash of a new password; all tokens die.
    pub password: Option<PasswordHash>,
    /// The organization in which alone the password is good, or none for everywhere; what is not given stays.
    pub password_of: Option<Option<OrganizationId>>,
    /// What the user is to the system.
    pub role: Option<UserRole>,
    /// Whether the user may sign in; with false all tokens die.
    pub is_active: Option<bool>,
    /// The organization the user is to belong to, or none; all tokens of who leaves one die.
    pub organization: Option<Option<OrganizationId>>,
    /// What the user may do beyond reading.
    pub flags: FlagsUpdate,
}

macro_rules! select_users {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */
             SELECT u.username, u.email, u.role, u.is_active, u.organization_id,
                    u.can_create_ca, u.can_create_cert, u.can_revoke_cert, u.can_export_private_key, u.can_delete_ca,
                    u.id, u.created_at, u.updated_at, u.hashed_password, u.tokens_invalidated_at,
                    COALESCE(u.token_generation, 0), u.tokens_invalidated_at IS NOT DISTINCT FROM u.generation_mark,
                    u.password_of_organization_id ",
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
        mut audit: NewAudit,
    ) -> Result<User, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    // Of two names that pass for each other one must see the other.
                    tx.lock_table(Table::Users).await?;
                    audit.admit(tx).await?;
                    let any = "/* any_user */ SELECT id FROM users LIMIT 1";
                    if new.must_be_first && tx.row(any, &[]).await?.is_some() {
                        return Err(StoreError::NotFirstUser);
                    }
                    let alike = "/* lookalike */
                                 SELECT username FROM users
                                 WHERE (name_skeleton IN ($1, $2) OR small_name_skeleton IN ($1, $2)) AND username <> $3
                                 LIMIT 1";
                    let Skeletons { as_written, in_small_letters } = &new.skeletons;
                    let (as_written, in_small_letters) = (as_written.as_str(), in_small_letters.as_str());
                    let values = [as_written.into(), in_small_letters.into(), new.username.as_str().into()];
                    if let Some(mut row) = tx.row(alike, &values).await? {
                        return Err(StoreError::Lookalike(row.next()?));
                    }
                    let id = UserId(tx.next_id(Table::Users).await?);
                    tx.execute(
                        "/* create_user */
                         INSERT INTO users (id, username, email, hashed_password, role, is_active, created_at, updated_at,
                                            organization_id, can_create_ca, can_create_cert, can_revoke_cert,
                                            can_export_private_key, can_delete_ca, password_of_organization_id,
                                            name_skeleton, small_name_skeleton)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
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
                            new.password_of.into(),
                            as_written.into(),
                            in_small_letters.into(),
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

    /// Notes what the names look like of users whom FastPKI 0.4 created.
    pub async fn note_skeletons(&self, of: fn(&str) -> Skeletons) -> Result<(), StoreError> {
        let find = "/* users_without_skeleton */
                    SELECT id, username FROM users WHERE id > $1 AND name_skeleton IS NULL ORDER BY id LIMIT $2";
        let note = "/* note_skeletons */
                    UPDATE users SET name_skeleton = $2, small_name_skeleton = $3 WHERE id = $1";
        let mut after = UserId(0);
        loop {
            let page: Vec<(UserId, String)> = self
                .db
                .scan(move |tx| {
                    Box::pin(async move {
                        let rows = tx.rows(find, &[after.into(), PAGE.into()]).await?;
                        rows.into_iter().map(|mut row| Ok((row.next()?, row.next()?))).collect()
                    })
                })
                .await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let rows: Vec<_> = (page.iter())
                .map(|(id, name)| (*id, of(name)))
                .map(|(id, it)| [id.into(), it.as_written.into(), it.in_small_letters.into()])
                .collect();
            self.db.write(move |tx| Box::pin(async move { tx.execute_many(note, &rows).await })).await?;
        }
    }

    /// Changes a user who still has the role and the organization that `was` has: whoever may change the user then
    /// may not now, perhaps.
    pub async fn update_user(
        &self,
        was: User,
        change: UserChange,
        now: Timestamp,
        mut audits: Vec<NewAudit>,
    ) -> Result<User, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let may_demote = change.role.is_some() || change.is_active.is_some();
                    if may_demote {
                        tx.lock_table(Table::Users).await?;
                    }
                    for audit in &mut audits {
                        audit.admit(tx).await?;
                    }
                    update(tx, &was, &change, now).await?;
                    if may_demote {
                        check_superuser_left(tx).await?;
                    }
                    for audit in &audits {
                        audit::record(tx, audit, Some(was.id.0)).await?;
                    }
                    let changed = one(tx, was.id).await?.ok_or(StoreError::Gone)?;
                    let left =
                        was.organization_id.is_some() && was.organization_id != changed.user.organization_id;
                    // Sessions are no better than the password that began them.
                    if left
                        || change.password.is_some()
                        || change.is_active == Some(false)
                        || !changed.password_is_good()
                    {
                        kill_tokens(tx, was.id, now).await?;
                    }
                    Ok(changed.user)
                })
            })
            .await
    }

    /// Deletes a user with their tokens. What they had created stays, as nobody's; the audit log keeps their name.
    pub async fn delete_user(&self, id: UserId, mut audit: NewAudit) -> Result<(), StoreError> {
        self.db
            .with(Patience::ManyRows)
            .write(move |tx| {
                Box::pin(async move {
                    // What creates a CA takes this table before its creator.
                    tx.will_write(Table::Authorities).await?;
                    tx.lock_table(Table::Users).await?;
                    audit.admit(tx).await?;
                    for sql in [
                        "/* delete_refresh_tokens */ DELETE FROM refresh_tokens WHERE user_id = $1",
                        "/* disown_authorities */
                         UPDATE certificate_authorities SET created_by_user_id = NULL WHERE created_by_user_id = $1",
                        "/* disown_certificates */
                         UPDATE certificates SET created_by_user_id = NULL WHERE created_by_user_id = $1",
                        "/* disown_service_accounts */
                         UPDATE service_accounts SET created_by_user_id = NULL WHERE created_by_user_id = $1",
                        "/* keep_audit_id */
                         UPDATE audit_logs SET original_user_id = user_id, user_id = NULL WHERE user_id = $1",
                    ] {
                        tx.execute(sql, &[id.into()]).await?;
                    }
                    if tx.execute("/* delete_user */ DELETE FROM users WHERE id = $1", &[id.into()]).await? == 0 {
                        return Err(StoreError::Gone);
                    }
                    check_superuser_left(tx).await?;
                    audit::record(tx, &audit, Some(id.0)).await
                })
            })
            .await
    }

    /// Whether there is any user.
    pub async fn any_user(&self) -> Result<bool, StoreError> {
        let sql = "/* any_user */ SELECT id FROM users LIMIT 1";
        self.db.read(|tx| Box::pin(async move { Ok(tx.row(sql, &[]).await?.is_some()) })).await
    }

    /// Whether there is a superuser who may sign in.
    pub async fn any_active_superuser(&self) -> Result<bool, StoreError> {
        let left = self.db.read(|tx| Box::pin(check_superuser_left(tx))).await;
        match left {
            Ok(()) => Ok(true),
            Err(StoreError::LastSuperuser) => Ok(false),
            Err(error) => Err(error),
        }
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

    /// The users of an organization, by id.
    pub async fn members(&self, organization: OrganizationId) -> Result<Vec<User>, StoreError> {
        let sql = select_users!("members", "FROM users u WHERE u.organization_id = $1 ORDER BY u.id");
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = tx.rows(sql, &[organization.into()]).await?;
                    rows.into_iter().map(|mut row| Ok(user_row(&mut row)?.user)).collect()
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

/// The user with this id, whom nobody else changes until this unit of work ends.
pub(crate) async fn locked(tx: &mut Tx, id: UserId) -> Result<Option<UserRow>, StoreError> {
    let select = select_users!("locked_user", "FROM users u WHERE u.id = $1");
    let sql = format!("{select}{}", tx.for_update());
    tx.row(&sql, &[id.into()]).await?.as_mut().map(user_row).transpose()
}

/// The generation of a user's next token. An invalidation by FastPKI 0.4 is counted first, so that the token is of none
/// that it ended.
pub(crate) async fn token_generation(tx: &mut Tx, row: &UserRow) -> Result<i32, StoreError> {
    if row.generation_holds {
        return Ok(row.token_generation);
    }
    let sql = "/* count_invalidation */
               UPDATE users SET token_generation = COALESCE(token_generation, 0) + 1, generation_mark = tokens_invalidated_at WHERE id = $1";
    tx.execute(sql, &[row.user.id.into()]).await?;
    Ok(row.token_generation + 1)
}

/// The user with this id, within a change.
async fn one(tx: &mut Tx, id: UserId) -> Result<Option<UserRow>, StoreError> {
    let sql = select_users!("user", "FROM users u WHERE u.id = $1");
    tx.row(sql, &[id.into()]).await?.as_mut().map(user_row).transpose()
}

async fn update(tx: &mut Tx, was: &User, change: &UserChange, now: Timestamp) -> Result<(), StoreError> {
    let sql = "/* update_user */
               UPDATE users
               SET email = COALESCE($4, email), hashed_password = COALESCE($5, hashed_password), role = COALESCE($6, role),
                   is_active = COALESCE($7, is_active),
                   organization_id = CASE WHEN $8 THEN $9 ELSE organization_id END,
                   can_create_ca = COALESCE($10, can_create_ca), can_create_cert = COALESCE($11, can_create_cert),
                   can_revoke_cert = COALESCE($12, can_revoke_cert),
                   can_export_private_key = COALESCE($13, can_export_private_key),
                   can_delete_ca = COALESCE($14, can_delete_ca), updated_at = $15,
                   password_of_organization_id = CASE WHEN $16 THEN $17 ELSE password_of_organization_id END
               WHERE id = $1 AND role = $2 AND organization_id IS NOT DISTINCT FROM $3";
    let values = [
        was.id.into(),
        Value::named(was.role),
        was.organization_id.into(),
        change.email.as_deref().into(),
        change.password.as_ref().map(|hash| hash.0.as_str()).into(),
        change.role.map_or(Value::Null, Value::named),
        change.is_active.into(),
        change.organization.is_some().into(),
        change.organization.flatten().into(),
        change.flags.can_create_ca.into(),
        change.flags.can_create_cert.into(),
        change.flags.can_revoke_cert.into(),
        change.flags.can_export_private_key.into(),
        change.flags.can_delete_ca.into(),
        now.into(),
        change.password_of.is_some().into(),
        change.password_of.flatten().into(),
    ];
    if tx.execute(sql, &values).await? == 0 { Err(StoreError::Gone) } else { Ok(()) }
}

async fn check_superuser_left(tx: &mut Tx) -> Result<(), StoreError> {
    let sql = "/* superuser_left */ SELECT id FROM users WHERE role = $1 AND is_active = $2 LIMIT 1";
    let row = tx.row(sql, &[Value::named(UserRole::Superuser), true.into()]).await?;
    row.map(drop).ok_or(StoreError::LastSuperuser)
}

/// Makes every token of a user useless that was issued until now.
pub(crate) async fn kill_tokens(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<(), StoreError> {
    // The time is what FastPKI 0.4 goes by, and tokens of its: it never goes back, unless a clock that was ahead set it.
    let mark = "CASE WHEN tokens_invalidated_at BETWEEN $2 AND $3 THEN tokens_invalidated_at ELSE $2 END";
    let sql = format!(
        "/* invalidate_tokens */
         UPDATE users SET token_generation = COALESCE(token_generation, 0) + 1, tokens_invalidated_at = {mark}, generation_mark = {mark}
         WHERE id = $1"
    );
    let believed = now.plus_seconds(CLOCKS_DIFFER_SECONDS);
    tx.execute(&sql, &[user.into(), now.into(), believed.into()]).await?;
    let sql = "/* revoke_refresh_tokens */ UPDATE refresh_tokens SET revoked = $2 WHERE user_id = $1";
    tx.execute(sql, &[user.into(), true.into()]).await.map(drop)
}

/// The flags of a user or a service account, in the order of the columns.
pub(crate) fn flags(row: &mut Row) -> Result<Flags, StoreError> {
    Ok(Flags {
        can_create_ca: row.next()?,
        can_create_cert: row.next()?,
        can_revoke_cert: row.next()?,
        can_export_private_key: row.next()?,
        can_delete_ca: row.next()?,
    })
}

fn user_row(row: &mut Row) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        user: User {
            username: row.next()?,
            email: row.next()?,
            role: row.named()?,
            is_active: row.next()?,
            organization_id: row.next()?,
            flags: flags(row)?,
            id: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        },
        password: PasswordHash(row.next()?),
        tokens_invalidated_at: row.next()?,
        token_generation: row.next()?,
        generation_holds: row.next()?,
        password_of: row.next()?,
    })
}

/// Rows that are looked at in one go: a few milliseconds.
const PAGE: i64 = 500;
