//! Organizations.

use fastpki_store::{NewAudit, UserChange};
use fastpki_types::{
    AuditAction, Organization, OrganizationCreate, OrganizationId, OrganizationUpdate, Timestamp, User,
};

use crate::{
    AddMember, Caller, DeleteOrganization, Engine, Error, NewOrganization, Permit, RemoveMember,
    UpdateOrganization, permissions::Actor,
};

impl Engine {
    /// Creates an organization.
    pub async fn create_organization(
        &self,
        permit: Permit<NewOrganization, ()>,
        new: OrganizationCreate,
    ) -> Result<Organization, Error> {
        let now = self.now();
        let detail = format!("Created organization '{}'", new.name);
        let audit = permit.actor.audit(now, AuditAction::OrgCreate, None, "organization", detail);
        Ok(self.store.create_organization(new.name, new.description, now, audit).await?)
    }

    /// The organizations a caller sees: superusers all, by name; others their own or none.
    pub async fn organizations(&self, caller: &Caller) -> Result<Vec<Organization>, Error> {
        let _turn = self.lanes.reading(caller.id).await;
        if caller.is_superuser() {
            return Ok(self.store.organizations(None).await?);
        }
        match caller.organization_id {
            Some(own) => Ok(self.store.organizations(Some(own)).await?),
            None => Ok(Vec::new()),
        }
    }

    /// An organization, if the caller is of it or a superuser; others learn nothing of it.
    pub async fn organization(&self, caller: &Caller, id: OrganizationId) -> Result<Organization, Error> {
        caller.check_member(id)?;
        self.any_organization(id).await
    }

    /// The organization with this id, whoever asks.
    pub async fn any_organization(&self, id: OrganizationId) -> Result<Organization, Error> {
        self.store.organizations(Some(id)).await?.pop().ok_or(Error::NotFound("organization"))
    }

    /// The users of an organization, by id.
    pub async fn members(&self, caller: &Caller, id: OrganizationId) -> Result<Vec<User>, Error> {
        let organization = self.organization(caller, id).await?;
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.members(organization.id).await?)
    }

    /// Changes what is given of an organization.
    pub async fn update_organization(
        &self,
        permit: Permit<UpdateOrganization, OrganizationId>,
        change: OrganizationUpdate,
    ) -> Result<Organization, Error> {
        let before = self.any_organization(permit.resource).await?;
        let detail = match change.name.as_ref().filter(|name| **name != before.name) {
            Some(name) => format!("Renamed organization '{}' to '{name}'", before.name),
            None => format!("Changed organization '{}'", before.name),
        };
        let now = self.now();
        let audit = permit.actor.audit(now, AuditAction::OrgUpdate, Some(before.id), "organization", detail);
        Ok(self.store.update_organization(before.id, change, now, audit).await?)
    }

    /// Deletes an organization that has nothing any more.
    pub async fn delete_organization(
        &self,
        permit: Permit<DeleteOrganization, OrganizationId>,
    ) -> Result<(), Error> {
        let organization = self.any_organization(permit.resource).await?;
        let detail = format!("Deleted organization '{}'", organization.name);
        let id = organization.id;
        let audit = permit.actor.audit(self.now(), AuditAction::OrgDelete, Some(id), "organization", detail);
        Ok(self.store.delete_organization(id, audit).await?)
    }

    /// Puts a user into an organization.
    pub async fn add_member(&self, permit: Permit<AddMember, (OrganizationId, User)>) -> Result<User, Error> {
        let Permit { resource: (organization, user), actor, .. } = permit;
        if user.organization_id == Some(organization) {
            return Ok(user);
        }
        let now = self.now();
        let added = format!("Added user '{}' to the organization", user.username);
        let mut audits = vec![member_audit(&actor, now, AuditAction::OrgAddUser, organization, added)];
        if let Some(left) = user.organization_id {
            let moved = format!("Moved user '{}' to organization {organization}", user.username);
            audits.push(member_audit(&actor, now, AuditAction::OrgRemoveUser, left, moved));
        }
        let change = UserChange { organization: Some(Some(organization)), ..UserChange::default() };
        Ok(self.store.update_user(user, change, now, audits).await?)
    }

    /// Takes a user out of an organization.
    pub async fn remove_member(
        &self,
        permit: Permit<RemoveMember, (OrganizationId, User)>,
    ) -> Result<User, Error> {
        let Permit { resource: (organization, user), actor, .. } = permit;
        let now = self.now();
        let detail = format!("Removed user '{}' from the organization", user.username);
        let audits = vec![member_audit(&actor, now, AuditAction::OrgRemoveUser, organization, detail)];
        let change = UserChange { organization: Some(None), ..UserChange::default() };
        Ok(self.store.update_user(user, change, now, audits).await?)
    }
}

/// An entry about the members of an organization, in its own log.
fn member_audit(
    actor: &Actor,
    now: Timestamp,
    action: AuditAction,
    organization: OrganizationId,
    detail: String,
) -> NewAudit {
    let audit = actor.clone().audit(now, action, Some(organization), "organization", detail);
    NewAudit { resource_id: Some(organization.0), ..audit }
}
