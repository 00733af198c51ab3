use std::fmt;

use crate::san::SanKind;

/// What a certificate is for, which decides its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A self-signed certificate authority.
    Root {
        /// How many CAs may follow below; `None` sets no limit.
        path_len: Option<u8>,
    },
    /// A certificate authority under another one.
    Intermediate {
        /// How many CAs may follow below; `None` sets no limit.
        path_len: Option<u8>,
    },
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
    /// A TLS server that is a client too.
    DualPurpose,
}

impl Profile {
    /// Whether the subject may sign certificates.
    pub fn is_ca(self) -> bool {
        matches!(self, Self::Root { .. } | Self::Intermediate { .. })
    }

    /// The path length constraint, where the profile has one.
    pub(crate) fn path_len(self) -> Option<u8> {
        match self {
            Self::Root { path_len } | Self::Intermediate { path_len } => path_len,
            Self::Server | Self::Client | Self::DualPurpose => None,
        }
    }

    pub(crate) fn is_server(self) -> bool {
        matches!(self, Self::Server | Self::DualPurpose)
    }

    pub(crate) fn is_client(self) -> bool {
        matches!(self, Self::Client | Self::DualPurpose)
    }

    /// Whether a certificate of this profile carries alternative names of this kind.
    pub(crate) fn allows(self, kind: SanKind) -> bool {
        match kind {
            SanKind::Dns | SanKind::Ip => self.is_server(),
            SanKind::Email => self.is_client(),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root { .. } => "root CA",
            Self::Intermediate { .. } => "CA",
            Self::Server => "server",
            Self::Client => "client",
            Self::DualPurpose => "dual-purpose",
        })
    }
}
