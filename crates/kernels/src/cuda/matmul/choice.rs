//! The choice of the kernel for a matrix product.

use crate::cpu::gemm::Shape3;
use crate::cuda::{FILL, Launch, PROCESSORS, Precision};

/// Which kernel computes a product, and how k is cut; from the precision and the shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub precision: Precision,
    pub rung: &'static str,
    pub tile: usize,
    /// Terms per part of k, a multiple of 16.
    pub part: usize,
}

/// Fewer rows or columns are few.
const FEW: usize = 16;

/// The fewest terms of a part of k.
const SHORT: usize = 32;

/// Whether tiles of 128 x 128 take no longer than those of 64 x 64, by what the processor with the most of them has to do: a
/// large one is the work of four, but for half the loads, which make it that of three and a half.
fn is_large(m: usize, n: usize) -> bool {
    let rounds = |tile: usize| (m.div_ceil(tile) * n.div_ceil(tile)).div_ceil(PROCESSORS);
    7 * rounds(128) <= 2 * rounds(64)
}

impl Choice {
    /// Few rows or columns: small tiles, in f32, since they are no work for tensor cores. Else tiles of 128 x 128 where they take
    /// no longer, or of 64 x 64.
    pub(super) fn of(precision: Precision, dims: Shape3) -> Choice {
        let Shape3 { m, k, n } = dims;
        match precision {
            _ if m.min(n) <= FEW => Choice::whole(Precision::F32, "v2_tiled", 32, k),
            Precision::F32 if is_large(m, n) => Choice::whole(precision, "v4_large", 128, k),
            _ if is_large(m, n) => Choice::whole(precision, "v3_large", 128, k),
            _ => Choice::blocks(precision, dims),
        }
    }

    /// Tiles of 64 x 64, with as many parts of at least 32 terms as fill a large device; whole and in f32 where
    /// [`Choice::of`] has it so, so that a product has the same bits whichever kernel computes it.
    pub(super) fn blocks(precision: Precision, Shape3 { m, k, n }: Shape3) -> Choice {
        let tiles = m.div_ceil(64) * n.div_ceil(64);
        let (precision, parts) = match m.min(n) <= FEW {
            true => (Precision::F32, 1),
            false => (
                precision,
                (FILL / tiles.max(1)).clamp(1, k.div_ceil(SHORT).max(1)),
            ),
        };
        let rung = match precision {
            Precision::F32 => "v3_block",
            _ => "v2_block",
        };
        Choice::whole(precision, rung, 64, k.div_ceil(parts))
    }

    /// One part of k terms.
    pub(super) fn whole(precision: Precision, rung: &'static str, tile: usize, k: usize) -> Choice {
        Choice {
            precision,
            rung,
            tile,
            part: k.max(1).next_multiple_of(16),
        }
    }

    pub(super) fn parts(self, k: usize) -> usize {
        k.div_ceil(self.part).max(1)
    }

    /// Whether the kernel can cut k.
    pub(super) fn cuts(self) -> bool {
        !matches!(self.rung, "v1_naive" | "v2_tiled" | "v1_mma")
    }

    /// A launch of `form`, such as `nn`, by this kernel.
    pub(super) fn launch(self, rung: &str, form: &str) -> Launch {
        let (family, threads) = match self.precision {
            Precision::F32 if matches!(rung, "v3_block" | "v3_put") => ("matmul", 128),
            Precision::F32 => ("matmul", 256),
            _ if rung == "v1_mma" => ("matmul_sm80", 256),
            _ => ("matmul_sm80", 128),
        };
        let precision = self.precision.name();
        Launch::new(family, format!("matmul_{rung}_{form}_{precision}")).block(threads, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(precision: Precision, m: usize, n: usize, k: usize) -> (&'static str, usize) {
        let choice = Choice::of(precision, Shape3 { m, k, n });
        (choice.rung, choice.parts(k))
    }

    #[test]
    fn thin_products_are_cut_and_large_ones_are_not() {
        // The products of the paper's nets.
        let [f32, tf32] = [Precision::F32, Precision::Tf32];
        for (precision, block, large) in [
            (f32, "v3_block", "v4_large"),
            (tf32, "v2_block", "v3_large"),
        ] {
            let choice = |m, n, k| choice(precision, m, n, k);
            assert_eq!(choice(100, 1200, 1200), (block, 5));
            assert_eq!(choice(100, 1200, 100), (block, 4));
            assert_eq!(choice(784, 1200, 200), (block, 1));
            assert_eq!(choice(200, 784, 1200), (block, 4));
            assert_eq!(choice(1200, 1200, 100), (large, 1)); // one wave of 100 for almost four
            assert_eq!(choice(200, 1, 240), ("v2_tiled", 1));
            assert_eq!(choice(4096, 4096, 4096), (large, 1));
            assert_eq!(choice(100, 100, 0), (block, 1));
            assert_eq!(choice(5_000_000, 17, 40), (block, 1));
        }
        let few = Choice::of(
            tf32,
            Shape3 {
                m: 200,
                k: 240,
                n: 1,
            },
        );
        assert_eq!(few.precision, f32);
    }

    #[test]
    fn cut_products_have_places_at_once_on_devices_of_108_processors_and_more() {
        for m in [17, 64, 100, 200, 784, 1200] {
            for n in [17, 100, 240, 784, 1200, 2000] {
                let k = 1200;
                let blocks = Choice::blocks(Precision::F32, Shape3 { m, k, n });
                let tiles = m.div_ceil(64) * n.div_ceil(64);
                let (parts, most) = (blocks.parts(k), 2 * 108);
                assert!(
                    parts == 1 || tiles * parts <= most,
                    "{m} x {n}: {tiles} x {parts}"
                );
            }
        }
    }

    #[test]
    fn parts_are_multiples_of_16_that_cover_k() {
        for (m, n, k) in [
            (17, 17, 1),
            (17, 17, 129),
            (100, 1200, 1200),
            (64, 64, 100_000),
        ] {
            let c = Choice::of(Precision::F32, Shape3 { m, k, n });
            assert!(
                c.part.is_multiple_of(16) && c.part * c.parts(k) >= k,
                "{c:?}"
            );
            assert!(
                c.part * (c.parts(k) - 1) < k,
                "a part of {k} is empty: {c:?}"
            );
        }
    }
}
