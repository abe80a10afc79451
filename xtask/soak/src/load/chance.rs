//! Chance that can be repeated: splitmix64 from the plan's seed.

#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64, client: u32) -> Self {
        Self(seed ^ u64::from(client).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of them, each as often as its weight says.
    pub(crate) fn of<T: Copy>(&mut self, weighed: &[(u64, T)]) -> Option<T> {
        let sum = weighed.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(sum);
        for (weight, item) in weighed {
            if at < *weight {
                return Some(*item);
            }
            at -= weight;
        }
        None
    }
}
