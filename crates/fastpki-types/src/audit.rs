//! The audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AuditId, OrganizationId, ServiceAccountId, Timestamp, UserId, names::named};

named! {
    /// What was done.
    AuditAction {
        /// A certificate authority was created.
        CaCreate = "ca_create",
        /// A certificate authority was brought along from another program.
        CaImport = "ca_import",
        /// A certificate authority was changed.
        CaUpdate = "ca_update",
        /// A certificate authority was revoked by its parent.
        CaRevoke = "ca_revoke",
        /// A certificate authority was deleted.
        CaDelete = "ca_delete",
        /// A CA's private key was read.
        CaExportPrivateKey = "ca_export_private_key",
        /// A certificate was issued, from a CSR or not, or renewed.
        CertCreate = "cert_create",
        /// A certificate was revoked.
        CertRevoke = "cert_revoke",
        /// A certificate's private key was read.
        CertExportPrivateKey = "cert_export_private_key",
        /// Somebody signed in.
        LoginSuccess = "login_success",
        /// Somebody failed to sign in.
        LoginFailure = "login_failure",
        /// Somebody signed out.
        Logout = "logout",
        /// Somebody made all their tokens invalid.
        TokensInvalidate = "tokens_invalidate",
        /// A user was created.
        UserCreate = "user_create",
        /// A user was changed.
        UserUpdate = "user_update",
        /// A user was deleted.
        UserDelete = "user_delete",
        /// An organization was created.
        OrgCreate = "org_create",
        /// An organization was changed.
        OrgUpdate = "org_update",
        /// An organization was deleted.
        OrgDelete = "org_delete",
        /// A user was put into an organization.
        OrgAddUser = "org_add_user",
        /// A user was taken out of an organization.
        OrgRemoveUser = "org_remove_user",
        /// A service account was created.
        ServiceAccountCreate = "service_account_create",
        /// A service account or its policy was changed.
        ServiceAccountUpdate = "service_account_update",
        /// A service account was deleted.
        ServiceAccountDelete = "service_account_delete",
        /// A token was made for a service account.
        ServiceAccountTokenCreate = "service_account_token_create",
        /// A service account's token was revoked.
        ServiceAccountTokenRevoke = "service_account_token_revoke",
        /// Private keys in plaintext were encrypted.
        KeysEncrypt = "keys_encrypt",
        /// Private keys were moved under the first encryption key.
        KeysRotate = "keys_rotate",
        /// Private keys were put back into plaintext.
        KeysDecrypt = "keys_decrypt",
        /// Every private key was read and held against its certificate.
        KeysVerify = "keys_verify",
        /// It was asked whether an encryption key can be given up.
        KeysRetire = "keys_retire",
        /// Traces of private keys as they lay before were overwritten.
        KeysWipe = "keys_wipe",
    }
}

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct AuditLog {
    /// Its id.
    pub id: AuditId,
    /// When it was done.
    pub created_at: Timestamp,
    /// What was done.
    pub action: AuditAction,
    /// The user who did it; null once that user is deleted.
    pub user_id: Option<UserId>,
    /// The id that this user had, once the user is deleted.
    pub original_user_id: Option<UserId>,
    /// That user's name at the time; for a failed sign-in the name that was tried.
    pub username: Option<String>,
    /// The service account that did it; null once that account is deleted.
    pub service_account_id: Option<ServiceAccountId>,
    /// The id that this account had, once the account is deleted.
    pub original_service_account_id: Option<ServiceAccountId>,
    /// That account's name at the time.
    pub service_account_name: Option<String>,
    /// The organization whose log it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The id that this organization had, once the organization is deleted.
    pub original_organization_id: Option<OrganizationId>,
    /// What it was done to: `ca`, `certificate`, `user`, `organization`, `service_account`.
    pub resource_type: Option<String>,
    /// The id of what it was done to.
    pub resource_id: Option<i32>,
    /// Particulars, for people.
    pub detail: Option<String>,
}
