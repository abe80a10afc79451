//! Conditions: operands, operators and three-valued results (laws 2 and 3). Compiled once; total and bounded.

pub mod claim;
pub mod decimal;
pub mod glob;
pub mod scalar;
pub mod uri;
pub mod within;

pub use scalar::Scalar;
