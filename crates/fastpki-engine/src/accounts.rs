//! Users.

use fastpki_store::{NewUser, PasswordHash};
use fastpki_types::{AuditAction, User, UserCreate, UserId, UserRole};

use crate::{
    Caller, CreateFirstUser, CreateUser, Engine, Error, Permit, permissions::Actor, sessions::hash_password,
};

impl Engine {
    /// Creates a user.
    pub async fn create_user(&self, permit: Permit<CreateUser, UserCreate>) -> Result<User, Error> {
        self.insert_user(permit.actor, permit.resource, false).await
    }

    /// Creates the very first user; of several who try at once, one succeeds.
    pub async fn create_first_user(
        &self,
        permit: Permit<CreateFirstUser, UserCreate>,
    ) -> Result<User, Error> {
        self.insert_user(permit.actor, permit.resource, true).await
    }

    async fn insert_user(&self, actor: Actor, new: UserCreate, must_be_first: bool) -> Result<User, Error> {
        if let Some(organization) = new.organization_id
            && self.store.organizations(Some(organization)).await?.is_empty()
        {
            return Err(Error::Invalid(format!("there is no organization {organization}")));
        }
        let cost = self.passwords.cost();
        let password = new.password;
        let hash = self.lanes.passwords(move || hash_password(&password, cost)).await??;
        let now = self.now();
        let audit = actor.audit(
            now,
            AuditAction::UserCreate,
            new.organization_id,
            "user",
            format!("Created user '{}'", new.username),
        );
        let row = NewUser {
            username: new.username,
            email: new.email,
            password: PasswordHash(hash),
            role: new.role.unwrap_or(UserRole::User),
            is_active: new.is_active.unwrap_or(true),
            organization_id: new.organization_id,
            flags: new.flags,
            must_be_first,
        };
        Ok(self.store.create_user(row, now, audit).await?)
    }

    /// The user with this id, if the caller may see them.
    pub async fn user(&self, caller: &Caller, id: UserId) -> Result<User, Error> {
        let row = self.store.user(id).await?.ok_or(Error::NotFound("user"))?;
        caller.check_see_user(&row.user)?;
        Ok(row.user)
    }

    /// Users by id; superusers only.
    pub async fn users(&self, caller: &Caller, skip: i64, limit: i64) -> Result<Vec<User>, Error> {
        caller.check_list_users()?;
        Ok(self.store.users(skip, limit).await?)
    }
}
