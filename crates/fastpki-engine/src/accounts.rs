//! Users.

use fastpki_store::{NewUser, PasswordHash, Store, UserChange};
use fastpki_types::{
    AuditAction, FlagsUpdate, Named, OrganizationId, Password, User, UserCreate, UserId, UserRole, UserUpdate,
};

use crate::{
    Caller, Clock, CreateFirstUser, CreateUser, DeleteUser, Engine, Error, Permit, PrincipalId, UpdateUser,
    lanes::Lanes, names::skeletons, permissions::Actor, sessions::hash_password,
};

impl Engine {
    /// Creates a user.
    pub async fn create_user(&self, permit: Permit<CreateUser, UserCreate>) -> Result<User, Error> {
        self.accounts().insert(permit.actor, permit.resource, false).await
    }

    /// Creates the very first user; of several who try at once, one succeeds.
    pub async fn create_first_user(
        &self,
        permit: Permit<CreateFirstUser, UserCreate>,
    ) -> Result<User, Error> {
        self.accounts().insert(permit.actor, permit.resource, true).await
    }

    /// Changes a user. A new password, and being made inactive, kill all of their tokens.
    pub async fn update_user(&self, permit: Permit<UpdateUser, (User, UserUpdate)>) -> Result<User, Error> {
        self.accounts().update(permit).await
    }

    /// Deletes a user with their tokens. What they had created stays.
    pub async fn delete_user(&self, permit: Permit<DeleteUser, User>) -> Result<(), Error> {
        let Permit { resource: user, actor, .. } = permit;
        let detail = format!("Deleted user '{}'", user.username);
        let audit = actor.audit(self.now(), AuditAction::UserDelete, user.organization_id, "user", detail);
        Ok(self.store.delete_user(user.id, audit).await?)
    }

    pub(crate) async fn check_organization_exists(&self, id: OrganizationId) -> Result<(), Error> {
        self.accounts().check_organization_exists(id).await
    }

    fn accounts(&self) -> Accounts<'_> {
        let cost = self.passwords.cost();
        Accounts { store: &self.store, lanes: &self.lanes, clock: &*self.clock, cost }
    }

    /// The user with this id, whoever asks.
    pub async fn any_user(&self, id: UserId) -> Result<User, Error> {
        Ok(self.store.user(id).await?.ok_or(Error::NotFound("user"))?.user)
    }

    /// The user with this id, if the caller may see them.
    pub async fn user(&self, caller: &Caller, id: UserId) -> Result<User, Error> {
        let user = self.any_user(id).await?;
        caller.check_see_user(&user)?;
        Ok(user)
    }

    /// Users by id; superusers only.
    pub async fn users(&self, caller: &Caller, skip: i64, limit: i64) -> Result<Vec<User>, Error> {
        caller.check_list_users()?;
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.users(skip, limit).await?)
    }
}

/// What writing users takes, of the engine or of an operator's command.
pub(crate) struct Accounts<'a> {
    pub(crate) store: &'a Store,
    pub(crate) lanes: &'a Lanes,
    pub(crate) clock: &'a dyn Clock,
    /// bcrypt's cost for new passwords.
    pub(crate) cost: u32,
}

impl Accounts<'_> {
    /// Creates a user.
    pub(crate) async fn insert(
        &self,
        actor: Actor,
        new: UserCreate,
        must_be_first: bool,
    ) -> Result<User, Error> {
        if let Some(organization) = new.organization_id {
            self.check_organization_exists(organization).await?;
        }
        let password = self.hash(&actor, new.password).await?;
        let password_of = actor.binds_password(None).flatten();
        let now = self.clock.now();
        let audit = actor.audit(
            now,
            AuditAction::UserCreate,
            new.organization_id,
            "user",
            format!("Created user '{}'", new.username),
        );
        let row = NewUser {
            skeletons: skeletons(&new.username),
            username: new.username,
            email: new.email,
            password,
            password_of,
            role: new.role.unwrap_or(UserRole::User),
            is_active: new.is_active.unwrap_or(true),
            organization_id: new.organization_id,
            flags: new.flags,
            must_be_first,
        };
        Ok(self.store.create_user(row, now, audit).await?)
    }

    /// Changes a user. A new password, and being made inactive, kill all of their tokens.
    pub(crate) async fn update(&self, permit: Permit<UpdateUser, (User, UserUpdate)>) -> Result<User, Error> {
        let Permit { resource: (user, change), actor, .. } = permit;
        let changed = changed(&change);
        if changed.is_empty() {
            return Ok(user);
        }
        if let Some(organization) = change.organization_id {
            self.check_organization_exists(organization).await?;
        }
        let password = match change.password {
            Some(password) => Some(self.hash(&actor, password).await?),
            None => None,
        };
        let password_of = password.as_ref().and_then(|_| actor.binds_password(Some(user.id)));
        let now = self.clock.now();
        let owner = user.organization_id.or(change.organization_id);
        let detail = format!("Changed user '{}': {}", user.username, changed.join(", "));
        let audit = actor.audit(now, AuditAction::UserUpdate, owner, "user", detail);
        let change = UserChange {
            email: change.email,
            password,
            password_of,
            role: change.role,
            is_active: change.is_active,
            organization: change.organization_id.map(Some),
            flags: change.flags,
        };
        Ok(self.store.update_user(user, change, now, vec![audit]).await?)
    }

    async fn check_organization_exists(&self, id: OrganizationId) -> Result<(), Error> {
        if self.store.organizations(Some(id)).await?.is_empty() {
            return Err(Error::Invalid(format!("there is no organization {id}")));
        }
        Ok(())
    }

    async fn hash(&self, actor: &Actor, password: Password) -> Result<PasswordHash, Error> {
        let cost = self.cost;
        let user = actor.user.as_ref().map(|(id, _)| PrincipalId::User(*id));
        self.lanes.password(user, move || hash_password(&password, cost)).await?.map(PasswordHash)
    }
}

/// What a change changes, for the audit log.
fn changed(change: &UserUpdate) -> Vec<String> {
    [
        change.email.as_ref().map(|email| format!("email={email}")),
        change.password.as_ref().map(|_| "password".to_owned()),
        change.role.map(|role| format!("role={}", role.name())),
        change.is_active.map(|active| format!("is_active={active}")),
        change.organization_id.map(|id| format!("organization_id={id}")),
    ]
    .into_iter()
    .flatten()
    .chain(named_flags(change.flags))
    .collect()
}

/// The flags that are given.
pub(crate) fn named_flags(flags: FlagsUpdate) -> impl Iterator<Item = String> {
    [
        ("can_create_ca", flags.can_create_ca),
        ("can_create_cert", flags.can_create_cert),
        ("can_revoke_cert", flags.can_revoke_cert),
        ("can_export_private_key", flags.can_export_private_key),
        ("can_delete_ca", flags.can_delete_ca),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
}
