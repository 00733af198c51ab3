//! All private keys of a database at once: reading and checking them, moving them under another key, and
//! leaving nothing behind of how they lay before.

mod pages;
mod progress;
mod rewrite;
mod survey;
mod wipe;

use crate::db::Table;

pub use progress::{Progress, Stage};
pub use rewrite::{Rewrite, Rewritten};
pub use survey::{Survey, TableKeys, UnreadableKeys};
pub use wipe::{KeysLock, Wipe};

/// A table with a column of private keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTable {
    /// `certificate_authorities`
    Authorities,
    /// `certificates`
    Certificates,
}

impl KeyTable {
    /// Every table with private keys in it.
    pub const ALL: [Self; 2] = [Self::Authorities, Self::Certificates];

    /// What the table is called.
    pub fn name(self) -> &'static str {
        self.table().name()
    }

    fn table(self) -> Table {
        match self {
            Self::Authorities => Table::Authorities,
            Self::Certificates => Table::Certificates,
        }
    }
}
