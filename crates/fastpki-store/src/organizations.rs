//! Organizations.

use fastpki_types::{Organization, OrganizationId, Timestamp};

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
