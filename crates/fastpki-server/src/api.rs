//! The REST API.

mod audit;
mod auth;
mod cas;
mod certificates;
mod export;
mod organizations;
mod service_accounts;
mod users;

use axum::http::Method;

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::tagged("API")
        .merge(auth::routes())
        .merge(users::routes())
        .merge(organizations::routes())
        .merge(cas::routes())
        .merge(certificates::routes())
        .merge(export::routes())
        .merge(service_accounts::routes())
        .merge(audit::routes())
}

/// Methods, as routes name them.
const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Characters of a name that people give: what a database index, a log line and a table can bear.
pub(crate) const MAX_NAME: usize = 255;
/// Characters of a free text.
const MAX_TEXT: usize = 4096;
/// Characters of an e-mail address: RFC 5321.
const MAX_EMAIL: usize = 254;
/// Bytes of a distinguished name in its textual form.
const MAX_DN: usize = 4096;
/// Days of validity, to the year 9999.
const MAX_DAYS: u32 = 2_932_896;
