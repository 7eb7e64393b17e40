//! The register tile: one source for both vector widths.
//!
//! A kernel computes rows × cols elements of C, rows ≤ `Micro::rows` and cols ≤ `Micro::cols()`, over all of k:
//! at each step it loads one row of the strip of B (one or two vectors) and broadcasts one element for each row of the
//! panel of A. Vectors that reach beyond the last column are masked, on loads and on stores.

use super::dots::Dots;
use super::epilogue::Raw;

/// Arguments of one tile. Pointers, because tiles of one C are written by several threads at once.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub k: usize,
    /// Element (row i, step p) of the panel is at `a + p * a_step + i`; of one whose rows lie one after the other, at
    /// `a + i * a_step + p`.
    pub a: *const f32,
    pub a_step: usize,
    /// Row p of the strip is at `b + p * b_step`.
    pub b: *const f32,
    pub b_step: usize,
    /// Where a kernel that reads B in place leaves a packed copy: row p at `pack + p * (vectors * lanes)`.
    pub pack: *mut f32,
    /// Columns of the tile: more than vectors - 1 full vectors, at most all of them.
    pub cols: usize,
    /// First row and column of the tile in C.
    pub row: usize,
    pub col: usize,
    pub out: &'a Out,
    /// Whether the sums go on from what C holds, and whether they are whole afterwards: only then the epilogue is theirs.
    pub goes_on: bool,
    pub is_last: bool,
    /// Whether C, and what its epilogue changes, is fetched before the sums are computed.
    pub fetches_c: bool,
    /// Memory to be fetched into L2 meanwhile, and how far to go on with each step.
    pub next: *const f32,
    pub next_step: usize,
}

/// C and what its epilogue needs. Tiles are disjoint in C, in `param` and in nothing else that is written.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub c: *mut f32,
    /// Distance of two rows of c, and of all that the epilogue has beside a bias.
    pub ld: usize,
    pub epilogue: Raw,
}

// SAFETY: the pointers stand for borrows that `gemm_in` holds until all tiles are done; each tile is computed by
// one thread and touches only its own rectangle of c and param (see `drive`).
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

/// A kernel for one number of rows and of vectors.
pub(super) type Kernel = unsafe fn(&Tile<'_>);

/// dst\[p * step + r\] = src\[r * ld + p\] for r < rows ≤ 16 and p < k: see `pack::transpose`.
pub(super) type Transpose = unsafe fn(*const f32, usize, usize, usize, *mut f32, usize);

/// The kernels of one instruction set.
pub(super) struct Micro {
    /// Most rows of a tile.
    pub rows: usize,
    /// Elements of a vector.
    pub lanes: usize,
    /// Elements of B, and of A, that leave half of L2 to the rest.
    pub half_l2: usize,
    /// Fewest steps in which fetching C pays: of one in L2, and of a larger one.
    pub fetching: [usize; 2],
    /// `packed[edge][rows - 1][vectors - 1]` reads B as it lies.
    pub packed: [&'static [[Kernel; 2]]; 2],
    /// The same, leaving a packed copy of the strip of B behind.
    pub packing: [&'static [[Kernel; 2]]; 2],
    /// `packed` and `packing` for a panel of A whose rows lie one after the other; none where every panel is packed.
    pub apart: Option<[[&'static [[Kernel; 2]]; 2]; 2]>,
    /// `row[edge][vectors - 1]` reads B as it lies: wide tiles for a single row, whose sums would else be too few to hide
    /// the latency of an FMA.
    pub row: [[Kernel; ROW]; 2],
    pub transpose: Transpose,
    pub dots: Dots,
}

/// Most vectors of a tile of a single row.
pub(super) const ROW: usize = 8;

impl Micro {
    /// Most columns of a tile, for a C of m rows.
    pub fn cols(&self, m: usize) -> usize {
        if m == 1 {
            ROW * self.lanes
        } else {
            2 * self.lanes
        }
    }

    /// The kernel for tiles of that height and width; `edge`: the last vector is not full.
    pub fn kernel(
        &self,
        rows: usize,
        vectors: usize,
        edge: bool,
        packing: bool,
        apart: bool,
    ) -> Kernel {
        let edge = usize::from(edge);
        if let (true, Some(kernels)) = (apart, self.apart) {
            return kernels[usize::from(packing)][edge][rows - 1][vectors - 1];
        }
        match (rows, packing) {
            (1, false) => self.row[edge][vectors - 1],
            (_, false) => self.packed[edge][rows - 1][vectors - 1],
            (_, true) => self.packing[edge][rows - 1][vectors - 1],
        }
    }
}

/// Defines `tile::<ROWS, VECTORS, PACK, EDGE>` in a module that has all of one of `simd` and the number UNROLL of
/// steps in a round of its loop. EDGE: the last vector reaches beyond the last column.
macro_rules! micro_kernel {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn tile<
            const ROWS: usize,
            const VECTORS: usize,
            const PACK: bool,
            const EDGE: bool,
            const APART: bool,
        >(
            t: &Tile<'_>,
        ) {
            let mut masks = [mask(LANES); VECTORS];
            masks[VECTORS - 1] = mask(t.cols - (VECTORS - 1) * LANES);
            if t.fetches_c {
                prefetch_out::<ROWS, VECTORS>(t);
            }
            let c = t.out.c.wrapping_add(t.row * t.out.ld + t.col);
            let mut acc = [[zero(); VECTORS]; ROWS];
            if t.goes_on {
                for i in 0..ROWS {
                    for v in 0..VECTORS {
                        let at = c.wrapping_add(i * t.out.ld + v * LANES);
                        // SAFETY: the tile lies inside C (`drive`), and the mask ends at its last column.
                        acc[i][v] = unsafe { get::<EDGE>(at, masks[v]) };
                    }
                }
            }
            let mut at = *t;
            let mut left = t.k;
            // Steps of fewer instructions, for what most tiles are: nothing to fetch, and nothing to count but the steps.
            let is_packed = t.b_step == VECTORS * LANES && (APART || t.a_step == ROWS);
            if !PACK && !EDGE && ROWS * VECTORS > 6 && is_packed && t.next_step == 0 {
                // SAFETY: as below, and the step between rows is the one that `rounds` supposes.
                left = unsafe { rounds::<ROWS, VECTORS, APART>(&mut at, &mut acc) };
            }
            // SAFETY: k steps, of which `drive` makes sure that they lie within the operands.
            unsafe {
                while !APART && left >= UNROLL {
                    for _ in 0..UNROLL {
                        step::<ROWS, VECTORS, PACK, EDGE, APART>(&mut at, &masks, &mut acc);
                    }
                    left -= UNROLL;
                }
                for _ in 0..left {
                    step::<ROWS, VECTORS, PACK, EDGE, APART>(&mut at, &masks, &mut acc);
                }
            }
            if t.is_last && !matches!(t.out.epilogue, Raw::Store) {
                // A copy, element by element: sums whose address is taken do not stay in registers.
                let mut sums = [[zero(); VECTORS]; ROWS];
                for i in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[i][v] = acc[i][v];
                    }
                }
                // SAFETY: the caller's promise is that of `finish`.
                return unsafe { finish::<ROWS, VECTORS, EDGE>(t, &sums, &masks) };
            }
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    // SAFETY: as for the loads.
                    unsafe { put::<EDGE>(c.add(i * t.out.ld + v * LANES), masks[v], acc[i][v]) };
                }
            }
        }

        /// Adds the products of as many steps as make whole rounds, and goes on to what is left: so many steps. The strip of B is
        /// packed, and the panel, too, unless it lies apart.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn rounds<const ROWS: usize, const VECTORS: usize, const APART: bool>(
            at: &mut Tile<'_>,
            acc: &mut [[V; VECTORS]; ROWS],
        ) -> usize {
            let (mut a, mut b) = (at.a, at.b);
            for _ in 0..at.k / ROUND {
                for p in 0..ROUND {
                    let mut row = [zero(); VECTORS];
                    for v in 0..VECTORS {
                        // SAFETY: step p of the strip, which has whole vectors.
                        row[v] = unsafe { load(b.add(p * VECTORS * LANES + v * LANES)) };
                    }
                    for i in 0..ROWS {
                        let from = if APART {
                            i * at.a_step + p
                        } else {
                            p * ROWS + i
                        };
                        // SAFETY: row i of step p of the panel.
                        let x = splat(unsafe { *a.add(from) });
                        for v in 0..VECTORS {
                            acc[i][v] = fma(x, row[v], acc[i][v]);
                        }
                    }
                }
                a = a.wrapping_add(if APART { ROUND } else { ROUND * ROWS });
                b = b.wrapping_add(ROUND * VECTORS * LANES);
            }
            (at.a, at.b) = (a, b);
            at.k % ROUND
        }

        /// Adds the products of one step, and goes on to the next one.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn step<
            const ROWS: usize,
            const VECTORS: usize,
            const PACK: bool,
            const EDGE: bool,
            const APART: bool,
        >(
            at: &mut Tile<'_>,
            masks: &[M; VECTORS],
            acc: &mut [[V; VECTORS]; ROWS],
        ) {
            let mut row = [zero(); VECTORS];
            for v in 0..VECTORS {
                // SAFETY: row p < k of the strip has t.cols elements, to which the mask keeps; the packed copy
                // has room for k rows of full vectors (`drive` makes both so).
                unsafe {
                    row[v] = get::<EDGE>(at.b.add(v * LANES), masks[v]);
                    if PACK {
                        store(at.pack.add(v * LANES), row[v]);
                    }
                }
            }
            // Before the loads from A: the compiler moves no load across a prefetch, and spills instead.
            if PACK {
                prefetch_read(at.b.wrapping_add(AHEAD * at.b_step));
                prefetch_read(at.b.wrapping_add(AHEAD * at.b_step + at.cols - 1));
                at.pack = at.pack.wrapping_add(VECTORS * LANES);
            } else {
                prefetch_next(at.next);
                at.next = at.next.wrapping_add(at.next_step);
            }
            for i in 0..ROWS {
                // SAFETY: step p < k of the panel has ROWS elements (`drive`).
                let x = splat(unsafe { *at.a.add(if APART { i * at.a_step } else { i }) });
                for v in 0..VECTORS {
                    acc[i][v] = fma(x, row[v], acc[i][v]);
                }
            }
            at.a = at.a.wrapping_add(if APART { 1 } else { at.a_step });
            at.b = at.b.wrapping_add(at.b_step);
        }

        /// The vector at p; with EDGE only its lanes of the mask.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn get<const EDGE: bool>(p: *const f32, mask: M) -> V {
            // SAFETY: the caller vouches for those lanes.
            unsafe { if EDGE { load_some(p, mask) } else { load(p) } }
        }

        /// Writes x to p; with EDGE only its lanes of the mask.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn put<const EDGE: bool>(p: *mut f32, mask: M, x: V) {
            // SAFETY: the caller vouches for those lanes.
            unsafe {
                if EDGE {
                    store_some(p, mask, x)
                } else {
                    store(p, x)
                }
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn prefetch_out<const ROWS: usize, const VECTORS: usize>(t: &Tile<'_>) {
            let start = t.row * t.out.ld + t.col;
            let rows = |p: *mut f32| {
                for i in 0..ROWS {
                    let row = p.wrapping_add(start + i * t.out.ld);
                    prefetch_write(row);
                    // A row of 16 floats lies on two lines at most.
                    if VECTORS * LANES > 16 {
                        prefetch_write(row.wrapping_add(t.cols / 2));
                    }
                    prefetch_write(row.wrapping_add(t.cols - 1));
                }
            };
            rows(t.out.c);
            match t.out.epilogue {
                Raw::Momentum { param, .. } => rows(param),
                Raw::Adam { square, param, .. } => {
                    rows(square);
                    rows(param);
                }
                _ => {}
            }
        }

        /// Sends the sums through the epilogue. Not inlined: it would be most of the code of each kernel.
        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn finish<const ROWS: usize, const VECTORS: usize, const EDGE: bool>(
            t: &Tile<'_>,
            acc: &[[V; VECTORS]; ROWS],
            masks: &[M; VECTORS],
        ) {
            let Out { c, ld, epilogue } = *t.out;
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    let (ab, mask) = (acc[i][v], masks[v]);
                    let at = (t.row + i) * ld + t.col + v * LANES;
                    // SAFETY: the tile lies inside C (`drive`), the mask ends at its last column, and c and the
                    // epilogue's operands have the lengths that `gemm_in` checked.
                    let y = unsafe {
                        match epilogue {
                            Raw::Store => ab,
                            Raw::Accumulate => add(get::<EDGE>(c.add(at), mask), ab),
                            Raw::Bias { bias, below } => {
                                let bias = get::<EDGE>(bias.add(t.col + v * LANES), mask);
                                rectify(add(ab, bias), below)
                            }
                            Raw::BiasOne { bias, below } => rectify(add(ab, splat(bias)), below),
                            Raw::Times { by } => mul(get::<EDGE>(by.add(at), mask), ab),
                            Raw::Step { at: other, below } => {
                                let flat = below == 0.0;
                                let below = if flat { zero() } else { mul(splat(below), ab) };
                                where_positive(get::<EDGE>(other.add(at), mask), ab, below)
                            }
                            Raw::Momentum {
                                grad,
                                param,
                                lr,
                                momentum,
                            } => {
                                let g = match grad.is_null() {
                                    true => ab,
                                    false => add(get::<EDGE>(grad.add(at), mask), ab),
                                };
                                descend::<EDGE>(c.add(at), param.add(at), g, lr, momentum, mask)
                            }
                            Raw::Adam {
                                grad,
                                square,
                                param,
                                adam,
                            } => {
                                let g = match grad.is_null() {
                                    true => ab,
                                    false => add(get::<EDGE>(grad.add(at), mask), ab),
                                };
                                let (mean, square, param) =
                                    (c.add(at), square.add(at), param.add(at));
                                descend_by_adam::<EDGE>(mean, square, param, g, &adam, mask)
                            }
                        }
                    };
                    // SAFETY: as above.
                    unsafe { put::<EDGE>(c.add(at), mask, y) };
                }
            }
        }

        /// p = p + (momentum · v − lr · g); returns the new v, which the caller stores.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn descend<const EDGE: bool>(
            v: *const f32,
            p: *mut f32,
            g: V,
            lr: f32,
            momentum: f32,
            m: M,
        ) -> V {
            // SAFETY: the caller's v and p point into c and param, and the mask ends at the last column.
            let (old, at) = unsafe { (get::<EDGE>(v, m), get::<EDGE>(p, m)) };
            let new = sub(mul(splat(momentum), old), mul(splat(lr), g));
            // SAFETY: as above.
            unsafe { put::<EDGE>(p, m, add(at, new)) };
            new
        }

        /// The update of [`Adam::step`], of the mean, the mean square and the parameter; returns the new mean, which the
        /// caller stores. Without arrays and closures, which would go through memory.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn descend_by_adam<const EDGE: bool>(
            mean: *const f32,
            square: *mut f32,
            param: *mut f32,
            g: V,
            adam: &Adam,
            mask: M,
        ) -> V {
            // SAFETY: the caller's pointers are into c, square and param, and the mask ends at the last column.
            let (m, s) = unsafe { (get::<EDGE>(mean, mask), get::<EDGE>(square, mask)) };
            let m = add(mul(splat(adam.kept[0]), m), mul(splat(adam.taken[0]), g));
            let s = add(
                mul(splat(adam.kept[1]), s),
                mul(splat(adam.taken[1]), mul(g, g)),
            );
            let root = add(sqrt(mul(splat(adam.corrections[1]), s)), splat(adam.eps));
            let step = mul(
                splat(adam.lr),
                div(mul(splat(adam.corrections[0]), m), root),
            );
            // SAFETY: as above.
            unsafe {
                put::<EDGE>(square, mask, s);
                put::<EDGE>(param, mask, sub(get::<EDGE>(param, mask), step));
            }
            m
        }

        /// A rectifier with this slope below 0, where there is one.
        #[inline]
        #[target_feature(enable = $features)]
        fn rectify(x: V, below: Option<f32>) -> V {
            match below {
                None => x,
                Some(0.0) => relu(x),
                Some(below) => where_positive(x, x, mul(splat(below), x)),
            }
        }

        /// Steps of a round that counts only these.
        const ROUND: usize = 4;
        /// Rows of B that a packing kernel fetches in advance.
        const AHEAD: usize = 16;

        #[inline]
        #[target_feature(enable = $features)]
        fn prefetch_read(p: *const f32) {
            _mm_prefetch::<_MM_HINT_T0>(p.cast());
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn prefetch_next(p: *const f32) {
            _mm_prefetch::<_MM_HINT_T1>(p.cast());
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn prefetch_write(p: *const f32) {
            _mm_prefetch::<_MM_HINT_ET0>(p.cast());
        }
    };
}

/// `[[tile::<rows, 1, PACK, EDGE, APART>, tile::<rows, 2, PACK, EDGE, APART>], ..]` for the given numbers of rows.
macro_rules! tiles {
    ($pack:literal $edge:literal $apart:literal: $($rows:literal)*) => {
        &[$([
            tile::<$rows, 1, $pack, $edge, $apart> as Kernel,
            tile::<$rows, 2, $pack, $edge, $apart>,
        ]),*]
    };
}

/// `[tile::<1, vectors, false, EDGE, false>, ..]` for the given numbers of vectors.
macro_rules! row_tiles {
    ($edge:literal: $($vectors:literal)*) => {
        [$(tile::<1, $vectors, false, $edge, false> as Kernel),*]
    };
}

pub(super) use {micro_kernel, row_tiles, tiles};
