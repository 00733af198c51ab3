//! The store on both databases: what is promised of writes, and what happens at the first contact.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod authorities;
mod first_contact;
mod harness;
mod writes;
