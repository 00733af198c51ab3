//! What service accounts may have issued.

use fastpki_types::{
    CertificateType, IssuancePolicy, IssuanceRules, Named, PolicyId, ServiceAccountId, Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Store,
    audit::{self, NewAudit},
    db::{Row, Table, Tx, Value},
    error::StoreError,
};

impl Store {
    /// Sets the policy of a service account.
    pub async fn set_policy(
        &self,
        account: ServiceAccountId,
        rules: IssuanceRules,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<IssuancePolicy, StoreError> {
        let sql = "/* set_policy */
                   INSERT INTO issuance_policies
                       (id, service_account_id, cn_patterns, san_dns_patterns, san_ip_cidrs, san_email_domains,
                        allowed_ca_ids, allowed_certificate_types, max_validity_days, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
                   ON CONFLICT (service_account_id) DO UPDATE
                   SET cn_patterns = excluded.cn_patterns, san_dns_patterns = excluded.san_dns_patterns,
                       san_ip_cidrs = excluded.san_ip_cidrs, san_email_domains = excluded.san_email_domains,
                       allowed_ca_ids = excluded.allowed_ca_ids,
                       allowed_certificate_types = excluded.allowed_certificate_types,
                       max_validity_days = excluded.max_validity_days, updated_at = excluded.updated_at";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let id = PolicyId(tx.next_id(Table::Policies).await?);
                    let types: Vec<&str> =
                        rules.allowed_certificate_types.iter().map(|kind| kind.name()).collect();
                    let values = [
                        id.into(),
                        account.into(),
                        json(&rules.cn_patterns)?,
                        json(&rules.san_dns_patterns)?,
                        json(&rules.san_ip_cidrs)?,
                        json(&rules.san_email_domains)?,
                        json(&rules.allowed_ca_ids)?,
                        json(&types)?,
                        rules.max_validity_days.into(),
                        now.into(),
                    ];
                    tx.execute(sql, &values).await?;
                    audit::record(tx, &audit, Some(account.0)).await?;
                    one(tx, account).await?.ok_or(StoreError::Gone)
                })
            })
            .await
    }

    /// The policy of a service account.
    pub async fn policy(&self, account: ServiceAccountId) -> Result<Option<IssuancePolicy>, StoreError> {
        self.db.read(move |tx| Box::pin(async move { one(tx, account).await })).await
    }

    /// Removes the policy of a service account, if it has one; only then there is an entry.
    pub async fn clear_policy(
        &self,
        account: ServiceAccountId,
        mut audit: NewAudit,
    ) -> Result<(), StoreError> {
        let sql = "/* clear_policy */ DELETE FROM issuance_policies WHERE service_account_id = $1";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    if tx.execute(sql, &[account.into()]).await? > 0 {
                        audit::record(tx, &audit, Some(account.0)).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

async fn one(tx: &mut Tx, account: ServiceAccountId) -> Result<Option<IssuancePolicy>, StoreError> {
    tx.row(ONE, &[account.into()]).await?.map(policy).transpose()
}

/// The policy of a service account.
pub(crate) const ONE: &str = "/* policy */
    SELECT id, service_account_id, cn_patterns, san_dns_patterns, san_ip_cidrs, san_email_domains, allowed_ca_ids,
           allowed_certificate_types, max_validity_days, created_at, updated_at
    FROM issuance_policies WHERE service_account_id = $1";

/// A row of [`ONE`].
pub(crate) fn policy(mut row: Row) -> Result<IssuancePolicy, StoreError> {
    Ok(IssuancePolicy {
        id: row.next()?,
        service_account_id: row.next()?,
        rules: IssuanceRules {
            cn_patterns: list(&mut row)?,
            san_dns_patterns: list(&mut row)?,
            san_ip_cidrs: list(&mut row)?,
            san_email_domains: list(&mut row)?,
            allowed_ca_ids: list(&mut row)?,
            allowed_certificate_types: list::<CertificateType>(&mut row)?,
            max_validity_days: row.next()?,
        },
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

fn json(list: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_string(list).map(Value::Text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// A list in JSON; null, of the column or in it, is an empty one.
fn list<T: DeserializeOwned>(row: &mut Row) -> Result<Vec<T>, StoreError> {
    let Some(text) = row.next::<Option<String>>()? else { return Ok(Vec::new()) };
    let list: Option<Vec<T>> = serde_json::from_str(&text).map_err(|error| {
        StoreError::Corrupt(format!("a list of an issuance policy cannot be read: {error}"))
    })?;
    Ok(list.unwrap_or_default())
}
