//! Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011).
//!
//! An element is a function of (key, stream, counter, index) alone, so any thread or device can draw any part of an
//! array and get the same bits. The transforms use plain multiplications and additions (see `approx.rs`).
//! Single-threaded: the caller spreads ranges of elements over threads.

use super::approx::{cos_sin_turn, log_f32};
use super::multiversion::multiversion;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// 2^-24, the spacing of the uniform numbers.
const UNIT: f32 = 1.0 / 16_777_216.0;
/// Blocks that are drawn together, so that the compiler can keep them in vector registers.
const GROUP: usize = 16;
/// Numbers in a group: each block gives four.
const NUMBERS: usize = 4 * GROUP;

/// Names an array of random numbers.
///
/// Element i is word i % 4 of block i / 4; the words of Philox's counter are [block, stream, low and high half of
/// `counter`], those of its key are the low and high half of `key`. The block number is 32 bits wide: after 2^34
/// elements the sequence repeats.
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
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = u64::from(c0) * u64::from(MULTIPLIERS[0]);
        let p1 = u64::from(c2) * u64::from(MULTIPLIERS[1]);
        (c0, c1, c2, c3) = (
            (p1 >> 32) as u32 ^ c1 ^ k0,
            p1 as u32,
            (p0 >> 32) as u32 ^ c3 ^ k1,
            p0 as u32,
        );
        (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
    }
    [c0, c1, c2, c3]
}

/// The words of blocks `block`, `block` + 1, ... as [word][block]. Words live in 64-bit lanes whose upper half is
/// ignored, which is what the vector multiplications of x86 take and give.
#[inline(always)]
fn philox_group(s: RandomStream, block: u32) -> [[u32; GROUP]; 4] {
    let [mut k0, mut k1] = s.key_words().map(u64::from);
    let [_, c1, c2, c3] = s.counter_words(0).map(u64::from);
    let (mut x0, mut x1, mut x2, mut x3) = ([0u64; GROUP], [c1; GROUP], [c2; GROUP], [c3; GROUP]);
    for (i, x) in x0.iter_mut().enumerate() {
        *x = u64::from(block.wrapping_add(i as u32));
    }
    for _ in 0..10 {
        for i in 0..GROUP {
            let p0 = (x0[i] & 0xffff_ffff) * u64::from(MULTIPLIERS[0]);
            let p1 = (x2[i] & 0xffff_ffff) * u64::from(MULTIPLIERS[1]);
            x0[i] = (p1 >> 32) ^ x1[i] ^ k0;
            x1[i] = p1;
            x2[i] = (p0 >> 32) ^ x3[i] ^ k1;
            x3[i] = p0;
        }
        k0 = u64::from((k0 as u32).wrapping_add(WEYL[0]));
        k1 = u64::from((k1 as u32).wrapping_add(WEYL[1]));
    }
    [x0, x1, x2, x3].map(|x| x.map(|word| word as u32))
}

/// Fills `out` with elements `start`.. of the array that `draw` gives group by group: `draw(block)` returns the
/// elements of `GROUP` blocks from `block` on, as [word][block].
#[inline(always)]
fn fill(start: usize, out: &mut [f32], draw: impl Fn(u32) -> [[f32; GROUP]; 4]) {
    let interleave = |group: &[[f32; GROUP]; 4], to: &mut [f32; NUMBERS]| {
        for i in 0..GROUP {
            for word in 0..4 {
                to[4 * i + word] = group[word][i];
            }
        }
    };
    let skip = start % 4;
    let mut block = (start / 4) as u32;
    let mut buffer = [0.0; NUMBERS];
    let head = if skip == 0 {
        0
    } else {
        (NUMBERS - skip).min(out.len())
    };
    let (first, rest) = out.split_at_mut(head);
    if head > 0 {
        interleave(&draw(block), &mut buffer);
        first.copy_from_slice(&buffer[skip..skip + head]);
        block = block.wrapping_add(GROUP as u32);
    }
    let (groups, last) = rest.as_chunks_mut::<NUMBERS>();
    for group in groups {
        interleave(&draw(block), group);
        block = block.wrapping_add(GROUP as u32);
    }
    if !last.is_empty() {
        interleave(&draw(block), &mut buffer);
        last.copy_from_slice(&buffer[..last.len()]);
    }
}

/// The largest `f32` below `x`, for finite x.
fn below(x: f32) -> f32 {
    x.next_down()
}

multiversion! {
    /// Uniform numbers in [lo, hi), for lo < hi: elements `start`..`start + out.len()` of the stream's array.
    ///
    /// u = (word >> 8) 2^-24; out = min(lo + (hi - lo) u, the largest f32 below hi).
    pub fn uniform(s: RandomStream, start: usize, lo: f32, hi: f32, out: &mut [f32]) {
        let (width, top) = (hi - lo, below(hi));
        fill(start, out, |block| {
            philox_group(s, block).map(|words| words.map(|word| {
                let v = lo + width * ((word >> 8) as i32 as f32 * UNIT);
                if v > top { top } else { v }
            }))
        });
    }

    /// Normal numbers of the given mean and standard deviation: elements `start`..`start + out.len()`.
    ///
    /// Box and Muller (1958) on the word pairs (0, 1) and (2, 3) of a block: u1 = ((word >> 8) + 1) 2^-24 in (0, 1],
    /// u2 = (word >> 8) 2^-24, r = sqrt(-2 ln u1); the pair is mean + sd (r cos 2 pi u2, r sin 2 pi u2).
    pub fn normal(s: RandomStream, start: usize, mean: f32, sd: f32, out: &mut [f32]) {
        fill(start, out, |block| {
            let words = philox_group(s, block);
            let mut numbers = [[0.0; GROUP]; 4];
            for pair in [0, 2] {
                for i in 0..GROUP {
                    let u1 = ((words[pair][i] >> 8) + 1) as i32 as f32 * UNIT;
                    let u2 = (words[pair + 1][i] >> 8) as i32 as f32 * UNIT;
                    let r = (-2.0 * log_f32(u1)).sqrt();
                    let (cos, sin) = cos_sin_turn(u2);
                    numbers[pair][i] = mean + sd * (r * cos);
                    numbers[pair + 1][i] = mean + sd * (r * sin);
                }
            }
            numbers
        });
    }

    /// `value` with probability p, 0 otherwise: elements `start`..`start + out.len()`.
    ///
    /// out = value where word < floor(2^32 p): always for p >= 1, never for p <= 0 (or NaN).
    pub fn bernoulli(s: RandomStream, start: usize, p: f32, value: f32, out: &mut [f32]) {
        if p >= 1.0 {
            return out.fill(value);
        }
        let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
        fill(start, out, |block| {
            philox_group(s, block).map(|words| words.map(|word| if word < threshold { value } else { 0.0 }))
        });
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

/// A random permutation of 0..n, all equally likely: out [n].
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
