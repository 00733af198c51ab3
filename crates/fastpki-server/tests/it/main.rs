//! The REST API over real HTTP, every test on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod harness;

mod adoption;
mod audit;
mod auth;
mod bad_input;
mod bodies;
mod ca_revocation;
mod cas;
mod certificates;
mod changing_cas;
mod clocks;
mod connections;
mod crl_failures;
mod encryption;
mod export;
mod importing;
mod issuance_policy;
mod lists;
mod matrix;
mod moving_cas;
mod names;
mod names_of_cas;
mod old_data;
mod openapi;
mod organizations;
mod outages;
mod public;
mod public_keys;
mod raw;
mod service_accounts;
mod sessions;
mod several_servers;
mod standing;
mod tenants;
mod users;
