//! Mean and variance in one pass.
//!
//! The variance is the mean of squared deviations, never the mean of squares less the square of the mean. Small blocks, which
//! stay in the first-level cache, have their own mean and squared deviations from it; two blocks a and b are merged by what
//! their means differ, d (Chan et al. 1979):
//!
//! mean = mean_a + d n_b / n,  squares = squares_a + squares_b + d² n_a n_b / n
//!
//! Blocks are merged in pairs, in an order that depends only on the shape.

use super::multiversion::multiversion;
use super::par;

/// Terms of a contiguous block, in `LANES` interleaved sums.
const BLOCK: usize = 1024;
const LANES: usize = 64;
/// Columns taken together, and the rows of a block of them.
const STRIP: usize = 64;
const ROWS: usize = 32;
/// Terms behind one task.
const TASK: usize = 1 << 14;

/// The sum of `f` of at most [`BLOCK`] terms.
#[inline(always)]
fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (full, rest) = x.as_chunks::<LANES>();
    for chunk in full {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += f(v);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

multiversion! {
    /// The mean of contiguous terms and their squared deviations from it.
    fn block(x: &[f32]) -> (f32, f32) {
        let mean = sum_of(x, |v| v) / x.len() as f32;
        (mean, sum_of(x, |v| (v - mean) * (v - mean)))
    }

    /// The same of the columns of `rows` rows, which lie `stride` apart.
    fn columns(x: &[f32], stride: usize, rows: usize, mean: &mut [f32], squares: &mut [f32]) {
        let (mut means, mut sums) = ([0.0f32; STRIP], [0.0f32; STRIP]);
        let width = mean.len();
        // All at once where the strip is full: the length is known then.
        let (means, sums) = (&mut means[..width], &mut sums[..width]);
        for row in 0..rows {
            for (sum, &v) in means.iter_mut().zip(&x[row * stride..row * stride + width]) {
                *sum += v;
            }
        }
        for sum in means.iter_mut() {
            *sum /= rows as f32;
        }
        for row in 0..rows {
            let row = &x[row * stride..row * stride + width];
            for ((sum, &mean), &v) in sums.iter_mut().zip(means.iter()).zip(row) {
                *sum += (v - mean) * (v - mean);
            }
        }
        mean.copy_from_slice(means);
        squares.copy_from_slice(sums);
    }

    /// Merges blocks of `counts` terms into the first one.
    fn merge(counts: [usize; 2], mean: &mut [f32], squares: &mut [f32], other_mean: &[f32], other_squares: &[f32]) {
        let [a, b] = counts.map(|n| n as f32);
        let (share, weight) = (b / (a + b), a * b / (a + b));
        for ((mean, squares), (&m, &s)) in
            mean.iter_mut().zip(squares).zip(other_mean.iter().zip(other_squares))
        {
            let d = m - *mean;
            *mean += d * share;
            *squares += s + d * d * weight;
        }
    }
}

/// Mean and squared deviations of contiguous terms.
fn contiguous(x: &[f32]) -> (f32, f32) {
    if x.len() <= BLOCK {
        return block(x);
    }
    let (left, right) = x.split_at(x.len().div_ceil(BLOCK) / 2 * BLOCK);
    let (mut a, mut b) = ((0.0, 0.0), (0.0, 0.0));
    if par::worth_splitting(x.len()) {
        par::join(|| a = contiguous(left), || b = contiguous(right));
    } else {
        (a, b) = (contiguous(left), contiguous(right));
    }
    let (mut mean, mut squares) = ([a.0], [a.1]);
    let counts = [left.len(), right.len()];
    merge(counts, &mut mean, &mut squares, &[b.0], &[b.1]);
    (mean[0], squares[0])
}

/// A matrix whose rows are `stride` long.
#[derive(Clone, Copy)]
struct Rows<'a> {
    x: &'a [f32],
    stride: usize,
}

impl Rows<'_> {
    /// Of the columns from `column` on, as many as `mean` and `squares` have, over rows `first`..`last`.
    fn of(self, [first, last]: [usize; 2], column: usize, mean: &mut [f32], squares: &mut [f32]) {
        let rows = last - first;
        if rows <= ROWS {
            let x = &self.x[first * self.stride + column..];
            return columns(x, self.stride, rows, mean, squares);
        }
        let middle = first + rows.div_ceil(ROWS) / 2 * ROWS;
        let mut right = [[0.0; STRIP]; 2];
        let [right_mean, right_squares] = &mut right;
        let width = mean.len();
        let (right_mean, right_squares) = (&mut right_mean[..width], &mut right_squares[..width]);
        let (left, right) = ([first, middle], [middle, last]);
        if par::worth_splitting(rows * width) {
            par::join(
                || self.of(left, column, mean, squares),
                || self.of(right, column, right_mean, right_squares),
            );
        } else {
            self.of(left, column, mean, squares);
            self.of(right, column, right_mean, right_squares);
        }
        let counts = [middle - first, last - middle];
        merge(counts, mean, squares, right_mean, right_squares);
    }
}

/// Means of x over the terms, and the means of the squared deviations from them.
///
/// x: [groups, terms, width]; y: [2, groups, width], means first
///
/// Spread over the current rayon pool when large.
///
/// # Panics
/// Where an array has another length, or there are no terms.
pub fn moments(x: &[f32], [groups, terms, width]: [usize; 3], y: &mut [f32]) {
    let count = groups * width;
    assert_eq!(
        [x.len(), y.len()],
        [count * terms, 2 * count],
        "moments of [{groups}, {terms}, {width}]"
    );
    assert!(terms > 0, "moments of no terms");
    let (mean, var) = y.split_at_mut(count);
    if count == 0 {
        return;
    }
    if width == 1 {
        let groups = (TASK / terms).max(1);
        par::chunks_mut2(mean, groups, var, groups, |i, mean, var| {
            for (g, (mean, var)) in mean.iter_mut().zip(var).enumerate() {
                let start = (i * groups + g) * terms;
                (*mean, *var) = contiguous(&x[start..start + terms]);
            }
        });
    } else {
        // Strips of the only group, or whole groups.
        let chunk = if groups == 1 { STRIP } else { width };
        par::chunks_mut2(mean, chunk, var, chunk, |i, mean, var| {
            let (group, column) = (i * chunk / width, i * chunk % width);
            let x = &x[group * terms * width..(group + 1) * terms * width];
            let rows = Rows { x, stride: width };
            for (s, (mean, var)) in mean
                .chunks_mut(STRIP)
                .zip(var.chunks_mut(STRIP))
                .enumerate()
            {
                rows.of([0, terms], column + s * STRIP, mean, var);
            }
        });
    }
    for var in var {
        *var /= terms as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far from 0, where the mean of squares less the square of the mean has no correct digit.
    #[test]
    fn a_large_mean_takes_nothing_from_the_variance() {
        for [groups, terms, width] in [[1, 3000, 70], [3, 50_001, 1], [5, 131, 3], [1, 1, 2]] {
            let x: Vec<f32> = (0..groups * terms * width)
                .map(|i| 4096.0 + (i * 7919 % 1024) as f32 / 512.0)
                .collect();
            let mut y = vec![f32::NAN; 2 * groups * width];
            moments(&x, [groups, terms, width], &mut y);
            for o in 0..groups * width {
                let (g, c) = (o / width, o % width);
                let terms_of = || (0..terms).map(|t| f64::from(x[(g * terms + t) * width + c]));
                let mean = terms_of().sum::<f64>() / terms as f64;
                let var = terms_of().map(|v| (v - mean).powi(2)).sum::<f64>() / terms as f64;
                let found = [y[o], y[groups * width + o]].map(f64::from);
                // 32 additions in a block, each rounded by 2^-24 of what the mean is.
                let bound = 32.0 * mean / 16_777_216.0;
                assert!((found[0] - mean).abs() <= bound, "{} {mean}", found[0]);
                // The mean of squares would be rounded to 1, three times the variance.
                assert!((found[1] - var).abs() <= 1e-3 * var, "{} {var}", found[1]);
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let x: Vec<f32> = (0..600_000u64)
            .map(|i| (i * 7919 % 10_007) as f32)
            .collect();
        for sizes in [
            [1, 6000, 100],
            [1, 600_000, 1],
            [6, 1000, 100],
            [600, 1000, 1],
        ] {
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let mut y = vec![0.0; 2 * sizes[0] * sizes[2]];
                let pool = pool.build().unwrap();
                pool.install(|| moments(&x, sizes, &mut y));
                y
            };
            assert!(of(1) == of(2) && of(1) == of(3), "{sizes:?}");
        }
    }
}
