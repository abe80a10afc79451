//! From sources to signed policy in the cluster: compile, sign, write, touch.

pub mod bundle;
pub mod names;
pub mod root;
pub mod signer;
pub mod touch;
pub mod write;

pub use bundle::{Held, Policy};
pub use root::Root;
pub use signer::{SealError, Sealed, Signer};
