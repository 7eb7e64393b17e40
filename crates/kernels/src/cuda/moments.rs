//! Means and variances: `kernels/moments.cu`.

use super::{FILL, Launch, Scratch, Slice};

/// Terms from which on they are worth cutting, and the fewest of a part.
const PART: usize = 1024;

/// y `[2, groups, width]`: means of x `[groups, terms, width]` over the terms, and the means of the squared deviations from them.
///
/// # Panics
/// Where an array has another length, or there are no terms.
pub fn moments(x: Slice, y: Slice, sizes: [usize; 3], scratch: &mut Scratch) -> [Launch; 2] {
    let [groups, terms, width] = sizes;
    let outputs = groups * width;
    assert!(terms > 0, "moments of no terms");
    assert_eq!(
        [x.len(), y.len()],
        [outputs * terms, 2 * outputs],
        "moments of {sizes:?}"
    );
    let blocks = groups * width.div_ceil(32);
    let parts = (FILL / blocks.max(1)).clamp(1, (terms / PART).max(1));
    let part = terms.div_ceil(parts);
    let parts = terms.div_ceil(part);
    let (partial, _) = scratch.take(2 * parts * outputs, 0);
    let kernel = match width {
        1 => "moments_rows_v1_f32",
        _ => "moments_columns_v1_f32",
    };
    let first = Launch::new("moments", kernel).grid([blocks, parts, 1]);
    let first = first.reads(x).writes(partial).u32(groups).u32(terms);
    let first = if width == 1 { first } else { first.u32(width) };
    let merge = Launch::new("moments", "moments_merge_v1_f32").threads(outputs);
    let merge = merge.reads(partial).writes(y).u32(outputs).u32(terms);
    [first.u32(part), merge.u32(part).u32(parts)]
}
