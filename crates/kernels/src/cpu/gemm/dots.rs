//! Dot products of several rows with one vector: one source for both vector widths.

/// out\[i\] = Σ a\[i * k + p\] b\[p\] over p < k, in [`CHAINS`] chains of fused multiply-adds: element p goes on chain
/// p mod CHAINS; then the second half of the chains is added to the first, until one is left. Chains that are not in a last round
/// which is not whole add 0 · 0 there, which makes 0 of -0. The last argument: whether the rows are fetched in advance.
pub(super) type Dots = unsafe fn(*const f32, *const f32, usize, &mut [f32], bool);

/// Chains of a dot product: as many for every instruction set, so that all give the same bits. With more, the sums of few rows
/// would fill the registers; a line of the cache is a round of 16.
pub(super) const CHAINS: usize = 16;

/// Defines `dots` in a module that has all of one of `simd`.
macro_rules! dots_kernel {
    ($features:literal) => {
        /// Vectors of a round.
        const VECTORS: usize = CHAINS / LANES;
        /// Rows at a time, which share the loads of `b`: eight sums hide the latency of an FMA.
        const AT_ONCE: usize = 8 / VECTORS;

        /// See [`Dots`](super::dots::Dots).
        #[target_feature(enable = $features)]
        unsafe fn dots(a: *const f32, b: *const f32, k: usize, out: &mut [f32], fetches: bool) {
            let mut first = 0;
            while first < out.len() {
                let a = a.wrapping_add(first * k);
                let out = &mut out[first..];
                // SAFETY: the caller vouches for as many rows as `out` has elements.
                first += unsafe {
                    match out.len() {
                        AT_ONCE.. if fetches => rows::<AT_ONCE, true>(a, b, k, out),
                        AT_ONCE.. => rows::<AT_ONCE, false>(a, b, k, out),
                        len if len >= 4 => rows::<4, false>(a, b, k, out),
                        2.. => rows::<2, false>(a, b, k, out),
                        _ => rows::<1, false>(a, b, k, out),
                    }
                };
            }
        }

        /// The first ROWS of them: so many.
        #[target_feature(enable = $features)]
        unsafe fn rows<const ROWS: usize, const FETCHES: bool>(
            a: *const f32,
            b: *const f32,
            k: usize,
            out: &mut [f32],
        ) -> usize {
            /// Elements by which a row is fetched in advance.
            const AHEAD: usize = 512;
            let whole = k - k % CHAINS;
            let mut sums = [[zero(); VECTORS]; ROWS];
            for p in (0..whole).step_by(CHAINS) {
                if FETCHES {
                    for i in 0..ROWS {
                        _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(i * k + p + AHEAD).cast());
                    }
                }
                for v in 0..VECTORS {
                    let at = p + v * LANES;
                    // SAFETY: a whole round lies below k.
                    let y = unsafe { load(b.add(at)) };
                    for i in 0..ROWS {
                        // SAFETY: as above, and the caller vouches for ROWS rows.
                        sums[i][v] = fma(unsafe { load(a.add(i * k + at)) }, y, sums[i][v]);
                    }
                }
            }
            if whole < k {
                for v in 0..VECTORS {
                    let at = whole + v * LANES;
                    let mask = mask(k.saturating_sub(at).min(LANES));
                    // SAFETY: the mask ends at element k.
                    let y = unsafe { load_some(b.wrapping_add(at), mask) };
                    for i in 0..ROWS {
                        // SAFETY: as above.
                        let x = unsafe { load_some(a.wrapping_add(i * k + at), mask) };
                        sums[i][v] = fma(x, y, sums[i][v]);
                    }
                }
            }
            let mut left = VECTORS;
            while left > 1 {
                left /= 2;
                for sums in &mut sums {
                    for v in 0..left {
                        sums[v] = add(sums[v], sums[v + left]);
                    }
                }
            }
            let count = ROWS.min(4);
            for i in (0..ROWS).step_by(4) {
                let mut four = [zero(); 4];
                for j in 0..count {
                    four[j] = sums[i + j][0];
                }
                out[i..i + count].copy_from_slice(&sums_of_lanes(four)[..count]);
            }
            ROWS
        }
    };
}

pub(super) use dots_kernel;
