//! Options for the capability flags of users and service accounts.

use clap::Args;
use fastpki_types::{Flags, FlagsUpdate};

/// Flags that are given.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct FlagOptions {
    /// May create certificate authorities.
    #[arg(long, help_heading = "Rights")]
    can_create_ca: bool,
    /// May issue certificates.
    #[arg(long, help_heading = "Rights")]
    can_create_cert: bool,
    /// May revoke certificates.
    #[arg(long, help_heading = "Rights")]
    can_revoke_cert: bool,
    /// May read private keys.
    #[arg(long, visible_alias = "can-export-private-key", help_heading = "Rights")]
    can_export_key: bool,
    /// May delete certificate authorities.
    #[arg(long, help_heading = "Rights")]
    can_delete_ca: bool,
}

/// Flags that are given or taken.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct FlagChanges {
    #[command(flatten)]
    given: FlagOptions,
    /// May not create certificate authorities any more.
    #[arg(
        long,
        visible_alias = "no-can-create-ca",
        conflicts_with = "can_create_ca",
        help_heading = "Rights"
    )]
    no_create_ca: bool,
    /// May not issue certificates any more.
    #[arg(
        long,
        visible_alias = "no-can-create-cert",
        conflicts_with = "can_create_cert",
        help_heading = "Rights"
    )]
    no_create_cert: bool,
    /// May not revoke certificates any more.
    #[arg(
        long,
        visible_alias = "no-can-revoke-cert",
        conflicts_with = "can_revoke_cert",
        help_heading = "Rights"
    )]
    no_revoke_cert: bool,
    /// May not read private keys any more.
    #[arg(
        long,
        visible_aliases = ["no-can-export-key", "no-can-export-private-key"],
        conflicts_with = "can_export_key",
        help_heading = "Rights"
    )]
    no_export_key: bool,
    /// May not delete certificate authorities any more.
    #[arg(
        long,
        visible_alias = "no-can-delete-ca",
        conflicts_with = "can_delete_ca",
        help_heading = "Rights"
    )]
    no_delete_ca: bool,
}

impl From<FlagOptions> for Flags {
    fn from(options: FlagOptions) -> Self {
        Self {
            can_create_ca: options.can_create_ca,
            can_create_cert: options.can_create_cert,
            can_revoke_cert: options.can_revoke_cert,
            can_export_private_key: options.can_export_key,
            can_delete_ca: options.can_delete_ca,
        }
    }
}

impl From<FlagChanges> for FlagsUpdate {
    fn from(changes: FlagChanges) -> Self {
        let change = |given: bool, taken: bool| (given || taken).then_some(given);
        let given = changes.given;
        Self {
            can_create_ca: change(given.can_create_ca, changes.no_create_ca),
            can_create_cert: change(given.can_create_cert, changes.no_create_cert),
            can_revoke_cert: change(given.can_revoke_cert, changes.no_revoke_cert),
            can_export_private_key: change(given.can_export_key, changes.no_export_key),
            can_delete_ca: change(given.can_delete_ca, changes.no_delete_ca),
        }
    }
}
