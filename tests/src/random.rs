//! Random numbers that are the same in every run.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below this one.
    ///
    /// # Panics
    ///
    /// Where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        // The high bits are the good ones.
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16;
        usize::try_from(number % u64::try_from(end).expect("a number")).expect("a number")
    }

    /// The bytes with one random damage: a bit flipped, the end cut off, bytes put in, or two ranges swapped.
    ///
    /// # Panics
    ///
    /// Where there are no bytes.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        let length = bytes.len();
        match self.below(4) {
            0 => damaged[self.below(length)] ^= 1 << self.below(8),
            1 => damaged.truncate(self.below(length)),
            2 => {
                let at = self.below(length);
                let count = 1 + self.below(8);
                let put_in: Vec<u8> = (0..count).map(|_| self.below(256).to_le_bytes()[0]).collect();
                damaged.splice(at..at, put_in);
            }
            _ => {
                let count = 1 + self.below((length / 2).clamp(1, 64));
                let (first, second) = (self.below(length - count + 1), self.below(length - count + 1));
                for offset in 0..count {
                    damaged.swap(first + offset, second + offset);
                }
            }
        }
        damaged
    }
}
