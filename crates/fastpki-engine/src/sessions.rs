//! Signing in, and knowing who is signed in.

use aws_lc_rs::digest;
use fastpki_store::{Grant, NewAudit, NewRefreshToken, StoreError, UserRow};
use fastpki_types::{AuditAction, Named, OrganizationId, Password, Timestamp, Token, UserId, UserRole};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Caller, Engine, Error, JwtAlgorithm, PrincipalId, service_accounts};

/// Makes and reads access tokens.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    header: Header,
    validation: Validation,
    access_minutes: u32,
    refresh_minutes: u32,
}

/// What an access token says. Only `sub`, `id` and `exp` are always there in tokens of the old system.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    id: i32,
    role: String,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// Ours: `iat` has whole seconds, too coarse to tell a token issued right after an invalidation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// Ours: how often all tokens of the user had been invalidated before.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "gen")]
    generation: Option<i32>,
}

/// Hashes passwords.
pub(crate) struct Passwords {
    cost: u32,
    /// What a password is checked against when there is no such user, so that it takes as long.
    nobody: String,
}

impl Engine {
    /// Signs a user in. An unknown name, a wrong password, one of another organization's admin and an inactive
    /// user are one and the same answer, and take the same time.
    pub async fn sign_in(&self, username: String, password: Password) -> Result<Token, Error> {
        let user = self.store.user_by_name(&username).await?;
        let hash = user
            .as_ref()
            .map_or_else(|| self.passwords.hash_of_nobody().to_owned(), |row| row.password.0.clone());
        let fits = self.lanes.sign_in(move || password_fits(&password, &hash)).await?;
        match user {
            Some(row) if fits && row.user.is_active && row.password_is_good() => {
                match self.open_session(row.clone()).await {
                    // The password was changed, or the user moved or made inactive, while it was checked.
                    Err(Error::Conflict(_)) => self.refuse_sign_in(username, Some(row)).await,
                    opened => opened,
                }
            }
            user => self.refuse_sign_in(username, user).await,
        }
    }

    async fn open_session(&self, row: UserRow) -> Result<Token, Error> {
        let UserRow { user, password, .. } = row;
        let refresh_token = self.new_refresh_token();
        let stored = NewRefreshToken {
            token_hash: sha256_hex(&refresh_token),
            user_id: user.id,
            expires_at: self.in_minutes(self.tokens.refresh_minutes),
        };
        let username = user.username.clone();
        let audit =
            self.session_audit(AuditAction::LoginSuccess, user.id, user.username, user.organization_id);
        let generation = self.store.sign_in(stored, password, audit.at, audit).await?;
        let access_token = self.access_token(user.id, &username, user.role, generation)?;
        Ok(Token { access_token, refresh_token: Some(refresh_token), token_type: "bearer".into() })
    }

    /// Spends a refresh token for the next pair.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Token, Error> {
        let next = self.new_refresh_token();
        let ends = self.in_minutes(self.tokens.refresh_minutes);
        let spent = self
            .store
            .rotate_refresh_token(sha256_hex(refresh_token), sha256_hex(&next), ends, self.now())
            .await;
        let (user, generation) = match spent {
            Err(StoreError::Gone) => {
                return Err(Error::Unauthenticated(
                    "the refresh token is not valid, spent or over: sign in again",
                ));
            }
            spent => spent?,
        };
        let access_token = self.access_token(user.id, &user.username, user.role, generation)?;
        Ok(Token { access_token, refresh_token: Some(next), token_type: "bearer".into() })
    }

    /// Fails where a caller may not be signed in any more, or has other rights: to be asked between the parts of an answer
    /// that takes its time.
    pub async fn check_standing(&self, caller: &Caller) -> Result<(), Error> {
        Ok(self.store.check_standing(caller.standing()).await?)
    }

    /// Signs a user out: the access token they came with and this refresh token die. A refresh token that
    /// nobody knows is as good as dead.
    pub async fn sign_out(&self, caller: Caller, refresh_token: &str) -> Result<(), Error> {
        let user = caller.user_id().ok_or(Error::NotFound("user"))?;
        let hash = sha256_hex(refresh_token);
        if self.store.refresh_token_owner(hash.clone()).await?.is_some_and(|owner| owner != user) {
            return Err(Error::Forbidden("this refresh token is somebody else's".into()));
        }
        let audit = self.session_audit(AuditAction::Logout, user, caller.name, caller.organization_id);
        Ok(self.store.sign_out(user, caller.access_token, hash, audit.at, audit).await?)
    }

    /// Makes every token of a user useless that was issued until now.
    pub async fn invalidate_tokens(&self, caller: Caller) -> Result<(), Error> {
        let user = caller.user_id().ok_or(Error::NotFound("user"))?;
        let action = AuditAction::TokensInvalidate;
        let mut audit = self.session_audit(action, user, caller.name, caller.organization_id);
        audit.resource_type = Some("user");
        Ok(self.store.invalidate_tokens(user, audit.at, audit).await?)
    }

    fn new_refresh_token(&self) -> String {
        let mut random = Zeroizing::new([0; REFRESH_TOKEN_BYTES]);
        self.entropy.fill(&mut *random);
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(random.as_slice())
    }

    fn session_audit(
        &self,
        action: AuditAction,
        user: UserId,
        name: String,
        organization_id: Option<OrganizationId>,
    ) -> NewAudit {
        NewAudit {
            at: self.now(),
            action,
            user: Some((user, name)),
            service_account: None,
            username: None,
            organization_id,
            resource_type: None,
            resource_id: None,
            detail: None,
            // People end their own sessions without a permit.
            grant: Grant::default(),
        }
    }

    async fn refuse_sign_in(&self, username: String, user: Option<UserRow>) -> Result<Token, Error> {
        let audit = NewAudit {
            at: self.now(),
            action: AuditAction::LoginFailure,
            user: None,
            service_account: None,
            username: Some(username),
            organization_id: user.and_then(|row| row.user.organization_id),
            resource_type: None,
            resource_id: None,
            detail: None,
            grant: Grant::default(),
        };
        self.store.record(audit, None).await?;
        Err(Error::Unauthenticated("wrong username or password"))
    }

    /// An access token for a user, from now on, of this generation.
    pub fn access_token(
        &self,
        id: UserId,
        username: &str,
        role: UserRole,
        generation: i32,
    ) -> Result<String, Error> {
        let now = self.now();
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let claims = Claims {
            sub: username.to_owned(),
            id: id.0,
            role: role.name().to_owned(),
            exp: self.in_minutes(self.tokens.access_minutes).as_seconds(),
            iat: Some(now.as_seconds()),
            iat_ms: Some(now.as_micros().div_euclid(1000)),
            jti: Some(uuid::Builder::from_random_bytes(random).into_uuid().to_string()),
            generation: Some(generation),
        };
        jsonwebtoken::encode(&self.tokens.header, &claims, &self.tokens.encoding).map_err(Error::internal)
    }

    /// Whether a clock that was far ahead dated a token: it would live for more than twice as long as it is meant to.
    fn is_from_afar(&self, claims: &Claims) -> bool {
        claims.issued_at().is_some_and(|at| at > self.in_minutes(self.tokens.access_minutes))
    }

    /// Who a bearer token stands for. Role and activity are the database's, never the token's.
    pub async fn authenticate(&self, bearer: &str) -> Result<Caller, Error> {
        const REFUSED: Error = Error::Unauthenticated("the token is not valid or has ended: sign in again");
        if bearer.len() > MAX_TOKEN {
            return Err(REFUSED);
        }
        if bearer.starts_with(service_accounts::PREFIX) {
            return self.authenticate_service_account(bearer).await?.ok_or(REFUSED);
        }
        let claims = jsonwebtoken::decode::<Claims>(bearer, &self.tokens.decoding, &self.tokens.validation)
            .map_err(|_| REFUSED)?
            .claims;
        if claims.exp <= self.now().as_seconds() || self.is_from_afar(&claims) {
            return Err(REFUSED);
        }
        let found = self.store.user_of_token(UserId(claims.id), claims.jti.clone()).await?;
        let Some((row, false)) = found else { return Err(REFUSED) };
        if claims.were_invalidated(&row) || !row.user.is_active || row.user.username != claims.sub {
            return Err(REFUSED);
        }
        Ok(Caller {
            id: PrincipalId::User(row.user.id),
            name: row.user.username,
            role: row.user.role,
            organization_id: row.user.organization_id,
            flags: row.user.flags,
            access_token: claims.jti.zip(Timestamp::from_micros(claims.exp.saturating_mul(1_000_000))),
            tokens_invalidated_at: row.tokens_invalidated_at,
            token_generation: row.token_generation,
            account_token: None,
        })
    }
}

impl Claims {
    /// Whether the user's tokens were invalidated after this one was issued. Tokens that say their generation need no
    /// clock for that; those that do not are FastPKI 0.4's, and older than any invalidation that was counted.
    fn were_invalidated(&self, row: &UserRow) -> bool {
        let before_mark = || row.tokens_invalidated_at.is_some_and(|at| self.issued_before(at));
        match self.generation {
            Some(generation) if row.generation_holds => generation != row.token_generation,
            // FastPKI 0.4 has invalidated the tokens since; it gives out none that says a generation.
            Some(_) => true,
            None => row.token_generation > 0 || before_mark(),
        }
    }

    /// When the token says that it was issued.
    fn issued_at(&self) -> Option<Timestamp> {
        Timestamp::from_micros(self.iat?.saturating_mul(1_000_000))
    }

    /// Whether the token was issued before this instant, as precisely as it says. One that does not say counts as old.
    fn issued_before(&self, instant: Timestamp) -> bool {
        match (self.iat_ms, self.iat) {
            // Within the millisecond nobody can tell: then it counts as issued before.
            (Some(millis), _) => millis <= instant.as_micros().div_euclid(1000),
            (None, Some(seconds)) => seconds.saturating_mul(1_000_000) < instant.as_micros(),
            (None, None) => true,
        }
    }
}

impl Tokens {
    pub(crate) fn new(
        secret: &str,
        algorithm: JwtAlgorithm,
        access_minutes: u32,
        refresh_minutes: u32,
    ) -> Self {
        let algorithm = match algorithm {
            JwtAlgorithm::Hs256 => Algorithm::HS256,
            JwtAlgorithm::Hs384 => Algorithm::HS384,
            JwtAlgorithm::Hs512 => Algorithm::HS512,
        };
        // Times are compared with the engine's clock, not with the library's.
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            header: Header::new(algorithm),
            validation,
            access_minutes,
            refresh_minutes,
        }
    }
}

impl Tokens {
    /// How long an access token lives.
    pub(crate) fn access_minutes(&self) -> u32 {
        self.access_minutes
    }
}

impl Passwords {
    pub(crate) fn new(cost: u32) -> Self {
        // A salt and a hash of zeros: as much work as any, and no password that anybody could find.
        Self { cost, nobody: format!("$2b${cost:02}${}", ".".repeat(53)) }
    }

    /// The hash that the password of an unknown user is checked against.
    pub(crate) fn hash_of_nobody(&self) -> &str {
        &self.nobody
    }

    /// The cost of a new hash.
    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }
}

/// bcrypt's cost of a new password: a third of a second.
pub const PASSWORD_COST: u32 = 12;

/// A new hash of a password of at most 72 bytes, which was checked before.
pub(crate) fn hash_password(password: &Password, cost: u32) -> Result<String, Error> {
    bcrypt::hash(password.expose(), cost).map_err(Error::internal)
}

#[cfg(test)]
pub(crate) static CHECKS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Passwords of the old system over 72 bytes were cut by its bcrypt, so they are cut here too.
fn password_fits(password: &Password, hash: &str) -> bool {
    #[cfg(test)]
    CHECKS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let bytes = password.expose().as_bytes();
    bcrypt::verify(&bytes[..bytes.len().min(BCRYPT_BYTES)], hash).unwrap_or(false)
}

/// The SHA-256 of bytes as lower-case hex.
pub(crate) fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(digest::digest(&digest::SHA256, bytes.as_ref()).as_ref())
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What bcrypt looks at.
const BCRYPT_BYTES: usize = 72;
/// 64 characters of base64.
const REFRESH_TOKEN_BYTES: usize = 48;
/// An access token has about 300 characters, with a very long username 600.
const MAX_TOKEN: usize = 4096;
