//! Parzen-window sums: `kernels/parzen.cu`. n samples and m points of d components; scales are 1 / (2 width²).

use super::{FILL, Launch, Slice};

/// The most widths of one launch.
pub const MAX_WIDTHS: usize = 16;
/// The fewest samples of a part.
const PART: usize = 256;

/// mean `[d]` of the rows of x `[n, d]`.
///
/// # Panics
/// Where an array has another length.
pub fn mean(x: Slice, mean: Slice<f64>) -> Launch {
    let d = mean.len();
    let n = rows(x, d);
    let launch = Launch::new("parzen", "parzen_mean_v1_f64").threads(d);
    launch.reads(x).u32(n).u32(d).writes(mean)
}

/// out `[n, d]` = x - mean, rounded, and the squared norms `[n]` of its rows.
///
/// # Panics
/// Where an array has another length.
pub fn centre(x: Slice, mean: Slice<f64>, out: Slice, norms: Slice<f64>) -> Launch {
    let d = mean.len();
    let n = rows(x, d);
    assert_eq!([out.len(), norms.len()], [n * d, n], "[{n}, {d}]");
    let launch = Launch::new("parzen", "parzen_centre_v1_f32").grid([n.div_ceil(8), 1, 1]);
    let launch = launch.reads(x).reads(mean).u32(n).u32(d);
    launch.writes(out).writes(norms)
}

fn rows(x: Slice, d: usize) -> usize {
    let n = x.len().checked_div(d).unwrap_or(0);
    assert_eq!(x.len(), n * d, "rows of {d}");
    n
}

/// Centred rows with their squared norms.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// [n, d].
    pub data: Slice,
    /// `[n]`.
    pub norms: Slice<f64>,
}

/// How many parts the samples are cut into; from the sizes alone.
pub fn parts(m: usize, n: usize) -> usize {
    let parts = (2 * FILL / m.div_ceil(64).max(1)).clamp(1, (n / PART).max(1));
    n.div_ceil(part(n, parts)).max(1)
}

/// Samples per part, a multiple of the 64 of a tile.
fn part(n: usize, parts: usize) -> usize {
    n.div_ceil(parts).max(1).next_multiple_of(64)
}

/// The nearest squared distance of each point `[m]` and, by width, Σ exp((nearest - distance) · scale) [m, widths]; `partial`
/// holds the same for each of [`parts`].
///
/// # Panics
/// For more than [`MAX_WIDTHS`] widths, or where an array has another length.
pub fn sums(
    points: Rows,
    samples: Rows,
    scales: Slice<f64>,
    partial: (Slice<f64>, Slice<f64>),
    (nearest, sums): (Slice<f64>, Slice<f64>),
) -> [Launch; 2] {
    let (m, n, widths) = (points.norms.len(), samples.norms.len(), scales.len());
    let d = points.data.len().checked_div(m).unwrap_or(0);
    let parts = parts(m, n);
    assert!(widths <= MAX_WIDTHS, "{widths} widths");
    assert_eq!(
        [points.data.len(), samples.data.len()],
        [m * d, n * d],
        "rows of {d}"
    );
    assert_eq!([nearest.len(), sums.len()], [m, m * widths], "{m} points");
    assert_eq!(
        [partial.0.len(), partial.1.len()],
        [parts * m, parts * m * widths],
        "{parts} parts"
    );
    let each = Launch::new("parzen", "parzen_v1_f32").grid([m.div_ceil(64), parts, 1]);
    let each = each.block(128, 0).reads(points.data).reads(points.norms);
    let each = each
        .reads(samples.data)
        .reads(samples.norms)
        .u32(m)
        .u32(n)
        .u32(d);
    let each = each.reads(scales).u32(widths).u32(part(n, parts));
    let each = each.writes(partial.0).writes(partial.1);
    let merge = Launch::new("parzen", "parzen_merge_v1_f64").threads(m * widths);
    let merge = merge
        .reads(partial.0)
        .reads(partial.1)
        .u32(m)
        .u32(widths)
        .u32(parts);
    [each, merge.reads(scales).writes(nearest).writes(sums)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_samples_and_none_is_empty() {
        for (m, n) in [
            (1, 1),
            (1, 10_000),
            (1000, 10_000),
            (10_000, 10_000),
            (64, 257),
            (7, 64),
        ] {
            let parts = parts(m, n);
            let part = part(n, parts);
            assert!(
                part * parts >= n && part * (parts - 1) < n,
                "{m}, {n}: {parts} of {part}"
            );
        }
        assert_eq!(parts(10_000, 10_000), 2);
    }
}
