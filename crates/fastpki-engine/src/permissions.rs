//! Who may do what: the one place where it is decided.

mod before;
mod principals;

use std::marker::PhantomData;

use fastpki_store::{AuthorityRow, CertificateRow, Grant, Held, Lock, NewAudit, Standing, Visible};
use fastpki_types::{
    AuditAction, OrganizationId, Password, ServiceAccountId, Timestamp, User, UserCreate, UserId, UserRole,
    UserUpdate,
};

pub use principals::{
    AddMember, CreateServiceAccount, DeleteOrganization, DeleteUser, ImportCa, ManageServiceAccount,
    RemoveMember, RevokeCa, UpdateCa, UpdateOrganization, UpdateUser,
};

use crate::{Caller, Error, PrincipalId};

/// What can be done with a CA or a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See it.
    Read,
    /// Create a CA below it.
    CreateCa,
    /// Have a certificate issued by it, or renew it.
    CreateCert,
    /// Revoke it.
    RevokeCert,
    /// Read its private key.
    ExportPrivateKey,
    /// Delete it.
    DeleteCa,
}

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The organization it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The user who created it.
    pub created_by_user_id: Option<UserId>,
    /// The service account that created it.
    pub created_by_service_account_id: Option<ServiceAccountId>,
}

/// What belongs to somebody.
pub trait Owned {
    /// Whose it is.
    fn ownership(&self) -> Ownership;

    /// What must be as it is here when something is done with it.
    fn held(&self, action: Action) -> Held;
}

impl Owned for AuthorityRow {
    fn ownership(&self) -> Ownership {
        Ownership {
            organization_id: self.ca.organization_id,
            created_by_user_id: self.ca.created_by_user_id,
            created_by_service_account_id: self.created_by_service_account_id,
        }
    }

    fn held(&self, action: Action) -> Held {
        Held::Authority {
            id: self.ca.id,
            organization_id: self.ca.organization_id,
            allow_leaf_certs: (action == Action::CreateCert).then_some(self.ca.allow_leaf_certs),
            // A CA that has a CA below it is changed by that.
            lock: match action {
                Action::CreateCa | Action::DeleteCa => Lock::Update,
                _ => Lock::Share,
            },
        }
    }
}

impl Owned for CertificateRow {
    fn ownership(&self) -> Ownership {
        Ownership {
            organization_id: self.certificate.organization_id,
            created_by_user_id: self.certificate.created_by_user_id,
            created_by_service_account_id: self.certificate.created_by_service_account_id,
        }
    }

    fn held(&self, action: Action) -> Held {
        Held::Certificate {
            id: self.certificate.id,
            organization_id: self.certificate.organization_id,
            lock: if action == Action::RevokeCert { Lock::Update } else { Lock::Share },
        }
    }
}

/// The rules for CAs and certificates; the first that fits decides.
fn allows(caller: &Caller, action: Action, resource: Ownership) -> bool {
    if caller.is_superuser() {
        return true;
    }
    let is_creator = match caller.id {
        PrincipalId::User(id) => resource.created_by_user_id == Some(id),
        PrincipalId::ServiceAccount(id) => resource.created_by_service_account_id == Some(id),
    };
    if is_creator && resource.organization_id == caller.organization_id {
        return true;
    }
    if resource.organization_id.is_none() || resource.organization_id != caller.organization_id {
        return false;
    }
    if caller.role == UserRole::Admin {
        return true;
    }
    match action {
        Action::Read => true,
        Action::CreateCa => caller.flags.can_create_ca,
        Action::CreateCert => caller.flags.can_create_cert,
        Action::RevokeCert => caller.flags.can_revoke_cert,
        Action::ExportPrivateKey => caller.flags.can_export_private_key,
        Action::DeleteCa => caller.flags.can_delete_ca,
    }
}

/// Leave to do one thing with one resource. It can only be made here, and is spent by the doing.
pub struct Permit<A, R> {
    /// What it is for.
    pub(crate) resource: R,
    pub(crate) actor: Actor,
    action: PhantomData<A>,
}

/// Who does it, as the audit log will have it, and what they may do it for.
#[derive(Clone, Default)]
pub(crate) struct Actor {
    pub(crate) user: Option<(UserId, String)>,
    pub(crate) service_account: Option<(ServiceAccountId, String)>,
    /// The name of who is neither.
    pub(crate) name: Option<&'static str>,
    /// What is compared where the change is written. Operators and strangers have nothing that could be taken from them.
    pub(crate) grant: Grant,
}

/// The name of the operator, on the server's host.
pub(crate) const OPERATOR: &str = "fastpki admin";

/// Marks a permit by what it allows.
pub trait Act {
    /// The action.
    const ACTION: Action;
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $action:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Act for $name {
            const ACTION: Action = Action::$action;
        }
    )*};
}

acts! {
    /// See it.
    Read = Read;
    /// Create a CA.
    CreateCa = CreateCa;
    /// Have a certificate issued or renewed.
    Issue = CreateCert;
    /// Revoke it.
    Revoke = RevokeCert;
    /// Read its private key.
    ExportKey = ExportPrivateKey;
    /// Delete it.
    DeleteCa = DeleteCa;
}

/// Where a caller's own CAs belong.
#[derive(Clone, Copy, Debug)]
pub struct Home(pub Option<OrganizationId>);

/// Marks the permit to create an organization.
pub struct NewOrganization;

/// Marks the permit to create a user.
pub struct CreateUser;

/// Marks the permit to create the very first user.
pub struct CreateFirstUser;

impl Caller {
    /// Leave to do this with that.
    pub fn permit<A: Act, R: Owned>(&self, resource: R) -> Result<Permit<A, R>, Error> {
        if !allows(self, A::ACTION, resource.ownership()) {
            return Err(forbidden(A::ACTION));
        }
        let held = resource.held(A::ACTION);
        Ok(self.granted(resource, [held]))
    }

    /// Whether this caller may read it.
    pub fn may_read(&self, resource: &impl Owned) -> bool {
        allows(self, Action::Read, resource.ownership())
    }

    /// Leave to create a CA in the caller's own organization; without one, for superusers only.
    pub fn permit_create_ca(&self) -> Result<Permit<CreateCa, Home>, Error> {
        let home = Ownership {
            organization_id: self.organization_id,
            created_by_user_id: None,
            created_by_service_account_id: None,
        };
        if !allows(self, Action::CreateCa, home) {
            return Err(forbidden(Action::CreateCa));
        }
        Ok(self.granted(Home(self.organization_id), []))
    }

    /// Leave to create an organization: admins and superusers.
    pub fn permit_create_organization(&self) -> Result<Permit<NewOrganization, ()>, Error> {
        match self.role {
            UserRole::Superuser | UserRole::Admin => Ok(self.granted((), [])),
            UserRole::User => Err(Error::Forbidden("only admins and superusers create organizations".into())),
        }
    }

    /// Leave to create this user. Superusers create any; admins create users of the role `user` in their
    /// own organization, which is filled in where it is not given.
    pub fn permit_create_user(&self, mut new: UserCreate) -> Result<Permit<CreateUser, UserCreate>, Error> {
        match self.role {
            UserRole::Superuser => Ok(self.granted(new, [])),
            UserRole::Admin => {
                let own = self.organization_id.ok_or_else(|| {
                    Error::Forbidden("an admin without an organization cannot create users".into())
                })?;
                if new.role.is_some_and(|role| role != UserRole::User) {
                    return Err(Error::Forbidden("admins create users of the role 'user' only".into()));
                }
                if *new.organization_id.get_or_insert(own) != own {
                    return Err(Error::Forbidden(
                        "admins create users in their own organization only".into(),
                    ));
                }
                Ok(self.granted(new, []))
            }
            UserRole::User => Err(Error::Forbidden("only admins and superusers create users".into())),
        }
    }

    /// Whether the caller may list all users: superusers only.
    pub fn check_list_users(&self) -> Result<(), Error> {
        if self.is_superuser() {
            Ok(())
        } else {
            Err(Error::Forbidden("only superusers list all users".into()))
        }
    }

    /// Whether the caller may see this user: oneself, an admin of the same organization, a superuser.
    pub fn check_see_user(&self, user: &User) -> Result<(), Error> {
        let same_organization =
            user.organization_id.is_some() && user.organization_id == self.organization_id;
        let visible = self.is_superuser()
            || self.user_id() == Some(user.id)
            || (self.role == UserRole::Admin && same_organization);
        if visible { Ok(()) } else { Err(Error::Forbidden("this user is not of your organization".into())) }
    }

    /// Whose audit log the caller may read: `Some(None)` is everybody's, `None` is nobody's.
    pub fn audit_scope(&self) -> Result<Option<Option<OrganizationId>>, Error> {
        match self.role {
            UserRole::Superuser => Ok(Some(None)),
            UserRole::Admin => Ok(self.organization_id.map(Some)),
            UserRole::User => Err(Error::Forbidden("only admins and superusers read the audit log".into())),
        }
    }

    /// Which CAs and certificates the caller sees in lists.
    pub fn visible(&self) -> Visible {
        match (self.role, self.organization_id, self.id) {
            (UserRole::Superuser, ..) => Visible::All,
            (_, Some(organization), _) => Visible::Organization(organization),
            (_, None, PrincipalId::User(id)) => Visible::CreatedByUser(id),
            (_, None, PrincipalId::ServiceAccount(id)) => Visible::CreatedByServiceAccount(id),
        }
    }

    /// A permit that holds as long as this caller and what it is for are as they are now.
    fn granted<A, R>(&self, resource: R, held: impl IntoIterator<Item = Held>) -> Permit<A, R> {
        let grant = Grant { standing: Some(self.standing()), held: held.into_iter().collect() };
        let actor = match self.id {
            PrincipalId::User(id) => Actor { user: Some((id, self.name.clone())), grant, ..Actor::default() },
            PrincipalId::ServiceAccount(id) => {
                Actor { service_account: Some((id, self.name.clone())), grant, ..Actor::default() }
            }
        };
        Permit { resource, actor, action: PhantomData }
    }
}

impl Permit<CreateFirstUser, UserCreate> {
    /// Leave to create the very first user, of any role. The store lets it happen only once.
    pub fn bootstrap(new: UserCreate) -> Self {
        Self { resource: new, actor: Actor::default(), action: PhantomData }
    }
}

impl Permit<CreateUser, UserCreate> {
    /// Leave for an operator to create any user: whoever can write to the database can do so anyway.
    pub(crate) fn of_operator(new: UserCreate) -> Self {
        Self { resource: new, actor: Actor::operator(), action: PhantomData }
    }

    /// Leave for a stranger to register, where the operator has opened registration: a plain user,
    /// without organization and flags.
    pub fn registration(new: UserCreate) -> Result<Self, Error> {
        let plain = new.role.is_none_or(|role| role == UserRole::User)
            && new.organization_id.is_none()
            && !new.flags.any()
            && new.is_active != Some(false);
        if !plain {
            return Err(Error::Forbidden(
                "who registers becomes a user without organization and flags: leave role, organization and flags out"
                    .into(),
            ));
        }
        Ok(Self { resource: new, actor: Actor::default(), action: PhantomData })
    }
}

impl Permit<UpdateUser, (User, UserUpdate)> {
    /// Leave for an operator to give a user another password and let them sign in again.
    pub(crate) fn of_operator(user: User, password: Password, activate: bool) -> Self {
        let is_active = (activate && !user.is_active).then_some(true);
        let change = UserUpdate { password: Some(password), is_active, ..UserUpdate::default() };
        Self { resource: (user, change), actor: Actor::operator(), action: PhantomData }
    }
}

impl Actor {
    fn operator() -> Self {
        Self { name: Some(OPERATOR), ..Self::default() }
    }

    /// The organization in which alone a password is good that this one gives a user, or none; `None` where it is to stay as
    /// it is: a user's own change may be made by an admin who knows the password before.
    pub(crate) fn binds_password(&self, user: Option<UserId>) -> Option<Option<OrganizationId>> {
        match &self.grant.standing {
            Some(Standing::User { id, .. }) if Some(*id) == user => None,
            Some(Standing::User { role: UserRole::Admin, organization_id, .. }) => Some(*organization_id),
            _ => Some(None),
        }
    }

    /// An entry for the audit log.
    pub(crate) fn audit(
        self,
        at: Timestamp,
        action: AuditAction,
        organization_id: Option<OrganizationId>,
        resource_type: &'static str,
        detail: String,
    ) -> NewAudit {
        NewAudit {
            at,
            action,
            user: self.user,
            service_account: self.service_account,
            username: self.name.map(str::to_owned),
            organization_id,
            resource_type: Some(resource_type),
            resource_id: None,
            detail: Some(detail),
            grant: self.grant,
        }
    }
}

fn forbidden(action: Action) -> Error {
    let text = match action {
        Action::Read => "this is not of your organization",
        Action::CreateCa => "you may not create CAs here: ask an admin for can_create_ca",
        Action::CreateCert => "you may not have certificates issued here: ask an admin for can_create_cert",
        Action::RevokeCert => "you may not revoke certificates here: ask an admin for can_revoke_cert",
        Action::ExportPrivateKey => {
            "you may not read private keys here: ask an admin for can_export_private_key"
        }
        Action::DeleteCa => "you may not delete CAs here: ask an admin for can_delete_ca",
    };
    Error::Forbidden(text.into())
}

#[cfg(test)]
mod tests;
