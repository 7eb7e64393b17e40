//! NumPy's `RandomState`, of which other programs draw their subsets: the Mersenne Twister and a shuffle from the end.

/// Words of the generator's state.
const N: usize = 624;

/// A generator with a seed.
///
/// ```
/// use ganforge_metrics::sets::random_state::RandomState;
/// assert_eq!(RandomState::new(2020).permutation(10), [2, 4, 9, 1, 5, 7, 6, 3, 8, 0]);
/// ```
///
/// source: Matsumoto and Nishimura 1998; NEP 19 of NumPy, which keeps its streams as they are
#[derive(Clone, Debug)]
pub struct RandomState {
    words: Vec<u32>,
    next: usize,
}

impl RandomState {
    /// As `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> RandomState {
        let mut words = vec![seed; N];
        for i in 1..N {
            let before = words[i - 1] ^ (words[i - 1] >> 30);
            words[i] = before.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        RandomState { words, next: N }
    }

    /// The next 32 bits.
    pub fn word(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let joined = (self.words[i] & (1 << 31)) | (self.words[(i + 1) % N] & !(1 << 31));
                let twist = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
                self.words[i] = self.words[(i + 397) % N] ^ (joined >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9D2C_5680;
        word ^= (word << 15) & 0xEFC6_0000;
        word ^ (word >> 18)
    }

    /// A whole number from 0 to `top`: bits below the highest of `top`, drawn until they are not above it.
    fn up_to(&mut self, top: u64) -> u64 {
        let mask = u64::MAX.checked_shr(top.leading_zeros()).unwrap_or(0);
        loop {
            let bits = match u32::try_from(top) {
                Ok(_) => u64::from(self.word()),
                Err(_) => (u64::from(self.word()) << 32) | u64::from(self.word()),
            };
            if bits & mask <= top {
                return bits & mask;
            }
        }
    }

    /// As `permutation(n)`: the numbers from 0 to n - 1 in another order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            let j = self.up_to(i as u64) as usize;
            order.swap(i, j);
        }
        order
    }

    /// As `choice(n, count, replace=False)`: `count` of the numbers from 0 to n - 1, or all where there are fewer.
    pub fn choice(&mut self, n: usize, count: usize) -> Vec<usize> {
        let mut order = self.permutation(n);
        order.truncate(count);
        order.shrink_to_fit();
        order
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;

    #[test]
    fn draws_are_numpys() {
        let golden = &golden()["random_state"];
        let mut state = RandomState::new(2020);
        for expected in golden["words"].as_array().expect("words") {
            assert_eq!(Some(u64::from(state.word())), expected.as_u64());
        }
        let mut state = RandomState::new(2020);
        for expected in golden["up to 2**33"].as_array().expect("numbers") {
            assert_eq!(Some(state.up_to(1 << 33)), expected.as_u64());
        }
        let expected: Vec<usize> =
            serde_json::from_value(golden["permutation of 10"].clone()).expect("numbers");
        assert_eq!(RandomState::new(2020).permutation(10), expected);
        let expected: Vec<usize> =
            serde_json::from_value(golden["every 100th of 1000 of 10000"].clone())
                .expect("numbers");
        let chosen = RandomState::new(2020).choice(10_000, 1000);
        let some: Vec<usize> = chosen.iter().copied().step_by(100).collect();
        assert_eq!((some, chosen.len()), (expected, 1000));
        assert_eq!(RandomState::new(1).choice(0, 5).len(), 0);
        assert_eq!(RandomState::new(1).permutation(1), [0]);
    }
}
