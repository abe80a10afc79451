//! Laws of deciding, over policies as people write them.

mod bed;
mod callers;
mod laws;
mod lists;
mod observe;
mod properties;
