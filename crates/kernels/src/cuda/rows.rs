//! Gather and scatter of rows by index: `kernels/rows.cu`. Out-of-range indices trap.

use super::{Launch, Slice};

/// out: `[count, width]`, `out[i, :] = data[index[i], :]`; data: `[rows, width]`, indices as whole numbers in f32.
///
/// # Panics
/// Where an array has another length.
pub fn gather(data: Slice, index: Slice, out: Slice, width: usize) -> Launch {
    let launch = Launch::new("rows", "gather_rows_v1_f32").reads(data);
    gathered(launch, data.len(), index, out, width)
}

/// The same with whole indices.
///
/// # Panics
/// As [`gather`].
pub fn gather_values(data: Slice, index: Slice<u32>, out: Slice, width: usize) -> Launch {
    let launch = Launch::new("rows", "gather_rows_v1_u32_f32").reads(data);
    gathered(launch, data.len(), index, out, width)
}

/// The same from bytes, `b / 255 · scale + shift`, each operation rounded.
///
/// # Panics
/// As [`gather`].
pub fn gather_bytes(
    data: Slice<u8>,
    index: Slice<u32>,
    out: Slice,
    width: usize,
    (scale, shift): (f32, f32),
) -> Launch {
    let launch = Launch::new("rows", "gather_rows_v1_u8_f32").reads(data);
    let launch = gathered(launch, data.len(), index, out, width);
    launch.f32(scale).f32(shift)
}

fn gathered<I>(launch: Launch, data: usize, index: Slice<I>, out: Slice, width: usize) -> Launch {
    let (rows, count) = (data.checked_div(width).unwrap_or(0), index.len());
    assert_eq!(
        [data, out.len()],
        [rows * width, count * width],
        "{count} rows of {width}"
    );
    let launch = launch.threads(count * width).reads(index).writes(out);
    launch.u32(rows).u32(width).u32(count)
}

/// out: `[rows, width]`, `out[r, :] = Σ dy[i, :]` over the i with `index[i] = r`, in the order of i.
///
/// # Panics
/// Where an array has another length.
pub fn scatter(dy: Slice, index: Slice, out: Slice, width: usize) -> Launch {
    let (rows, count) = (out.len().checked_div(width).unwrap_or(0), index.len());
    assert_eq!(
        [dy.len(), out.len()],
        [count * width, rows * width],
        "{count} rows of {width}"
    );
    let launch = Launch::new("rows", "scatter_rows_v1_f32").threads(rows * width);
    launch
        .reads(dy)
        .reads(index)
        .writes(out)
        .u32(rows)
        .u32(width)
        .u32(count)
}
