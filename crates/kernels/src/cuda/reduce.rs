//! Sums: `kernels/reduce.cu`.

use super::{FILL, Launch, Scratch, Slice};

/// Terms from which on a sum is worth cutting, and the fewest of a part.
const PART: usize = 1024;

/// The sum of an array of `large` dimensions to `small` ones, to which it was broadcast, as sizes [k0, r0, k1, r1, k2].
///
/// # Panics
/// For more than four dimensions.
pub fn normal_form(large: &[usize], small: &[usize]) -> [usize; 5] {
    let mut shape = [1; 5];
    let mut small = small.iter().rev();
    let mut place = 4; // from the innermost on: kept dimensions at even places, summed ones at odd places
    for &n in large.iter().rev() {
        let is_summed = small.next().is_none_or(|&s| s == 1 && n != 1);
        if n != 1 {
            place -= usize::from((place % 2 == 1) != is_summed);
            shape[place] *= n;
        }
    }
    shape
}

/// y [k0, k1, k2] = sums of x [k0, r0, k1, r1, k2] over r0 and r1. One launch, or two where the sums are few and long: then
/// each is cut into parts, whose number follows from the shape.
///
/// # Panics
/// Where an array has another length.
pub fn sum(x: Slice, y: Slice, shape: [usize; 5], scratch: &mut Scratch) -> Vec<Launch> {
    let [k0, r0, k1, r1, k2] = shape;
    let (outputs, terms) = (k0 * k1 * k2, r0 * r1);
    assert_eq!([x.len(), y.len()], [outputs * terms, outputs], "{shape:?}");
    let (part, parts) = parts(shape);
    if parts == 1 {
        return vec![level(x, y, shape, part, 1)];
    }
    let (partial, _) = scratch.take(parts * outputs, 0);
    vec![
        level(x, partial, shape, part, parts),
        level(partial, y, [1, 1, 1, parts, outputs], parts, 1),
    ]
}

/// Into how many parts the terms of sums are cut, so that they fill a large device: terms of a part, parts.
pub(super) fn parts([k0, r0, k1, r1, k2]: [usize; 5]) -> (usize, usize) {
    let (terms, blocks) = (r0 * r1, k0 * k1 * k2.div_ceil(32));
    let parts = (FILL / blocks.max(1)).clamp(1, (terms / PART).max(1));
    let part = terms.div_ceil(parts).max(1);
    (part, terms.div_ceil(part).max(1))
}

/// As [`sum`], by the ladder's first kernel: a thread per sum.
///
/// # Panics
/// Where an array has another length.
pub fn naive(x: Slice, y: Slice, shape: [usize; 5]) -> Vec<Launch> {
    let [k0, r0, k1, r1, k2] = shape;
    let (outputs, terms) = (k0 * k1 * k2, r0 * r1);
    assert_eq!([x.len(), y.len()], [outputs * terms, outputs], "{shape:?}");
    let launch = Launch::new("reduce", "sum_to_v1_naive_f32").threads(outputs);
    vec![launch.reads(x).writes(y).words(&shape).u32(terms)]
}

fn level(x: Slice, y: Slice, shape: [usize; 5], part: usize, parts: usize) -> Launch {
    let [k0, _, k1, _, k2] = shape;
    let (kernel, strips) = match k2 {
        0 | 1 => ("sum_to_v2_rows_f32", 1),
        _ => ("sum_to_v2_columns_f32", k2.div_ceil(32)),
    };
    let launch = Launch::new("reduce", kernel).grid([k0 * k1 * strips, parts, 1]);
    launch.reads(x).writes(y).words(&shape).u32(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_take_their_places_from_the_innermost_dimension_on() {
        assert_eq!(normal_form(&[], &[]), [1; 5]);
        assert_eq!(normal_form(&[7], &[]), [1, 1, 1, 7, 1]);
        assert_eq!(normal_form(&[100, 33], &[33]), [1, 1, 1, 100, 33]);
        assert_eq!(normal_form(&[100, 33], &[100, 1]), [1, 1, 100, 33, 1]);
        assert_eq!(normal_form(&[5, 1, 3], &[5, 1, 1]), [1, 1, 5, 3, 1]);
        assert_eq!(
            normal_form(&[7, 11, 13, 17], &[11, 1, 17]),
            [1, 7, 11, 13, 17]
        );
        assert_eq!(
            normal_form(&[7, 11, 13, 17], &[7, 1, 13, 1]),
            [7, 11, 13, 17, 1]
        );
        assert_eq!(normal_form(&[0, 3], &[3]), [1, 1, 1, 0, 3]);
    }
}
