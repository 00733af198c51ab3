//! The program as its users run it.

mod durability;
mod program;
mod whole_job;
