//! The room from outside: real keys sign real tokens, a real server publishes the keys, only time is moved by hand.

mod callers;
mod claims;
mod config;
mod jwks;
mod keys;
pub(super) mod support;
mod tokens;
