//! Checks before a body is read, while it is not known yet what exactly is wanted: a caller without any right costs
//! no reading. The permit is asked for afterwards all the same.

use fastpki_types::{User, UserRole, UserUpdate};

use super::principals::forbidden;
use crate::{Caller, Error};

impl Caller {
    /// Whether there is a user whom the caller may create: admins, superusers.
    pub fn check_creates_users(&self) -> Result<(), Error> {
        if self.role == UserRole::User {
            return forbidden("only admins and superusers create users");
        }
        Ok(())
    }

    /// Whether there is a change of this user that the caller may make.
    pub fn check_updates_user(&self, user: &User) -> Result<(), Error> {
        self.permit_update_user(user.clone(), UserUpdate::default()).map(drop)
    }

    /// Whether there is an organization that the caller may import CAs into, or none needed.
    pub fn check_imports(&self) -> Result<(), Error> {
        self.permit_import(None).map(drop)
    }

    /// Whether there is an organization in which the caller may create service accounts.
    pub fn check_creates_service_accounts(&self) -> Result<(), Error> {
        if self.is_superuser() {
            return Ok(());
        }
        self.permit_create_service_account(None).map(drop)
    }
}
