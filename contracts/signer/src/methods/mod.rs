//! What can be called, by who calls it.

mod attestations;
mod foreign_chains;
mod governance;
mod key_events;
mod measurements;
mod migrations;
mod responses;
mod updates;
pub(crate) mod user;
mod views;
