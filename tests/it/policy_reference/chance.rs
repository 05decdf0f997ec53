//! Random choices that a seed repeats.

/// A generator of random numbers: SplitMix64.
pub(super) struct Chance(u64);

impl Chance {
    /// The same seed leads to the same choices.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    /// Whether something happens that happens so many times out of a hundred.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of some values.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// At least one of some values, each at most once, in their order.
    pub(super) fn some<T: Copy>(&mut self, from: &[T]) -> Vec<T> {
        let certain = self.below(from.len());
        let mut chosen = Vec::new();
        for (n, value) in from.iter().enumerate() {
            if n == certain || self.percent(30) {
                chosen.push(*value);
            }
        }
        chosen
    }

    /// Some values as a list in TOML and JSON.
    pub(super) fn list(&mut self, from: &[&str]) -> String {
        format!("[\"{}\"]", self.some(from).join("\", \""))
    }
}
