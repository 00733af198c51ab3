//! The REST API and the public downloads: routes, extraction, status codes, headers.
//!
//! This crate has neither the store nor the X.509 code among its dependencies: it cannot run SQL and
//! it cannot sign.

mod answers;
mod api;
mod checkup;
mod connections;
mod docs;
mod error;
mod extract;
mod fields;
mod heads;
mod json;
mod listing;
mod network;
mod openapi;
mod operator;
mod proxy;
mod public;
mod rate_limit;
mod request_log;
mod router;
mod routes;
mod serve;
pub mod settings;
mod start;
mod state;
mod tls;

pub use checkup::{check_problems, check_settings};
pub use connections::ConnectionBounds;
pub use operator::{new_password, new_user};
pub use router::{openapi, router};
pub use serve::{Running, serve, stop_within};
pub use start::{StartError, database_config, encryption_keys, engine_config, secret_key_file};
pub use state::{AppState, WebSettings};
pub use tls::Tls;
