//! Service accounts, their tokens and policies.

use aws_lc_rs::{constant_time, hmac};
use fastpki_store::{NewAudit, NewToken, ServiceAccountChange, TokenRow};
use fastpki_types::{
    AuditAction, IssuancePolicy, IssuanceRules, NewServiceAccountToken, OrganizationId, ServiceAccount,
    ServiceAccountCreate, ServiceAccountId, ServiceAccountSecret, ServiceAccountToken,
    ServiceAccountTokenCreate, ServiceAccountTokenId, ServiceAccountUpdate, Timestamp, UserRole,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

use crate::{
    Caller, CreateServiceAccount, Engine, Error, ManageServiceAccount, Permit, PrincipalId,
    accounts::named_flags, clock::is_within, permissions::Actor, sessions::hex,
};

/// What tokens of service accounts are digested under, and which were used lately.
pub(crate) struct ServiceAccountTokens {
    pepper: hmac::Key,
    /// What FastPKI 0.4 digested under where it had no `SECRET_KEY`.
    well_known: hmac::Key,
    used: Mutex<HashMap<ServiceAccountTokenId, Timestamp>>,
}

impl ServiceAccountTokens {
    pub(crate) fn new(pepper: &str) -> Self {
        let key = |text: &str| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        Self { pepper: key(pepper), well_known: key("supersecretkey"), used: Mutex::default() }
    }

    fn note_use(&self, token: &ServiceAccountToken, now: Timestamp) {
        if token.last_used_at.is_none_or(|at| !is_within(at, USE_SECONDS, now)) {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(token.id, now);
        }
    }
}

impl Engine {
    /// Creates a service account.
    pub async fn create_service_account(
        &self,
        permit: Permit<CreateServiceAccount, OrganizationId>,
        new: ServiceAccountCreate,
    ) -> Result<ServiceAccount, Error> {
        let Permit { resource: organization, actor, .. } = permit;
        self.check_organization_exists(organization).await?;
        let now = self.now();
        let creator = actor.user.as_ref().map(|(id, _)| *id);
        let detail = format!("Created service account '{}'", new.name);
        let audit = actor.audit(now, AuditAction::ServiceAccountCreate, Some(organization), KIND, detail);
        Ok(self.store.create_service_account(organization, new, creator, now, audit).await?)
    }

    /// The service accounts that the caller sees, by name.
    pub async fn service_accounts(&self, caller: &Caller) -> Result<Vec<ServiceAccount>, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        match (caller.is_superuser(), caller.organization_id) {
            (true, _) => Ok(self.store.service_accounts(None).await?),
            (false, Some(own)) => Ok(self.store.service_accounts(Some(own)).await?),
            (false, None) => Ok(Vec::new()),
        }
    }

    /// The service account with this id, if the caller sees it.
    pub async fn service_account(
        &self,
        caller: &Caller,
        id: ServiceAccountId,
    ) -> Result<ServiceAccount, Error> {
        let account = self.store.service_account(id).await?.ok_or(Error::NotFound(ACCOUNT))?;
        caller.check_sees(&account)?;
        Ok(account)
    }

    /// Changes a service account.
    pub async fn update_service_account(
        &self,
        permit: Permit<ManageServiceAccount, ServiceAccount>,
        change: ServiceAccountUpdate,
    ) -> Result<ServiceAccount, Error> {
        let Permit { resource: account, actor, .. } = permit;
        let ServiceAccountUpdate { name, description, disabled, flags } = change;
        let now = self.now();
        let verb = match disabled {
            Some(true) => "Disabled",
            Some(false) if account.disabled_at.is_some() => "Enabled",
            _ => "Changed",
        };
        let renamed = name.as_ref().filter(|name| **name != account.name).map(|name| format!("name={name}"));
        let described = description.as_ref().map(|_| "description".to_owned());
        let changed: Vec<String> = renamed.into_iter().chain(described).chain(named_flags(flags)).collect();
        let detail = format!("{verb} service account '{}': {}", account.name, changed.join(", "));
        let detail = detail.trim_end_matches(": ").to_owned();
        let audit = audit_of(actor, now, AuditAction::ServiceAccountUpdate, &account, detail);
        let change = ServiceAccountChange { name, description, disabled, flags };
        Ok(self.store.update_service_account(account.id, change, now, audit).await?)
    }

    /// Deletes a service account: its tokens die, what it had issued stays.
    pub async fn delete_service_account(
        &self,
        permit: Permit<ManageServiceAccount, ServiceAccount>,
    ) -> Result<(), Error> {
        let Permit { resource: account, actor, .. } = permit;
        let detail = format!("Deleted service account '{}'", account.name);
        let audit = audit_of(actor, self.now(), AuditAction::ServiceAccountDelete, &account, detail);
        Ok(self.store.delete_service_account(account.id, audit).await?)
    }

    /// Makes a token: the only time that it is whole.
    pub async fn create_service_account_token(
        &self,
        permit: Permit<ManageServiceAccount, ServiceAccount>,
        new: ServiceAccountTokenCreate,
    ) -> Result<NewServiceAccountToken, Error> {
        let Permit { resource: account, actor, .. } = permit;
        let now = self.now();
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::Invalid("expires_at lies in the past: the token could not be used".into()));
        }
        let public_id = self.random_text::<PUBLIC_ID_BYTES>();
        let secret = self.random_text::<SECRET_BYTES>();
        let digest = digest(&self.service_account_tokens.pepper, &secret);
        let detail = match &new.name {
            Some(name) => format!("Made the token '{name}' for service account '{}'", account.name),
            None => format!("Made a token for service account '{}'", account.name),
        };
        let audit = audit_of(actor, now, AuditAction::ServiceAccountTokenCreate, &account, detail);
        let token = Zeroizing::new(format!("{PREFIX}{}.{}", *public_id, *secret));
        let stored =
            NewToken { public_id: (*public_id).clone(), digest, name: new.name, expires_at: new.expires_at };
        let info = self.store.create_service_account_token(account.id, stored, now, audit).await?;
        Ok(NewServiceAccountToken { info, token: ServiceAccountSecret::from(token) })
    }

    /// The tokens of a service account that the caller sees, without their secrets.
    pub async fn service_account_tokens(
        &self,
        caller: &Caller,
        id: ServiceAccountId,
    ) -> Result<Vec<ServiceAccountToken>, Error> {
        let account = self.service_account(caller, id).await?;
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.service_account_tokens(account.id).await?)
    }

    /// Revokes a token.
    pub async fn revoke_service_account_token(
        &self,
        permit: Permit<ManageServiceAccount, ServiceAccount>,
        token: ServiceAccountTokenId,
    ) -> Result<(), Error> {
        let Permit { resource: account, actor, .. } = permit;
        let detail = format!("Revoked token {token} of service account '{}'", account.name);
        let audit = audit_of(actor, self.now(), AuditAction::ServiceAccountTokenRevoke, &account, detail);
        if self.store.revoke_service_account_token(account.id, token, audit).await? {
            Ok(())
        } else {
            Err(Error::NotFound("token"))
        }
    }

    /// Says what a service account may have issued.
    pub async fn set_policy(
        &self,
        permit: Permit<ManageServiceAccount, ServiceAccount>,
        rules: IssuanceRules,
    ) -> Result<IssuancePolicy, Error> {
        let Permit { resource: account, actor, .. } = permit;
        let now = self.now();
        let detail = format!("Set the policy of service account '{}': {}", account.name, in_words(&rules)?);
        let audit = audit_of(actor, now, AuditAction::ServiceAccountUpdate, &account, detail);
        Ok(self.store.set_policy(account.id, rules, now, audit).await?)
    }

    /// What a service account that the caller sees may have issued.
    pub async fn policy(&self, caller: &Caller, id: ServiceAccountId) -> Result<IssuancePolicy, Error> {
        let account = self.service_account(caller, id).await?;
        self.store.policy(account.id).await?.ok_or(Error::NotFound("policy"))
    }

    /// Takes the policy of a service account away, so that it may have nothing issued.
    pub async fn clear_policy(
        &self,
        permit: Permit<ManageServiceAccount, ServiceAccount>,
    ) -> Result<(), Error> {
        let Permit { resource: account, actor, .. } = permit;
        let detail = format!("Removed the policy of service account '{}'", account.name);
        let audit = audit_of(actor, self.now(), AuditAction::ServiceAccountUpdate, &account, detail);
        Ok(self.store.clear_policy(account.id, audit).await?)
    }

    /// The service account that a token stands for. Whatever is wrong with it is one and the same answer.
    pub(crate) async fn authenticate_service_account(&self, bearer: &str) -> Result<Option<Caller>, Error> {
        let now = self.now();
        let parts = bearer.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
        let Some((public_id, secret)) = parts else { return Ok(None) };
        let found = self.store.service_account_token(public_id).await?;
        let stored = found.as_ref().map_or("", |row| row.digest.as_str());
        let tokens = &self.service_account_tokens;
        let current = digest(&tokens.pepper, secret);
        let old = digest(&tokens.well_known, secret);
        // Both are compared, whatever the first says, also where there is no such token.
        let (is_current, is_old) = (is_same(&current, stored), is_same(&old, stored));
        let Some(TokenRow { token, account, .. }) = found else { return Ok(None) };
        let is_over = token.revoked || token.expires_at.is_some_and(|at| at <= now);
        if !(is_current || is_old) || is_over || account.disabled_at.is_some() {
            return Ok(None);
        }
        if !is_current {
            self.store.replace_token_digest(token.id, old, current).await?;
        }
        tokens.note_use(&token, now);
        Ok(Some(Caller {
            id: PrincipalId::ServiceAccount(account.id),
            name: account.name,
            role: UserRole::User,
            organization_id: Some(account.organization_id),
            flags: account.flags,
            access_token: None,
            tokens_invalidated_at: None,
            token_generation: 0,
            account_token: Some(token.id),
        }))
    }

    /// Writes down which tokens of service accounts were used. To be called every so often, off any request's path. What
    /// cannot be written down is kept for the next time.
    pub async fn record_token_uses(&self) -> Result<(), Error> {
        let uses = std::mem::take(
            &mut *self.service_account_tokens.used.lock().unwrap_or_else(PoisonError::into_inner),
        );
        if uses.is_empty() {
            return Ok(());
        }
        let noted = self.store.note_token_uses(uses.iter().map(|(id, at)| (*id, *at)).collect()).await;
        if noted.is_err() {
            let mut used = self.service_account_tokens.used.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, at) in uses {
                used.entry(id).or_insert(at);
            }
        }
        Ok(noted?)
    }

    fn random_text<const BYTES: usize>(&self) -> Zeroizing<String> {
        let mut random = Zeroizing::new([0; BYTES]);
        self.entropy.fill(&mut *random);
        Zeroizing::new(base64_simd::URL_SAFE_NO_PAD.encode_to_string(random.as_slice()))
    }
}

/// An entry about a service account, in the log of its organization.
fn audit_of(
    actor: Actor,
    now: Timestamp,
    action: AuditAction,
    account: &ServiceAccount,
    detail: String,
) -> NewAudit {
    actor.audit(now, action, Some(account.organization_id), KIND, detail)
}

/// A policy as the audit log has it: whole, unless it is very long.
fn in_words(rules: &IssuanceRules) -> Result<String, Error> {
    let text = serde_json::to_string(rules).map_err(Error::internal)?;
    match text.char_indices().nth(MAX_RULES_TEXT) {
        Some((end, _)) => Ok(format!("{}…", &text[..end])),
        None => Ok(text),
    }
}

fn digest(key: &hmac::Key, secret: &str) -> String {
    hex(hmac::sign(key, secret.as_bytes()).as_ref())
}

fn is_same(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// What the audit log calls it.
const KIND: &str = "service_account";
/// What errors call it.
const ACCOUNT: &str = "service account";
/// What every token of a service account begins with.
pub(crate) const PREFIX: &str = "fpki_sa_";
/// 16 characters of base64.
const PUBLIC_ID_BYTES: usize = 12;
/// 43 characters of base64.
const SECRET_BYTES: usize = 32;
/// Characters of a policy in the audit log.
const MAX_RULES_TEXT: usize = 4096;
/// Seconds within which a second use of a token is not written down.
const USE_SECONDS: i64 = 60;
