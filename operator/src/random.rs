//! Random bytes, from the one provider of cryptography.

use aws_lc_rs::rand;

/// None only where the provider has none; nothing may be made of what came instead.
pub(crate) fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}
