//! The program as its users run it.

mod api;
mod cli;
mod durability;
mod keys;
mod keys_durability;
mod operator;
mod program;
mod tls;
mod whole_job;
