//! Who is calling: a bearer token becomes a [`Verified`] principal, or a [`TokenError`] that says why not.
//!
//! Everything behind this room trusts a `Verified` without looking again, so only [`Verifier`] makes one. The room
//! never forwards a token, never logs one, and never fetches a key from an address that a token names.

pub mod challenge;
pub mod config;
pub mod fetch;
pub mod local;

mod cache;
mod claim;
mod error;
mod jwks;
mod jwt;
mod keys;
mod principal;
mod verified;
mod verifier;

pub use challenge::{Challenge, ProtectedResource, ResourceFacts, Resources};
pub use claim::ClaimPath;
pub use config::{
    Anonymous, ClaimsMapping, ClusterIssuer, ConfigError, IdentityConfig, IssuerConfig, JwksSource,
};
pub use error::{KeysError, TokenError};
pub use jwks::{JwkSet, JwksError};
pub use verified::Verified;
pub use verifier::{Verifier, bearer};

#[cfg(test)]
mod tests;
