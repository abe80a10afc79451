//! Reads our kinds from files: YAML or JSON, several documents a file, directories, all mistakes at once.
//!
//! What is accepted here is what the API server would accept, so that a file means the same standalone and in a cluster;
//! what two YAML readers may take differently (anchors, merge keys, `on`, `010`) is refused. The tree is read from
//! events that carry line and column, so each mistake has a place.

mod check;
mod files;
mod json;
mod load;
mod mistake;
mod near;
mod object;
mod place;
mod scalar;
mod secret;
mod tree;

pub use files::Input;
pub use load::{Loaded, Note, load};
pub use mistake::Mistake;
pub use place::{ObjectName, Place, Places};
