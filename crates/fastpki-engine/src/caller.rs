//! Who asks.

use fastpki_store::Standing;
use fastpki_types::{
    Flags, OrganizationId, ServiceAccountId, ServiceAccountTokenId, Timestamp, UserId, UserRole,
};

/// The id of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalId {
    /// A user.
    User(UserId),
    /// A service account.
    ServiceAccount(ServiceAccountId),
}

/// A principal that has proven who it is, as the database has it now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its id.
    pub id: PrincipalId,
    /// Its name.
    pub name: String,
    /// Its role; service accounts count as users.
    pub role: UserRole,
    /// The organization it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// What it may do beyond reading.
    pub flags: Flags,
    /// The access token that it came with, if that has an id: the id, and when the token ends.
    pub access_token: Option<(String, Timestamp)>,
    /// Since when every token of the user's that was issued before is dead.
    pub tokens_invalidated_at: Option<Timestamp>,
    /// How often the user's tokens were invalidated.
    pub token_generation: i32,
    /// The token of a service account that it came with.
    pub account_token: Option<ServiceAccountTokenId>,
}

impl Caller {
    /// Whether it is a superuser.
    pub fn is_superuser(&self) -> bool {
        self.role == UserRole::Superuser
    }

    /// What it is now, to be compared where a change is written.
    pub(crate) fn standing(&self) -> Standing {
        match self.id {
            PrincipalId::User(id) => Standing::User {
                id,
                role: self.role,
                organization_id: self.organization_id,
                flags: self.flags,
                tokens_invalidated_at: self.tokens_invalidated_at,
                token_generation: self.token_generation,
                access_token: self.access_token.as_ref().map(|(jti, _)| jti.clone()),
            },
            PrincipalId::ServiceAccount(id) => Standing::ServiceAccount {
                id,
                organization_id: self.organization_id,
                flags: self.flags,
                token: self.account_token,
            },
        }
    }

    /// Its id if it is a user.
    pub fn user_id(&self) -> Option<UserId> {
        match self.id {
            PrincipalId::User(id) => Some(id),
            PrincipalId::ServiceAccount(_) => None,
        }
    }

    /// Its id if it is a service account.
    pub fn service_account_id(&self) -> Option<ServiceAccountId> {
        match self.id {
            PrincipalId::User(_) => None,
            PrincipalId::ServiceAccount(id) => Some(id),
        }
    }
}
