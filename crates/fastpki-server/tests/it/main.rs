//! The REST API over real HTTP, every test on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod harness;

mod adoption;
mod audit;
mod auth;
mod bad_input;
mod cas;
mod certificates;
mod encryption;
mod export;
mod lists;
mod old_data;
mod organizations;
mod public;
mod sessions;
mod several_servers;
mod tenants;
mod users;
