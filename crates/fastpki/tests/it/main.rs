//! The program as its users run it.

mod api;
mod cli;
mod durability;
mod keys;
mod keys_durability;
mod open_files;
mod operator;
mod program;
mod stopping;
mod tls;
mod whole_job;
