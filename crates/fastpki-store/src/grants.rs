//! What a change was permitted for, looked at again where it is written: rights are read when a request begins, and may
//! be others by the time that a body has arrived or a key is made.
//!
//! Locks are taken in one order: tables, then who acts, then what it is done to.

use fastpki_types::{
    CaId, CertificateId, Flags, IssuanceRules, OrganizationId, ServiceAccountId, ServiceAccountTokenId,
    Timestamp, UserId, UserRole,
};

use crate::{
    Store,
    crls::IS_REVOKED,
    db::{Row, Table, Tx, Value},
    error::StoreError,
    policies,
    users::flags,
};

/// What a change was permitted for, as it was then. Where it is otherwise by now, nothing is written.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// Who acts; none for operators, strangers, and the program itself.
    pub standing: Option<Standing>,
    /// What it is done to.
    pub held: Vec<Held>,
}

/// What a principal was when its rights were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A user, who must be active still.
    User {
        /// Who.
        id: UserId,
        /// What the user is to the system.
        role: UserRole,
        /// The organization the user belongs to.
        organization_id: Option<OrganizationId>,
        /// What the user may do beyond reading.
        flags: Flags,
        /// Every token issued before is dead; another instant by now means that theirs may be, too.
        tokens_invalidated_at: Option<Timestamp>,
        /// How often their tokens were invalidated.
        token_generation: i32,
        /// The id of the access token, which must not be signed out.
        access_token: Option<String>,
    },
    /// A service account, which must not be disabled.
    ServiceAccount {
        /// Which.
        id: ServiceAccountId,
        /// The organization it belongs to.
        organization_id: Option<OrganizationId>,
        /// What it may do beyond reading.
        flags: Flags,
        /// The token that it came with, which must not be revoked.
        token: Option<ServiceAccountTokenId>,
    },
}

/// What something was when the right to it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A CA.
    Authority {
        /// Which.
        id: CaId,
        /// Whose it is.
        organization_id: Option<OrganizationId>,
        /// Whether it issues certificates that are not CAs, where that matters.
        allow_leaf_certs: Option<bool>,
        /// Whether it is to be changed.
        lock: Lock,
    },
    /// A certificate.
    Certificate {
        /// Which.
        id: CertificateId,
        /// Whose it is.
        organization_id: Option<OrganizationId>,
        /// Whether it is to be changed.
        lock: Lock,
    },
    /// A service account.
    ServiceAccount {
        /// Which.
        id: ServiceAccountId,
        /// Whose it is.
        organization_id: OrganizationId,
    },
    /// A user.
    User {
        /// Who.
        id: UserId,
        /// What the user is to the system.
        role: UserRole,
        /// The organization the user belongs to.
        organization_id: Option<OrganizationId>,
    },
    /// A user who has created no CA and no certificate that belongs to another organization than this, or to none: an admin
    /// of this one comes to reach what such a user reaches.
    OwnsNothingElse(UserId, OrganizationId),
    /// The issuance policy that a certificate was checked by.
    Policy(ServiceAccountId, Box<IssuanceRules>),
    /// A CA that is not on its issuer's CRL.
    Unrevoked {
        /// The issuer.
        issuer: CaId,
        /// The serial number of the CA in lower-case hex.
        serial_number: String,
    },
}

/// How far others are kept from a row until the change is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Others may rely on it too.
    Share,
    /// It is going to be changed.
    Update,
}

/// A question to the database, and what its answer must be.
struct Check<'g> {
    sql: String,
    values: Vec<Value>,
    judge: Judge<'g>,
}

type Judge<'g> = Box<dyn FnOnce(Option<Row>) -> Result<(), StoreError> + Send + 'g>;

impl Store {
    /// Fails where somebody is not what they were, without keeping it so.
    pub async fn check_standing(&self, standing: Standing) -> Result<(), StoreError> {
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let checks = standing.checks(tx, None);
                    ask(tx, checks).await
                })
            })
            .await
    }
}

/// Fails where what was permitted is not so any more, and keeps it as it is until this unit of work ends. On PostgreSQL
/// all is asked at once.
pub(crate) async fn check(tx: &mut Tx, grant: &Grant) -> Result<(), StoreError> {
    let checks = grant.checks(tx);
    ask(tx, checks).await
}

async fn ask(tx: &mut Tx, checks: Vec<Check<'_>>) -> Result<(), StoreError> {
    if checks.is_empty() {
        return Ok(());
    }
    let mut judges = Vec::with_capacity(checks.len());
    let mut questions = Vec::with_capacity(checks.len());
    for check in checks {
        questions.push((check.sql, check.values));
        judges.push(check.judge);
    }
    let answers = tx.ask(&questions).await?;
    for (judge, rows) in judges.into_iter().zip(answers) {
        judge(rows.into_iter().next())?;
    }
    Ok(())
}

impl Grant {
    fn checks(&self, tx: &Tx) -> Vec<Check<'_>> {
        let mut checks: Vec<Check<'_>> = self.held.iter().filter_map(|held| held.table_lock(tx)).collect();
        let actor = match self.standing {
            Some(Standing::User { id, .. }) => Some(id),
            Some(Standing::ServiceAccount { .. }) | None => None,
        };
        // Two admins who change each other: both begin with the lower id.
        let (first, then): (Vec<&Held>, Vec<&Held>) = self.held.iter().partition(|held| match held {
            Held::User { id, .. } => actor.is_some_and(|actor| *id < actor),
            _ => false,
        });
        checks.extend(first.into_iter().map(|held| held.check(tx)));
        if let Some(standing) = &self.standing {
            let is_changed = |held: &Held| matches!(held, Held::User { id, .. } if Some(*id) == actor);
            let lock = if self.held.iter().any(is_changed) { Lock::Update } else { Lock::Share };
            checks.extend(standing.checks(tx, Some(lock)));
        }
        checks.extend(then.into_iter().map(|held| held.check(tx)));
        checks
    }
}

impl Standing {
    /// Without a lock it only looks: that needs neither a transaction nor a database that can be written to, and waits for
    /// nobody.
    fn checks(&self, tx: &Tx, lock: Option<Lock>) -> Vec<Check<'_>> {
        let select = |sql: &str| lock.map_or_else(|| sql.to_owned(), |lock| tx.locking(lock, sql));
        match self {
            Self::User {
                id,
                role,
                organization_id,
                flags: allowed,
                tokens_invalidated_at,
                token_generation,
                access_token,
            } => {
                let user = Check {
                    sql: select(
                        "/* standing_user */
                         SELECT is_active, tokens_invalidated_at, COALESCE(token_generation, 0), role, organization_id,
                                can_create_ca, can_create_cert, can_revoke_cert, can_export_private_key, can_delete_ca
                         FROM users WHERE id = $1",
                    ),
                    values: vec![(*id).into()],
                    judge: Box::new(move |row| {
                        let mut row = row.ok_or(StoreError::NoStanding)?;
                        let (is_active, invalidated): (bool, Option<Timestamp>) = (row.next()?, row.next()?);
                        let generation: i32 = row.next()?;
                        if !is_active || invalidated != *tokens_invalidated_at || generation != *token_generation {
                            return Err(StoreError::NoStanding);
                        }
                        let role_now: UserRole = row.named()?;
                        let organization_now: Option<OrganizationId> = row.next()?;
                        let same = role_now == *role
                            && organization_now == *organization_id
                            && flags(&mut row)? == *allowed;
                        same.then_some(()).ok_or(StoreError::RightsChanged)
                    }),
                };
                // After the row: a sign-out has it locked until the token is on the list.
                let token = access_token.as_deref().map(|jti| Check {
                    sql: "/* is_signed_out */ SELECT id FROM blocklisted_tokens WHERE jti = $1".into(),
                    values: vec![jti.into()],
                    judge: Box::new(|row| row.is_none().then_some(()).ok_or(StoreError::NoStanding)),
                });
                [user].into_iter().chain(token).collect()
            }
            Self::ServiceAccount { id, organization_id, flags: allowed, token } => {
                let account = Check {
                    sql: select(
                        "/* standing_service_account */
                         SELECT disabled_at, organization_id, can_create_ca, can_create_cert, can_revoke_cert,
                                can_export_private_key, can_delete_ca
                         FROM service_accounts WHERE id = $1",
                    ),
                    values: vec![(*id).into()],
                    judge: Box::new(move |row| {
                        let mut row = row.ok_or(StoreError::NoStanding)?;
                        if row.next::<Option<Timestamp>>()?.is_some() {
                            return Err(StoreError::NoStanding);
                        }
                        let organization_now: Option<OrganizationId> = row.next()?;
                        let same = organization_now == *organization_id && flags(&mut row)? == *allowed;
                        same.then_some(()).ok_or(StoreError::RightsChanged)
                    }),
                };
                // After the row: the revocation of a token has its account locked.
                let token = token.map(|token| Check {
                    sql: "/* is_live_token */
                          SELECT id FROM service_account_tokens WHERE id = $1 AND service_account_id = $2 AND revoked = $3"
                        .into(),
                    values: vec![token.into(), (*id).into(), false.into()],
                    judge: Box::new(|row| row.map(drop).ok_or(StoreError::NoStanding)),
                });
                [account].into_iter().chain(token).collect()
            }
        }
    }
}

impl Held {
    /// The lock of a table that a change of this row takes later: it comes before those of rows, since there are changes that
    /// keep every other writer out of the table.
    fn table_lock(&self, tx: &Tx) -> Option<Check<'static>> {
        let table = match self {
            Self::Authority { lock: Lock::Update, .. } => Table::Authorities,
            Self::User { .. } => Table::Users,
            Self::Authority { .. }
            | Self::Certificate { .. }
            | Self::ServiceAccount { .. }
            | Self::OwnsNothingElse(..)
            | Self::Policy(..)
            | Self::Unrevoked { .. } => return None,
        };
        let sql = tx.will_write_sql(table)?;
        Some(Check { sql, values: Vec::new(), judge: Box::new(|_| Ok(())) })
    }

    fn check(&self, tx: &Tx) -> Check<'_> {
        match self {
            Self::Authority { id, organization_id, allow_leaf_certs, lock } => Check {
                sql: tx.locking(
                    *lock,
                    "/* held_authority */
                     SELECT organization_id, allow_leaf_certs FROM certificate_authorities WHERE id = $1",
                ),
                values: vec![(*id).into()],
                judge: Box::new(move |row| {
                    let mut row = row.ok_or(StoreError::Gone)?;
                    let (owner, leaves): (Option<OrganizationId>, bool) = (row.next()?, row.next()?);
                    unchanged(owner == *organization_id && allow_leaf_certs.is_none_or(|was| was == leaves))
                }),
            },
            Self::Certificate { id, organization_id, lock } => Check {
                sql: tx.locking(
                    *lock,
                    "/* held_certificate */ SELECT organization_id FROM certificates WHERE id = $1",
                ),
                values: vec![(*id).into()],
                judge: Box::new(move |row| {
                    let owner: Option<OrganizationId> = row.ok_or(StoreError::Gone)?.next()?;
                    unchanged(owner == *organization_id)
                }),
            },
            Self::ServiceAccount { id, organization_id } => Check {
                sql: tx.locking(
                    Lock::Update,
                    "/* held_service_account */ SELECT organization_id FROM service_accounts WHERE id = $1",
                ),
                values: vec![(*id).into()],
                judge: Box::new(move |row| {
                    let owner: OrganizationId = row.ok_or(StoreError::Gone)?.next()?;
                    unchanged(owner == *organization_id)
                }),
            },
            Self::User { id, role, organization_id } => Check {
                sql: tx.locking(
                    Lock::Update,
                    "/* held_user */ SELECT role, organization_id FROM users WHERE id = $1",
                ),
                values: vec![(*id).into()],
                judge: Box::new(move |row| {
                    let mut row = row.ok_or(StoreError::Gone)?;
                    let role_now: UserRole = row.named()?;
                    let organization_now: Option<OrganizationId> = row.next()?;
                    unchanged(role_now == *role && organization_now == *organization_id)
                }),
            },
            // After the user's row: who creates something has it locked.
            Self::OwnsNothingElse(user, organization) => Check {
                sql: OWNS_ELSEWHERE.into(),
                values: vec![(*user).into(), (*organization).into()],
                judge: Box::new(|row| row.is_none().then_some(()).ok_or(StoreError::OwnsElsewhere)),
            },
            Self::Policy(account, rules) => Check {
                sql: policies::ONE.into(),
                values: vec![(*account).into()],
                judge: Box::new(move |row| {
                    let policy = row.map(policies::policy).transpose()?;
                    let same = policy.is_some_and(|policy| policy.rules == **rules);
                    same.then_some(()).ok_or(StoreError::PolicyChanged)
                }),
            },
            Self::Unrevoked { issuer, serial_number } => Check {
                sql: IS_REVOKED.into(),
                values: vec![serial_number.as_str().into(), (*issuer).into()],
                judge: Box::new(|row| row.is_none().then_some(()).ok_or(StoreError::IssuerRevoked)),
            },
        }
    }
}

/// Three places of the index are looked at, however much the user owns within the organization.
const OWNS_ELSEWHERE: &str = "/* owns_elsewhere */
    SELECT 1
    WHERE EXISTS (SELECT 1 FROM certificate_authorities a
                  WHERE a.created_by_user_id = $1 AND a.organization_id IS DISTINCT FROM $2)
       OR EXISTS (SELECT 1 FROM certificates c WHERE c.created_by_user_id = $1 AND c.organization_id IS NULL)
       OR EXISTS (SELECT 1 FROM certificates c WHERE c.created_by_user_id = $1 AND c.organization_id < $2)
       OR EXISTS (SELECT 1 FROM certificates c WHERE c.created_by_user_id = $1 AND c.organization_id > $2)";

fn unchanged(same: bool) -> Result<(), StoreError> {
    if same { Ok(()) } else { Err(StoreError::Gone) }
}
