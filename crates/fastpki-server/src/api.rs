//! The REST API.

mod audit;
mod auth;
mod cas;
mod certificates;
mod export;
mod organizations;
mod users;

use axum::Router;

use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .merge(auth::routes())
        .merge(users::routes())
        .merge(organizations::routes())
        .merge(cas::routes())
        .merge(certificates::routes())
        .merge(export::routes())
        .merge(audit::routes())
}

/// Characters of a name that people give: what a database index, a log line and a table can bear.
const MAX_NAME: usize = 255;
/// Characters of a free text.
const MAX_TEXT: usize = 4096;
/// Characters of an e-mail address: RFC 5321.
const MAX_EMAIL: usize = 254;
/// Bytes of a distinguished name in its textual form.
const MAX_DN: usize = 4096;
/// Days of validity, to the year 9999.
const MAX_DAYS: u32 = 2_932_896;
