//! Organizations.

use fastpki_types::{AuditAction, Organization, OrganizationCreate};

use crate::{Caller, Engine, Error, NewOrganization, Permit};

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
        if caller.is_superuser() {
            return Ok(self.store.organizations(None).await?);
        }
        match caller.organization_id {
            Some(own) => Ok(self.store.organizations(Some(own)).await?),
            None => Ok(Vec::new()),
        }
    }
}
