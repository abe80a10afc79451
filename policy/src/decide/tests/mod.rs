//! Laws of deciding, over policies as people write them.

mod ahead;
mod bed;
mod callers;
mod grants;
mod laws;
mod lists;
mod observe;
mod operands;
mod properties;
mod standing;
