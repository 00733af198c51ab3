//! Organizations.

use fastpki_types::{Organization, OrganizationId, OrganizationUpdate, Timestamp};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Row, Table},
    error::StoreError,
};

impl Store {
    /// Creates an organization; its name may be taken. The entry goes into its own log.
    pub async fn create_organization(
        &self,
        name: String,
        description: Option<String>,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<Organization, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let id = OrganizationId(tx.next_id(Table::Organizations).await?);
                    tx.execute(
                        "/* create_organization */
                         INSERT INTO organizations (id, name, description, created_at, updated_at)
                         VALUES ($1, $2, $3, $4, $4)",
                        &[id.into(), name.as_str().into(), description.as_deref().into(), now.into()],
                    )
                    .await?;
                    audit.organization_id = Some(id);
                    audit::record(tx, &audit, Some(id.0)).await?;
                    Ok(Organization { name, description, id, created_at: now, updated_at: now })
                })
            })
            .await
    }

    /// Changes what is given of an organization; its new name may be taken.
    pub async fn update_organization(
        &self,
        id: OrganizationId,
        change: OrganizationUpdate,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<Organization, StoreError> {
        let sql = "/* update_organization */
                   UPDATE organizations
                   SET name = COALESCE($2, name), description = COALESCE($3, description), updated_at = $4
                   WHERE id = $1 RETURNING name, description, id, created_at, updated_at";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let values = [id.into(), change.name.into(), change.description.into(), now.into()];
                    let row = tx.row(sql, &values).await?.ok_or(StoreError::Gone)?;
                    audit::record(tx, &audit, Some(id.0)).await?;
                    organization(row)
                })
            })
            .await
    }

    /// Deletes an organization that has nothing any more. Its audit log stays, for superusers.
    pub async fn delete_organization(
        &self,
        id: OrganizationId,
        mut audit: NewAudit,
    ) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    for (what, sql) in [
                        ("users", "/* has_users */ SELECT id FROM users WHERE organization_id = $1 LIMIT 1"),
                        (
                            "CAs",
                            "/* has_cas */ SELECT id FROM certificate_authorities WHERE organization_id = $1 LIMIT 1",
                        ),
                        (
                            "certificates",
                            "/* has_certificates */ SELECT id FROM certificates WHERE organization_id = $1 LIMIT 1",
                        ),
                        (
                            "service accounts",
                            "/* has_accounts */ SELECT id FROM service_accounts WHERE organization_id = $1 LIMIT 1",
                        ),
                    ] {
                        if tx.row(sql, &[id.into()]).await?.is_some() {
                            return Err(StoreError::NotEmpty(what));
                        }
                    }
                    let sql = "/* keep_audit_id */
                               UPDATE audit_logs SET original_organization_id = organization_id, organization_id = NULL
                               WHERE organization_id = $1";
                    tx.execute(sql, &[id.into()]).await?;
                    let sql = "/* delete_organization */ DELETE FROM organizations WHERE id = $1";
                    if tx.execute(sql, &[id.into()]).await? == 0 {
                        return Err(StoreError::Gone);
                    }
                    audit::record(tx, &audit, Some(id.0)).await
                })
            })
            .await
    }

    /// Every organization by name, or the one with this id.
    pub async fn organizations(&self, only: Option<OrganizationId>) -> Result<Vec<Organization>, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = match only {
                        Some(id) => {
                            let sql = "/* organization */
                                       SELECT name, description, id, created_at, updated_at
                                       FROM organizations WHERE id = $1";
                            tx.rows(sql, &[id.into()]).await?
                        }
                        None => {
                            let sql = "/* organizations */
                                       SELECT name, description, id, created_at, updated_at
                                       FROM organizations ORDER BY name";
                            tx.rows(sql, &[]).await?
                        }
                    };
                    rows.into_iter().map(organization).collect()
                })
            })
            .await
    }
}

fn organization(mut row: Row) -> Result<Organization, StoreError> {
    Ok(Organization {
        name: row.next()?,
        description: row.next()?,
        id: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}
