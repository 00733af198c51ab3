//! Who may change users, organizations and service accounts.

use fastpki_store::Held;
use fastpki_types::{CaUpdate, OrganizationId, ServiceAccount, User, UserRole, UserUpdate};

use super::{Action, Owned, Permit, allows};
use crate::{AuthorityRow, Caller, Error};

/// Marks the permit to change a user.
pub struct UpdateUser;

/// Marks the permit to delete a user.
pub struct DeleteUser;

/// Marks the permit to change an organization.
pub struct UpdateOrganization;

/// Marks the permit to delete an organization.
pub struct DeleteOrganization;

/// Marks the permit to put a user into an organization.
pub struct AddMember;

/// Marks the permit to take a user out of an organization.
pub struct RemoveMember;

/// Marks the permit to change a CA, or to give it to another organization.
pub struct UpdateCa;

/// Marks the permit to revoke a CA under its parent.
pub struct RevokeCa;

/// Marks the permit to bring a CA along.
pub struct ImportCa;

/// Marks the permit to create service accounts in an organization.
pub struct CreateServiceAccount;

/// Marks the permit to change a service account, its tokens and its policy, or to delete it.
pub struct ManageServiceAccount;

impl Caller {
    /// Leave to change a user, as far as the change changes anything. Superusers change anybody, but not their own
    /// role and activity; admins the users of their organization who are no superusers, but password and e-mail
    /// address only of those who have created nothing outside of it; everybody their own e-mail address and password. Role, activity and organization are a superuser's to change.
    pub fn permit_update_user(
        &self,
        user: User,
        change: UserUpdate,
    ) -> Result<Permit<UpdateUser, (User, UserUpdate)>, Error> {
        let change = effective(change, &user);
        let is_self = self.user_id() == Some(user.id);
        if self.is_superuser() {
            if is_self && (change.role.is_some() || change.is_active.is_some()) {
                return forbidden("nobody changes their own role or activity: ask another superuser");
            }
            let held = held_user(&user);
            return Ok(self.granted((user, change), [held]));
        }
        let administers = self.administers(user.organization_id) && user.role != UserRole::Superuser;
        if !is_self && !administers {
            return forbidden("you may not change this user");
        }
        if change.role.is_some() || change.is_active.is_some() || change.organization_id.is_some() {
            return forbidden("role, activity and organization are changed by superusers only");
        }
        if change.flags.any() && !administers {
            return forbidden("flags are changed by admins of the user's organization and by superusers");
        }
        // With the password, or with an address that others trust, an admin acts as the user.
        let takes_over = !is_self && (change.password.is_some() || change.email.is_some());
        let owns = takes_over.then(|| self.owns_nothing_else(&user)).flatten();
        let held = [held_user(&user)].into_iter().chain(owns);
        Ok(self.granted((user, change), held))
    }

    /// Leave to delete a user: superusers, but not themselves.
    pub fn permit_delete_user(&self, user: User) -> Result<Permit<DeleteUser, User>, Error> {
        if !self.is_superuser() {
            return forbidden("only superusers delete users");
        }
        if self.user_id() == Some(user.id) {
            return Err(Error::Invalid("nobody deletes themselves: ask another superuser".into()));
        }
        let held = held_user(&user);
        Ok(self.granted(user, [held]))
    }

    /// Whether the caller may look into an organization: its members, superusers.
    pub fn check_member(&self, organization: OrganizationId) -> Result<(), Error> {
        if self.is_superuser() || self.organization_id == Some(organization) {
            return Ok(());
        }
        forbidden("this is not your organization")
    }

    /// Leave to change an organization: its admins, superusers.
    pub fn permit_update_organization(
        &self,
        organization: OrganizationId,
    ) -> Result<Permit<UpdateOrganization, OrganizationId>, Error> {
        self.check_administers(organization)?;
        Ok(self.granted(organization, []))
    }

    /// Leave to delete an organization: superusers.
    pub fn permit_delete_organization(
        &self,
        organization: OrganizationId,
    ) -> Result<Permit<DeleteOrganization, OrganizationId>, Error> {
        if !self.is_superuser() {
            return forbidden("only superusers delete organizations");
        }
        Ok(self.granted(organization, []))
    }

    /// Whether the caller may change an organization and its members, whoever they are.
    pub fn check_administers(&self, organization: OrganizationId) -> Result<(), Error> {
        if self.is_superuser() || self.administers(Some(organization)) {
            return Ok(());
        }
        forbidden("only its admins and superusers change an organization")
    }

    /// Leave to put a user into an organization: superusers anybody; its admins those who have no organization,
    /// are no superusers, and have created nothing that is not its own.
    pub fn permit_add_member(
        &self,
        organization: OrganizationId,
        user: User,
    ) -> Result<Permit<AddMember, (OrganizationId, User)>, Error> {
        self.check_administers(organization)?;
        let is_free = user.organization_id.is_none_or(|own| own == organization);
        if !self.is_superuser() && (user.role == UserRole::Superuser || !is_free) {
            return forbidden("admins add users without an organization who are no superusers");
        }
        let owns = if self.is_superuser() { None } else { self.owns_nothing_else(&user) };
        let held = [held_user(&user)].into_iter().chain(owns);
        Ok(self.granted((organization, user), held))
    }

    /// Leave to take a user out of an organization: superusers; its admins, but not superusers.
    pub fn permit_remove_member(
        &self,
        organization: OrganizationId,
        user: User,
    ) -> Result<Permit<RemoveMember, (OrganizationId, User)>, Error> {
        self.check_administers(organization)?;
        let is_member = user.organization_id == Some(organization);
        if self.is_superuser() {
            if !is_member {
                return Err(Error::Invalid("this user is not in this organization".into()));
            }
        } else if user.role == UserRole::Superuser || !is_member {
            return forbidden("admins remove users of their own organization who are no superusers");
        }
        let held = held_user(&user);
        Ok(self.granted((organization, user), [held]))
    }

    /// Whether the caller may change anything of a CA: its organization's admins, superusers.
    pub fn check_changes(&self, row: &AuthorityRow) -> Result<(), Error> {
        if self.is_superuser() || self.administers(row.ca.organization_id) {
            return Ok(());
        }
        forbidden("only admins of its organization and superusers change a CA")
    }

    /// Leave to change a CA: superusers; its organization's admins, but not whose it is.
    pub fn permit_update_authority(
        &self,
        row: AuthorityRow,
        change: &CaUpdate,
    ) -> Result<Permit<UpdateCa, AuthorityRow>, Error> {
        self.check_changes(&row)?;
        if change.organization_id.is_some() && !self.is_superuser() {
            return forbidden("only superusers give a CA to another organization");
        }
        let held = row.held(Action::Read);
        Ok(self.granted(row, [held]))
    }

    /// Leave to revoke a CA: for those who may revoke under its parent. A CA without a parent here cannot be revoked;
    /// what to do instead is told to those who could revoke under it.
    pub fn permit_revoke_authority(
        &self,
        row: AuthorityRow,
        parent: Option<AuthorityRow>,
    ) -> Result<Permit<RevokeCa, (AuthorityRow, AuthorityRow)>, Error> {
        let asked = parent.as_ref().unwrap_or(&row).ownership();
        if !allows(self, Action::RevokeCert, asked) {
            return forbidden(
                "revoking a CA takes the right to revoke under its parent: ask an admin of the parent's organization, or for \
                 can_revoke_cert there",
            );
        }
        match parent {
            Some(parent) => {
                let held = [parent.held(Action::RevokeCert), row.held(Action::Read)];
                Ok(self.granted((row, parent), held))
            }
            None if row.ca.is_root => Err(Error::Invalid(
                "a root cannot be revoked, since programs trust it without asking a CRL: have it removed wherever it is \
                 trusted, revoke the CAs below it, and delete it"
                    .into(),
            )),
            None => Err(Error::Invalid(
                "the CA that signed this one is not here, and only that one can revoke it".into(),
            )),
        }
    }

    /// Leave to bring a CA along: admins into their own organization, superusers into any or none.
    pub fn permit_import(
        &self,
        asked: Option<OrganizationId>,
    ) -> Result<Permit<ImportCa, Option<OrganizationId>>, Error> {
        if self.is_superuser() {
            return Ok(self.granted(asked.or(self.organization_id), []));
        }
        match self.organization_id {
            Some(own) if self.role == UserRole::Admin && asked.is_none_or(|asked| asked == own) => {
                Ok(self.granted(Some(own), []))
            }
            _ => forbidden("only admins, into their own organization, and superusers import CAs"),
        }
    }

    /// Leave to create a service account: admins in their own organization, superusers in the one they name or in
    /// their own.
    pub fn permit_create_service_account(
        &self,
        asked: Option<OrganizationId>,
    ) -> Result<Permit<CreateServiceAccount, OrganizationId>, Error> {
        if self.is_superuser() {
            let organization = asked.or(self.organization_id).ok_or_else(|| {
                Error::Invalid("say whose the service account is to be: give organization_id".into())
            })?;
            return Ok(self.granted(organization, []));
        }
        match self.organization_id {
            Some(own) if self.role == UserRole::Admin && asked.is_none_or(|asked| asked == own) => {
                Ok(self.granted(own, []))
            }
            _ => forbidden("only admins, in their own organization, and superusers manage service accounts"),
        }
    }

    /// Leave to change a service account, its tokens and its policy. Another organization's is not there.
    pub fn permit_manage(
        &self,
        account: ServiceAccount,
    ) -> Result<Permit<ManageServiceAccount, ServiceAccount>, Error> {
        self.check_sees(&account)?;
        if !self.is_superuser() && !self.administers(Some(account.organization_id)) {
            return forbidden("only admins and superusers manage service accounts");
        }
        let held = Held::ServiceAccount { id: account.id, organization_id: account.organization_id };
        Ok(self.granted(account, [held]))
    }

    /// Whether the caller sees a service account: another organization's is not there.
    pub fn check_sees(&self, account: &ServiceAccount) -> Result<(), Error> {
        if self.is_superuser() || self.organization_id == Some(account.organization_id) {
            return Ok(());
        }
        Err(Error::NotFound("service account"))
    }

    /// What an admin must find so who takes a user over.
    fn owns_nothing_else(&self, user: &User) -> Option<Held> {
        self.organization_id.map(|own| Held::OwnsNothingElse(user.id, own))
    }

    fn administers(&self, organization: Option<OrganizationId>) -> bool {
        self.role == UserRole::Admin && organization.is_some() && organization == self.organization_id
    }
}

/// A user as they are where a permit to change them is given.
fn held_user(user: &User) -> Held {
    Held::User { id: user.id, role: user.role, organization_id: user.organization_id }
}

/// The change without what is as it was.
fn effective(mut change: UserUpdate, user: &User) -> UserUpdate {
    change.email = change.email.filter(|email| *email != user.email);
    change.role = change.role.filter(|role| *role != user.role);
    change.is_active = change.is_active.filter(|active| *active != user.is_active);
    change.organization_id = change.organization_id.filter(|id| Some(*id) != user.organization_id);
    if change.flags.apply(user.flags) == user.flags {
        change.flags = Default::default();
    }
    change
}

pub(super) fn forbidden<T>(text: &str) -> Result<T, Error> {
    Err(Error::Forbidden(text.into()))
}
