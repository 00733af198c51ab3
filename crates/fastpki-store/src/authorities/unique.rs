//! Names and subjects that only one CA has.

use fastpki_types::{CaId, OrganizationId, ServiceAccountId, UserId};
use fastpki_x509::Certificate;

use crate::{
    db::{Tx, Value},
    error::{StoreError, Unique},
};

/// Whose a CA is: an organization's or, without one, of the principal who created it. Names are unique among the CAs of
/// an owner, so that nobody takes a name from somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The organization.
    pub organization_id: Option<OrganizationId>,
    /// The user who created it.
    pub created_by_user_id: Option<UserId>,
    /// The service account that created it.
    pub created_by_service_account_id: Option<ServiceAccountId>,
}

impl Owner {
    /// The condition on the CA `a`; its values are added.
    pub(super) fn condition(&self, values: &mut Vec<Value>) -> String {
        if let Some(organization) = self.organization_id {
            values.push(organization.into());
            return format!("a.organization_id = ${}", values.len());
        }
        let mut condition = "a.organization_id IS NULL".to_owned();
        for (column, value) in [
            ("created_by_user_id", Value::from(self.created_by_user_id)),
            ("created_by_service_account_id", Value::from(self.created_by_service_account_id)),
        ] {
            values.push(value);
            condition.push_str(&format!(" AND a.{column} IS NOT DISTINCT FROM ${}", values.len()));
        }
        condition
    }
}

/// Refuses a name that another CA of the owner has.
pub(super) async fn check_name(
    tx: &mut Tx,
    ca: Option<CaId>,
    owner: Owner,
    name: &str,
) -> Result<(), StoreError> {
    // No row has the id 0.
    let mut values: Vec<Value> = vec![name.into(), ca.unwrap_or(CaId(0)).into()];
    let condition = owner.condition(&mut values);
    let sql = format!(
        "/* same_name */ SELECT a.id FROM certificate_authorities a WHERE a.name = $1 AND a.id <> $2 AND {condition} LIMIT 1"
    );
    match tx.row(&sql, &values).await? {
        Some(_) => Err(StoreError::Duplicate(Unique::AuthorityName)),
        None => Ok(()),
    }
}

/// Refuses a subject that another CA below the parent has or, without a parent, another CA of the owner without one.
/// `subject` is as [`fastpki_x509::Name::comparable`] has it.
pub(super) async fn check_subject(
    tx: &mut Tx,
    ca: Option<CaId>,
    parent: Option<CaId>,
    owner: Owner,
    subject: &str,
) -> Result<(), StoreError> {
    let mut values: Vec<Value> = vec![subject.into(), ca.unwrap_or(CaId(0)).into()];
    let condition = match parent {
        Some(parent) => {
            values.push(parent.into());
            "a.parent_ca_id = $3".to_owned()
        }
        None => format!("a.parent_ca_id IS NULL AND {}", owner.condition(&mut values)),
    };
    let sql = format!(
        "/* same_subject */
         SELECT a.subject_key, a.certificate FROM certificate_authorities a
         WHERE (a.subject_key = $1 OR a.subject_key IS NULL) AND a.id <> $2 AND {condition}"
    );
    for mut row in tx.rows(&sql, &values).await? {
        let (key, certificate): (Option<String>, String) = (row.next()?, row.next()?);
        if key.is_some() || subject_key(&certificate).as_deref() == Some(subject) {
            return Err(StoreError::Duplicate(Unique::AuthoritySubject));
        }
    }
    Ok(())
}

/// The subject of a certificate in PEM as names are compared; `None` where it cannot be read.
pub(super) fn subject_key(certificate: &str) -> Option<String> {
    Some(Certificate::from_pem(certificate).ok()?.subject().comparable())
}
