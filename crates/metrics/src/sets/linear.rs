//! Dense matrices in f64: products, factors of covariances, singular values.
//!
//! Row-major throughout. Work is split by sizes alone, never by the number of threads.

use nalgebra::{Const, DMatrix, DMatrixView, DMatrixViewMut, Dyn};
use rayon::prelude::*;

/// Rows of a result in one piece of work.
const ROWS: usize = 128;

/// Columns of a factor between two updates of what remains.
const PANEL: usize = 64;

/// Steps of the iteration for one singular value; it takes about two.
const STEPS: usize = 100;

/// A row-major matrix, columns of which may be left out at the end of each row.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f64],
    rows: usize,
    columns: usize,
    /// From one row to the next.
    stride: usize,
}

impl<'a> Matrix<'a> {
    /// Values [rows, columns].
    pub(super) fn new(values: &'a [f64], columns: usize) -> Self {
        Matrix {
            values,
            rows: values.len().checked_div(columns).unwrap_or(0),
            columns,
            stride: columns,
        }
    }

    /// How many columns.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows.
    pub(super) fn height(&self) -> usize {
        self.rows
    }

    /// Rows from `first` on, `rows` of them.
    pub(super) fn rows(self, first: usize, rows: usize) -> Self {
        let values = &self.values[first * self.stride..(first + rows) * self.stride];
        Matrix {
            values,
            rows,
            ..self
        }
    }

    /// The first columns.
    pub(super) fn first_columns(self, columns: usize) -> Self {
        Matrix { columns, ..self }
    }

    /// Its transpose, in new memory.
    pub(super) fn transposed(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.rows * self.columns];
        let columns = out.par_chunks_mut(self.rows.max(1)).enumerate();
        columns.for_each(|(column, out)| {
            let values = self.values[column..].iter().step_by(self.stride);
            out.iter_mut().zip(values).for_each(|(out, x)| *out = *x);
        });
        out
    }

    /// The transpose as nalgebra sees the same memory, column-major.
    fn view(&self) -> DMatrixView<'a, f64> {
        let (rows, columns, stride) = (Dyn(self.columns), Dyn(self.rows), Dyn(self.stride));
        DMatrixView::from_slice_with_strides_generic(self.values, rows, columns, Const, stride)
    }
}

/// c [m, n] = alpha · a [m, k] · b [k, n] + beta · c, on one thread.
pub(super) fn product(alpha: f64, a: Matrix<'_>, b: Matrix<'_>, beta: f64, c: &mut [f64]) {
    if a.rows == 0 || a.columns == 0 || b.columns == 0 {
        c.iter_mut().for_each(|c| *c *= beta);
        return;
    }
    // Transposed: cᵀ = bᵀ aᵀ.
    let mut c = DMatrixViewMut::from_slice(c, b.columns, a.rows);
    c.gemm(alpha, &b.view(), &a.view(), beta);
}

/// c [m, n] = alpha · a [m, k] · b [k, n] + beta · c, by blocks of rows.
pub(super) fn product_by_rows(alpha: f64, a: Matrix<'_>, b: Matrix<'_>, beta: f64, c: &mut [f64]) {
    let blocks = c.par_chunks_mut((ROWS * b.columns).max(1)).enumerate();
    blocks.for_each(|(block, c)| {
        let rows = c.len() / b.columns;
        product(alpha, a.rows(block * ROWS, rows), b, beta, c);
    });
}

/// The lower triangle, by blocks of rows, of c [d, d] += xᵀ x for rows x [n, d]; the rest of c means nothing.
pub(super) fn add_products(x: Matrix<'_>, c: &mut [f64]) {
    let d = x.columns;
    let transposed = x.transposed();
    let xt = Matrix::new(&transposed, x.rows);
    let blocks = c.par_chunks_mut((ROWS * d).max(1)).enumerate();
    blocks.for_each(|(block, c)| {
        let (first, rows) = (block * ROWS, c.len() / d);
        // Columns beyond those of the block's diagonal would be computed in vain.
        let width = first + rows;
        let mut part = vec![0.0; rows * width];
        let (xt, x) = (xt.rows(first, rows), x.first_columns(width));
        product(1.0, xt, x, 0.0, &mut part);
        let pairs = c.chunks_exact_mut(d).zip(part.chunks_exact(width));
        for (c, part) in pairs {
            c.iter_mut().zip(part).for_each(|(c, p)| *c += p);
        }
    });
}

/// A factor f [r, d] of a positive semidefinite matrix: s = fᵀ f, with r its rank. Cholesky's method, the largest remaining diagonal
/// first; ends where what remains is rounding.
///
/// source: Higham, Accuracy and Stability of Numerical Algorithms, section 10.3
/// cost: 2 · d² · r flops
pub(super) fn factor(s: &[f64], d: usize) -> Vec<f64> {
    let mut rest = s.to_vec();
    let mut diagonal: Vec<f64> = (0..d).map(|i| s[i * d + i]).collect();
    let largest = diagonal.iter().copied().fold(0.0, f64::max);
    let enough = largest * f64::EPSILON * d as f64;
    let mut done = vec![false; d];
    let mut f: Vec<f64> = Vec::new();
    loop {
        let first = f.len() / d;
        for _ in 0..PANEL {
            let remaining = (0..d).filter(|&i| !done[i]);
            let pivot =
                remaining.max_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b]).then(b.cmp(&a)));
            let Some(pivot) = pivot.filter(|&p| diagonal[p] > enough) else {
                break;
            };
            let mut row = rest[pivot * d..(pivot + 1) * d].to_vec();
            for earlier in f[first * d..].chunks_exact(d) {
                let share = earlier[pivot];
                row.iter_mut()
                    .zip(earlier)
                    .for_each(|(r, e)| *r -= share * e);
            }
            done[pivot] = true;
            let root = diagonal[pivot].sqrt();
            for (i, r) in row.iter_mut().enumerate() {
                // Rows that are done remain as zeros but for rounding.
                *r = if i == pivot {
                    root
                } else if done[i] {
                    0.0
                } else {
                    *r / root
                };
                diagonal[i] -= *r * *r;
            }
            f.extend(row);
        }
        let panel = Matrix::new(&f[first * d..], d);
        if panel.rows < PANEL {
            return f;
        }
        let transposed = panel.transposed();
        product_by_rows(-1.0, Matrix::new(&transposed, PANEL), panel, 1.0, &mut rest);
    }
}

/// The sum of the singular values of a [m, n]: its nuclear norm. None where the iteration does not end.
pub(super) fn nuclear_norm(a: Vec<f64>, n: usize) -> Option<f64> {
    if a.is_empty() {
        return Some(0.0);
    }
    let m = a.len() / n;
    // The transpose, which has the same singular values.
    let svd =
        DMatrix::from_vec(n, m, a).try_svd(false, false, 5.0 * f64::EPSILON, STEPS * n.min(m))?;
    Some(svd.singular_values.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(i: usize) -> f64 {
        ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0
    }

    fn matrix(rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns).map(value).collect()
    }

    fn naive(a: &[f64], b: &[f64], k: usize, n: usize) -> Vec<f64> {
        let m = a.len() / k;
        let at = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
        (0..m * n).map(|ij| at(ij / n, ij % n)).collect()
    }

    fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
        Matrix::new(a, columns).transposed()
    }

    fn close(a: &[f64], b: &[f64], tolerance: f64) {
        assert_eq!(a.len(), b.len());
        let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f64::max);
        assert!(worst <= tolerance, "{worst:e}");
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for (m, k, n) in [(1, 1, 1), (3, 7, 2), (200, 9, 130), (129, 40, 8)] {
            let (a, b) = (matrix(m, k), matrix(k, n));
            let expected = naive(&a, &b, k, n);
            let mut c = vec![1.0; m * n];
            let (a, b) = (Matrix::new(&a, k), Matrix::new(&b, n));
            product_by_rows(2.0, a, b, -1.0, &mut c);
            let c: Vec<f64> = c.iter().map(|c| (c + 1.0) / 2.0).collect();
            close(&c, &expected, 1e-12);
        }
    }

    #[test]
    fn added_products_are_a_lower_triangle() {
        for d in [1, 5, 128, 131] {
            let x = matrix(6, d);
            let mut c = vec![0.5; d * d];
            add_products(Matrix::new(&x, d), &mut c);
            let expected = naive(&transposed(&x, d), &x, 6, d);
            for (i, (c, e)) in c.iter().zip(&expected).enumerate() {
                assert!(i % d > i / d || (c - 0.5 - e).abs() < 1e-13, "{d} {i}");
            }
        }
    }

    #[test]
    fn a_factor_has_as_many_rows_as_the_rank() {
        for (d, rank) in [(1, 1), (5, 3), (70, 67), (150, 20), (150, 150)] {
            // Not the rule above, whose rows repeat.
            let noise =
                |i: usize| ((i * i * 7919 + i * 104_729 + 13) % 10_007) as f64 / 5003.5 - 1.0;
            let x: Vec<f64> = (0..rank * d).map(noise).collect();
            let s = naive(&transposed(&x, d), &x, rank, d);
            let f = factor(&s, d);
            assert_eq!(f.len() / d, rank, "{d}");
            close(&naive(&transposed(&f, d), &f, rank, d), &s, 1e-11);
        }
        assert!(factor(&[0.0; 9], 3).is_empty());
    }

    #[test]
    fn the_nuclear_norm_is_the_sum_of_singular_values() {
        // A rotation by 0.3 times diag(3, 2), and a column of zeros.
        let (s, c) = (0.3f64.sin(), 0.3f64.cos());
        let a = vec![3.0 * c, -2.0 * s, 0.0, 3.0 * s, 2.0 * c, 0.0];
        assert!((nuclear_norm(a, 3).expect("it ends") - 5.0).abs() < 1e-14);
        assert_eq!(nuclear_norm(vec![], 3), Some(0.0));
    }
}
