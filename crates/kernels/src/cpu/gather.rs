//! Gather of rows by index (minibatches from a data set), and its adjoint, scatter.
//!
//! Indices are integers stored as `f32`, exact up to 2^24.

use super::par;

/// Output elements behind one task.
const TASK: usize = 1 << 14;

#[track_caller]
fn row_of(name: &str, index: f32, rows: usize) -> usize {
    let row = index as usize;
    assert!(
        row as f32 == index && row < rows,
        "{name}: index {index} is not one of {rows} rows"
    );
    row
}

/// Copies rows: `out[i, ..] = data[idx[i], ..]`.
///
/// data: `[rows, width]`, idx: `[b]`, out: `[b, width]`. Spread over the current rayon pool when large.
pub fn gather_rows(data: &[f32], width: usize, idx: &[f32], out: &mut [f32]) {
    assert_eq!(
        out.len(),
        idx.len() * width,
        "gather_rows: out is not {} rows of {width}",
        idx.len()
    );
    if width == 0 {
        return;
    }
    assert!(
        data.len().is_multiple_of(width),
        "gather_rows: data is not whole rows of {width}"
    );
    let rows = data.len() / width;
    let rows_per_task = (TASK / width).max(1);
    par::chunks_mut(out, rows_per_task * width, |start, part| {
        for (to, &index) in part.chunks_exact_mut(width).zip(&idx[start / width..]) {
            let row = row_of("gather_rows", index, rows);
            to.copy_from_slice(&data[row * width..(row + 1) * width]);
        }
    });
}

/// The adjoint of [`gather_rows`]: `out[r, ..]` = sum of `dy[i, ..]` over the i
/// with `idx[i]` = r, in the order of i.
///
/// dy: `[b, width]`, idx: `[b]`, out: `[rows, width]`
pub fn scatter_rows(dy: &[f32], width: usize, idx: &[f32], rows: usize, out: &mut [f32]) {
    assert_eq!(
        dy.len(),
        idx.len() * width,
        "scatter_rows: dy is not {} rows of {width}",
        idx.len()
    );
    assert_eq!(
        out.len(),
        rows * width,
        "scatter_rows: out is not {rows} rows of {width}"
    );
    out.fill(0.0);
    if width == 0 {
        return;
    }
    for (dy, &index) in dy.chunks_exact(width).zip(idx) {
        let row = row_of("scatter_rows", index, rows);
        for (out, &dy) in out[row * width..(row + 1) * width].iter_mut().zip(dy) {
            *out += dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i % 1000) as f32 - 300.0).collect()
    }

    #[test]
    fn rows_are_copied_and_duplicates_summed() {
        let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [f32::NAN; 6];
        gather_rows(&data, 2, &[2.0, 0.0, 2.0], &mut out);
        assert_eq!(out, [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
        let mut sums = [f32::NAN; 8];
        scatter_rows(&out, 2, &[2.0, 0.0, 2.0], 4, &mut sums);
        assert_eq!(sums, [1.0, 2.0, 0.0, 0.0, 10.0, 12.0, 0.0, 0.0]);
    }

    #[test]
    fn gather_and_scatter_are_adjoint_on_any_number_of_threads() {
        for (rows, width, b) in [
            (1, 1, 1),
            (3, 0, 2),
            (3, 5, 0),
            (0, 5, 0),
            (7, 13, 20),
            (300, 784, 100),
        ] {
            let (data, dy) = (ramp(rows * width), ramp(b * width));
            let idx: Vec<f32> = (0..b).map(|i| (i * i % rows.max(1)) as f32).collect();
            for threads in 1..=3 {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let (mut out, mut back) = (vec![f32::NAN; b * width], vec![f32::NAN; rows * width]);
                pool.install(|| {
                    gather_rows(&data, width, &idx, &mut out);
                    scatter_rows(&dy, width, &idx, rows, &mut back);
                });
                for i in 0..b {
                    let row = idx[i] as usize;
                    assert_eq!(
                        out[i * width..(i + 1) * width],
                        data[row * width..(row + 1) * width]
                    );
                }
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter()
                        .zip(b)
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum()
                };
                assert_eq!(dot(&out, &dy), dot(&data, &back)); // whole numbers: exact
            }
        }
    }

    #[test]
    #[should_panic(expected = "index 3 is not one of 3 rows")]
    fn indices_must_be_in_range() {
        gather_rows(&[0.0; 6], 2, &[3.0], &mut [0.0; 2]);
    }

    #[test]
    #[should_panic(expected = "index 0.5 is not one of 3 rows")]
    fn indices_must_be_whole() {
        scatter_rows(&[0.0; 2], 2, &[0.5], 3, &mut [0.0; 6]);
    }
}
