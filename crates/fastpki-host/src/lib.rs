//! What this program does on its host: private files, written whole or not at all, and programs that end with it.
//!
//! Every file that is to be private is made and opened here. Somebody else may have put something in its place: nothing
//! that is there is followed, truncated or trusted without a look at what it is and whose.

mod bound;
mod by_name;
mod error;
mod private;
mod unfinished;

pub use bound::{bound, run_bound};
pub use by_name::ByName;
pub use error::HostError;
pub use private::{
    check_database, create, is_there, lock_file, open_input, open_key, open_secret, read_secret,
    read_settings,
};
pub use unfinished::{Unfinished, replace_public, with_suffix};
