//! Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011).
//!
//! An element is a pure function of (key, stream, counter, index), so any thread or device can generate any part of an
//! array with the same bits. The transforms use plain multiplications and additions (see `approx.rs`).
//! Single-threaded: the caller distributes ranges of elements over threads.

use super::approx::{cos_sin_turn, log_f32};
use super::multiversion::multiversion;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// 2^-24, the spacing of the uniform numbers.
const UNIT: f32 = 1.0 / 16_777_216.0;

/// Names an array of random numbers.
///
/// Element i is word i % 4 of block i / 4; the words of Philox's counter are [block, stream, low and high half of
/// `counter`], those of its key are the low and high half of `key`. The block number is 32 bits wide: after 2^34
/// elements the sequence repeats.
///
/// ```
/// use ganforge_kernels::cpu::rng::{RandomStream, uniform};
/// let s = RandomStream { key: 1, stream: 2, counter: 3 };
/// let (mut whole, mut part) = ([0.0; 100], [0.0; 10]);
/// uniform(s, 0, -1.0, 1.0, &mut whole);
/// uniform(s, 40, -1.0, 1.0, &mut part); // any part by itself
/// assert_eq!(part, whole[40..50]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomStream {
    /// One per run: the seed.
    pub key: u64,
    /// One per use (initial weights, noise, dropout, ...), so that adding a use does not shift the others.
    pub stream: u32,
    /// One per draw: the step.
    pub counter: u64,
}

impl RandomStream {
    #[inline(always)]
    fn key_words(self) -> [u32; 2] {
        [self.key as u32, (self.key >> 32) as u32]
    }

    #[inline(always)]
    fn counter_words(self, block: u32) -> [u32; 4] {
        [
            block,
            self.stream,
            self.counter as u32,
            (self.counter >> 32) as u32,
        ]
    }
}

/// Ten rounds of Philox 4x32 on one counter.
pub fn philox4x32_10(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    ten_rounds(key, counter)
}

/// Words live in 64-bit integers whose upper half is ignored, which is what vector multiplications take and give.
#[inline(always)]
fn ten_rounds(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    const LOW: u64 = 0xffff_ffff;
    let [mut k0, mut k1] = key;
    let [c0, c1, c2, c3] = counter;
    let (mut x0, mut x1, mut x2, mut x3) =
        (u64::from(c0), u64::from(c1), u64::from(c2), u64::from(c3));
    for _ in 0..10 {
        let p0 = (x0 & LOW) * u64::from(MULTIPLIERS[0]);
        let p1 = (x2 & LOW) * u64::from(MULTIPLIERS[1]);
        (x0, x1, x2, x3) = (
            (p1 >> 32) ^ x1 ^ u64::from(k0),
            p1,
            (p0 >> 32) ^ x3 ^ u64::from(k1),
            p0,
        );
        (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
    }
    [x0 as u32, x1 as u32, x2 as u32, x3 as u32]
}

/// Makes four numbers of a distribution from a block's words. A trait, because closures cannot be forced inline and
/// would be compiled for the baseline instruction set.
trait Distribution: Copy {
    fn transform(self, words: [u32; 4]) -> [f32; 4];
}

#[derive(Clone, Copy)]
struct Uniform {
    lo: f32,
    width: f32,
    top: f32,
}

impl Uniform {
    #[inline(always)]
    fn one(self, word: u32) -> f32 {
        let v = self.lo + self.width * unit(word >> 8);
        if v > self.top { self.top } else { v }
    }
}

impl Distribution for Uniform {
    #[inline(always)]
    fn transform(self, [a, b, c, d]: [u32; 4]) -> [f32; 4] {
        [self.one(a), self.one(b), self.one(c), self.one(d)]
    }
}

#[derive(Clone, Copy)]
struct Normal {
    mean: f32,
    sd: f32,
}

impl Normal {
    #[inline(always)]
    fn pair(self, a: u32, b: u32) -> (f32, f32) {
        let r = (-2.0 * log_f32(unit((a >> 8) + 1))).sqrt();
        let (cos, sin) = cos_sin_turn(unit(b >> 8));
        (
            self.mean + self.sd * (r * cos),
            self.mean + self.sd * (r * sin),
        )
    }
}

impl Distribution for Normal {
    #[inline(always)]
    fn transform(self, [a, b, c, d]: [u32; 4]) -> [f32; 4] {
        let ((a, b), (c, d)) = (self.pair(a, b), self.pair(c, d));
        [a, b, c, d]
    }
}

#[derive(Clone, Copy)]
struct Bernoulli {
    threshold: u32,
    value: f32,
}

impl Bernoulli {
    #[inline(always)]
    fn one(self, word: u32) -> f32 {
        if word < self.threshold {
            self.value
        } else {
            0.0
        }
    }
}

impl Distribution for Bernoulli {
    #[inline(always)]
    fn transform(self, [a, b, c, d]: [u32; 4]) -> [f32; 4] {
        [self.one(a), self.one(b), self.one(c), self.one(d)]
    }
}

/// k 2^-24 for k <= 2^24, exactly.
#[inline(always)]
fn unit(k: u32) -> f32 {
    k as i32 as f32 * UNIT
}

/// The numbers of one block.
#[inline(always)]
fn draw(s: RandomStream, block: u32, distribution: impl Distribution) -> [f32; 4] {
    distribution.transform(ten_rounds(s.key_words(), s.counter_words(block)))
}

/// Elements `start`..`start + out.len()` of the array.
#[inline(always)]
fn fill(s: RandomStream, start: usize, out: &mut [f32], distribution: impl Distribution) {
    let mut block = (start / 4) as u32;
    let skip = start % 4;
    let (first, rest) = out.split_at_mut(if skip == 0 {
        0
    } else {
        (4 - skip).min(out.len())
    });
    if !first.is_empty() {
        first.copy_from_slice(&draw(s, block, distribution)[skip..skip + first.len()]);
        block = block.wrapping_add(1);
    }
    let (blocks, last) = rest.as_chunks_mut::<4>();
    for (i, numbers) in blocks.iter_mut().enumerate() {
        *numbers = draw(s, block.wrapping_add(i as u32), distribution);
    }
    if !last.is_empty() {
        block = block.wrapping_add(blocks.len() as u32);
        last.copy_from_slice(&draw(s, block, distribution)[..last.len()]);
    }
}

multiversion! {
    /// Uniform numbers in [lo, hi), for lo < hi: elements `start`..`start + out.len()` of the stream's array.
    ///
    /// u = (word >> 8) 2^-24; out = min(lo + (hi - lo) u, the largest f32 below hi).
    pub fn uniform(s: RandomStream, start: usize, lo: f32, hi: f32, out: &mut [f32]) {
        fill(s, start, out, Uniform { lo, width: hi - lo, top: hi.next_down() });
    }

    /// Normal numbers of the given mean and standard deviation: elements `start`..`start + out.len()`.
    ///
    /// Box and Muller (1958) on the word pairs (0, 1) and (2, 3) of a block: u1 = ((word >> 8) + 1) 2^-24 in (0, 1],
    /// u2 = (word >> 8) 2^-24, r = sqrt(-2 ln u1); the pair is mean + sd (r cos 2 pi u2), mean + sd (r sin 2 pi u2).
    pub fn normal(s: RandomStream, start: usize, mean: f32, sd: f32, out: &mut [f32]) {
        fill(s, start, out, Normal { mean, sd });
    }

    /// `value` with probability p, 0 otherwise: elements `start`..`start + out.len()`.
    ///
    /// out = value where word < floor(2^32 p): always for p >= 1, never for p <= 0 (or NaN).
    pub fn bernoulli(s: RandomStream, start: usize, p: f32, value: f32, out: &mut [f32]) {
        if p >= 1.0 {
            return out.fill(value);
        }
        let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
        fill(s, start, out, Bernoulli { threshold, value });
    }
}

/// The words of a stream's array one after another.
struct Words {
    stream: RandomStream,
    next_block: u32,
    block: [u32; 4],
    used: usize,
}

impl Words {
    fn new(stream: RandomStream) -> Self {
        Words {
            stream,
            next_block: 0,
            block: [0; 4],
            used: 4,
        }
    }

    fn next(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox4x32_10(
                self.stream.key_words(),
                self.stream.counter_words(self.next_block),
            );
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A number in 0..range, each equally likely (Lemire 2019, "Fast random integer generation in an interval").
    fn below(&mut self, range: u32) -> u32 {
        let mut product = u64::from(self.next()) * u64::from(range);
        if (product as u32) < range {
            let reject = range.wrapping_neg() % range;
            while (product as u32) < reject {
                product = u64::from(self.next()) * u64::from(range);
            }
        }
        (product >> 32) as u32
    }
}

/// A random permutation of 0..n, all equally likely; out: `[n]`.
///
/// Fisher and Yates in Durstenfeld's order: for i = n - 1 down to 1, exchange places i and j, j uniform in 0..=i.
pub fn permutation(s: RandomStream, n: usize, out: &mut [u32]) {
    assert_eq!(out.len(), n, "permutation: out does not have n elements");
    assert!(
        u32::try_from(n).is_ok(),
        "permutation: n does not fit 32 bits"
    );
    for (i, v) in out.iter_mut().enumerate() {
        *v = i as u32;
    }
    let mut words = Words::new(s);
    for i in (1..n).rev() {
        out.swap(i, words.below(i as u32 + 1) as usize);
    }
}

#[cfg(test)]
mod tests;
