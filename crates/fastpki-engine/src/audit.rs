//! Reading the audit log.

use fastpki_store::AuditFilter;
use fastpki_types::AuditLog;

use crate::{Caller, Engine, Error};

impl Engine {
    /// Entries that the caller may see, newest first.
    pub async fn audit_logs(&self, caller: &Caller, mut filter: AuditFilter) -> Result<Vec<AuditLog>, Error> {
        let Some(organization) = caller.audit_scope()? else { return Ok(Vec::new()) };
        filter.organization_id = organization;
        let _turn = self.lanes.reading(caller.id).await;
        Ok(self.store.audit_logs(filter).await?)
    }
}
