//! The training example nearest to a sample, which shows whether a generator memorises its data.
//!
//! Sizes: m queries [m, d] against n images of d values, row-major.

use rayon::prelude::*;

use ganforge_data::{DataError, Images};

/// Images in one block of work.
const BLOCK: usize = 512;

/// Partial sums of a distance; fixed, so that it does not depend on the machine.
const LANES: usize = 16;

/// The nearest image to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its place among the images; the first of equals.
    pub index: usize,
    /// ‖query - image‖², in f32 arithmetic.
    pub squared_distance: f32,
}

/// The nearest image to each of the queries [m, d] by Euclidean distance, as in the paper's Figure 2.
///
/// source: Goodfellow et al. 2014, Figure 2 (last column)
/// cost: 3·m·n·d flops
/// errors: no images; queries that are not rows of d values
pub fn nearest(queries: &[f32], images: &Images) -> Result<Vec<Neighbour>, DataError> {
    let (n, d) = (images.n(), images.d());
    if n == 0 || d == 0 || !queries.len().is_multiple_of(d) {
        return Err(DataError::Rows {
            rows: format!("nearest to {} values", queries.len()),
            room: queries.len(),
            n,
            d,
        });
    }
    let blocks: Result<Vec<Vec<Neighbour>>, DataError> = (0..n.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let first = block * BLOCK;
            let images = images.to_f32(first..(first + BLOCK).min(n))?;
            let rows = queries.chunks_exact(d);
            Ok(rows.map(|q| nearest_of(q, &images, first)).collect())
        })
        .collect();
    let mut blocks = blocks?.into_iter();
    let mut best = blocks.next().unwrap_or_default();
    for block in blocks {
        for (best, candidate) in best.iter_mut().zip(block) {
            if candidate.squared_distance < best.squared_distance {
                *best = candidate;
            }
        }
    }
    Ok(best)
}

/// The nearest of the images in a block whose first one has the number `first`.
fn nearest_of(query: &[f32], images: &[f32], first: usize) -> Neighbour {
    let mut best = Neighbour {
        index: first,
        squared_distance: f32::INFINITY,
    };
    for (i, image) in images.chunks_exact(query.len()).enumerate() {
        let squared_distance = squared_distance(query, image);
        if squared_distance < best.squared_distance {
            best = Neighbour {
                index: first + i,
                squared_distance,
            };
        }
    }
    best
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, b) = (a.chunks(LANES), b.chunks(LANES));
    for (a, b) in a.zip(b) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (x - y) * (x - y);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_of_equals_over_blocks() {
        let d = 3;
        let mut values: Vec<f32> = (0..2 * BLOCK * d + d).map(|i| (i % 7) as f32).collect();
        let copy = |values: &mut Vec<f32>, row: usize| {
            values[row * d..(row + 1) * d].copy_from_slice(&[0.25, 0.5, 0.75]);
        };
        copy(&mut values, BLOCK + 5);
        copy(&mut values, 2 * BLOCK);
        let images = Images::from_values(d, values);
        let found = nearest(&[0.25, 0.5, 0.75, 0.5, 0.5, 0.75], &images).expect("found");
        let expected = |squared_distance| Neighbour {
            index: BLOCK + 5,
            squared_distance,
        };
        assert_eq!(found, [expected(0.0), expected(0.0625)]);
    }

    #[test]
    fn agrees_with_f64_on_rows_longer_than_the_lanes() {
        let d = 2 * LANES + 3;
        let value = |i: usize| ((i * 37 + 11) % 101) as f32 / 100.0;
        let images = Images::from_values(d, (0..9 * d).map(value).collect::<Vec<_>>());
        let query: Vec<f32> = (0..d).map(|i| value(i * 3 + 1)).collect();
        let distance = |row: usize| -> f64 {
            let image = images.to_f32(row..row + 1).expect("a row");
            let pairs = query.iter().zip(&image);
            pairs.map(|(x, y)| f64::from(x - y).powi(2)).sum()
        };
        let best = (0..9).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        let found = nearest(&query, &images).expect("found")[0];
        assert_eq!(Some(found.index), best);
        let error = f64::from(found.squared_distance) - distance(found.index);
        assert!(
            error.abs() < 4.0 * d as f64 * f64::from(f32::EPSILON),
            "{error}"
        );
    }

    #[test]
    fn nothing_is_nearest_among_no_images() {
        let none = Images::from_values(2, vec![]);
        assert!(nearest(&[0.0, 1.0], &none).is_err());
        let one = Images::from_values(2, vec![0.0, 0.0]);
        assert!(nearest(&[0.0], &one).is_err());
        assert_eq!(nearest(&[], &one).expect("nothing to do"), []);
    }
}
