//! From a whole product to tiles: the order of packing, and the distribution over threads.
//!
//! C is partitioned into strips of columns (as wide as a tile) and panels of rows (of nearly equal height, at most that of a
//! tile). The partition depends on the shape only. A task is a block of strips with all panels: its thread packs these
//! strips of B into its own buffer, where they stay in L2 while the panels of A stream by. The last blocks are divided
//! again, into groups of panels, so that the threads finish together; several threads read such a block of B, so it
//! is packed beforehand, together with A.

use super::lines;
use super::micro::{Micro, Out, Tile};
use super::pack::{LINE, Operand, SMALL};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Products with fewer multiply-adds than this run on the calling thread.
const INLINE_BELOW: usize = 1 << 20;
/// A packing job for one thread, in elements.
const PACK_GRAIN: usize = 1 << 15;
/// Blocks that are cut into groups of panels, where there are many blocks.
const SHARED: usize = 3;
/// Groups of panels in such a block.
const GROUPS: usize = 4;
/// With fewer blocks than this all are cut.
const MANY_BLOCKS: usize = 20;
/// With more panels than this it pays to read a panel once for several strips.
const MANY_PANELS: usize = 32;
/// With so few strips it never pays to pack A that lies side by side.
const FEW_STRIPS: usize = 4;
/// Nor with so few to transpose it, where the kernels can do without.
const APART: usize = 8;
/// More elements of A than this do not stay in L2 beside B.
const IN_L2: usize = 1 << 17;
/// Sums of more steps than this are computed part by part, each in about as many as `DEPTH`: a panel of A and a strip of B
/// would leave L1 and L2.
const DEEP: usize = 3072;
const DEPTH: usize = 768;
/// Steps and columns, at most, of blocks of a B whose rows crowd into few sets of L2: a strip of more steps would not stay there.
const CROWDED: [usize; 2] = [256, 512];
/// Such blocks for each thread, at least, where there are as many strips.
const BLOCKS_OF_A_THREAD: usize = 2;

/// How one product is cut.
#[derive(Clone, Copy)]
struct Cut {
    m: usize,
    n: usize,
    k: usize,
    /// Steps of a tile at a time, and how many times.
    depth: usize,
    depths: usize,
    panels: usize,
    /// Rows of a panel; of the first `taller` ones a row more.
    height: usize,
    taller: usize,
    strips: usize,
    /// Strips in a block (the last one may have fewer).
    block: usize,
    blocks: usize,
    /// Blocks that are one task each; the others are `groups` tasks each.
    whole: usize,
    groups: usize,
    /// Width of a full strip.
    cols: usize,
    lanes: usize,
    threads: usize,
    /// Whether the panels of A are packed.
    pack_a: bool,
    /// Whether tiles fetch C.
    fetches_c: bool,
}

impl Cut {
    /// `threads` says among how many the work is shared, if it is enough for several; `is_free`: C may hold sums that are not
    /// whole yet.
    fn new(micro: &Micro, a: Operand, b: Operand, is_free: bool, threads: fn() -> usize) -> Self {
        let (m, n, k) = (a.lines, b.lines, a.k);
        let panels = m.div_ceil(micro.rows);
        let cols = micro.cols(m);
        let strips = n.div_ceil(cols);
        let threads = match m.saturating_mul(n).saturating_mul(k) {
            0..INLINE_BELOW => 1,
            _ => threads(),
        };
        let is_few = (2..=MANY_PANELS).contains(&panels);
        let is_crowded = is_free && is_few && b.crowds_l2();
        let depths = match is_crowded {
            true => k.div_ceil(CROWDED[0]),
            false if is_free && k > DEEP => k.div_ceil(DEPTH),
            false => 1,
        };
        let depth = k.div_ceil(depths);
        let most = (micro.half_l2 / (depth.max(1) * cols)).clamp(1, strips);
        let block = match panels {
            0..=MANY_PANELS if is_crowded => {
                let shared = strips / (BLOCKS_OF_A_THREAD * threads);
                most.min(CROWDED[1] / cols).min(shared).max(1)
            }
            0..=MANY_PANELS => 1,
            _ => most,
        };
        let blocks = strips.div_ceil(block);
        let (whole, groups) = match (threads, blocks) {
            (1, _) => (blocks, 1),
            _ if is_crowded && blocks >= threads => (blocks, 1),
            (_, MANY_BLOCKS..) => (blocks - SHARED, GROUPS.min(panels)),
            _ => (0, (2 * MANY_BLOCKS / blocks).min(panels)),
        };
        Self {
            m,
            n,
            k,
            depth,
            depths,
            panels,
            height: m / panels.max(1),
            taller: m % panels.max(1),
            strips,
            block,
            blocks,
            whole,
            groups,
            cols,
            lanes: micro.lanes,
            threads,
            fetches_c: depth >= micro.fetching[usize::from(m.saturating_mul(n) >= SMALL)],
            // The kernels read A as well where it lies, unless side by side its rows crowd into few sets of the cache.
            pack_a: match (a.side_by_side, micro.apart) {
                (true, None) => strips > FEW_STRIPS && (k > 256 || m.is_multiple_of(256)),
                (false, None) => true,
                // A step of so low a panel is less than a line of the cache: of rows side by side every line is read for
                // several panels.
                (true, Some(_)) => strips > FEW_STRIPS,
                (false, Some(_)) => strips > APART,
            },
        }
    }

    fn tasks(&self) -> usize {
        self.whole + (self.blocks - self.whole) * self.groups
    }

    /// The block of a task. Tasks in turn are far apart: neighbours in C share lines of the cache where its rows do not
    /// begin on one, and two threads that write them at the same time wait for each other.
    fn block_of(&self, task: usize) -> usize {
        match (self.threads, task % 2) {
            (1, _) => task,
            (_, 0) => task / 2,
            _ => self.whole.div_ceil(2) + task / 2,
        }
    }

    /// First row and number of rows of a panel.
    fn rows(&self, panel: usize) -> (usize, usize) {
        let rows = self.height + usize::from(panel < self.taller);
        (panel * self.height + panel.min(self.taller), rows)
    }

    /// First column, number of columns, and columns in whole vectors of a strip.
    fn columns(&self, strip: usize) -> (usize, usize, usize) {
        let first = strip * self.cols;
        let cols = (self.n - first).min(self.cols);
        (first, cols, self.vectors(cols) * self.lanes)
    }

    /// Vectors that hold so many columns of a strip. No division: it would take as long as five steps of a tile.
    fn vectors(&self, cols: usize) -> usize {
        (cols + self.lanes - 1) >> self.lanes.trailing_zeros()
    }

    fn panels_len(&self) -> usize {
        if self.pack_a { self.m * self.k } else { 0 }
    }

    fn strip_len(&self) -> usize {
        self.k * self.cols
    }

    fn block_len(&self) -> usize {
        self.block * self.strip_len()
    }

    /// The same of a strip of which only the steps at hand are packed.
    fn own_strip_len(&self) -> usize {
        self.depth * self.cols
    }

    /// The steps of a tile, one time after the other.
    fn steps(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (k, depth) = (self.k, self.depth);
        (0..self.depths).map(move |i| i * depth..k.min((i + 1) * depth))
    }

    /// Strips of a block.
    fn strips_of(&self, block: usize) -> Range<usize> {
        block * self.block..self.strips.min((block + 1) * self.block)
    }

    /// Strips that are packed beforehand.
    fn shared(&self) -> Range<usize> {
        self.strips.min(self.whole * self.block)..self.strips
    }

    fn shared_len(&self) -> usize {
        self.shared().len() * self.strip_len()
    }

    /// Floats for the panels of A, the shared strips of B, and each thread's own strips, all on lines of the cache.
    fn workspace(&self) -> [usize; 3] {
        let own = lines((self.block * self.own_strip_len()).max(1));
        let [panels, shared] = [self.panels_len(), self.shared_len()].map(lines);
        [panels, shared, self.threads * own]
    }
}

/// The floats of a workspace for this product; the data of the operands does not matter.
pub(super) fn workspace(micro: &Micro, a: Operand, b: Operand, threads: fn() -> usize) -> usize {
    let needed = |is_free| -> usize {
        let cut = Cut::new(micro, a, b, is_free, threads);
        cut.workspace().iter().sum()
    };
    needed(false).max(needed(true))
}

/// out = epilogue(a · b). `out` must be valid for a.lines × b.lines elements.
pub(super) fn run(
    micro: &Micro,
    a: Operand,
    b: Operand,
    out: Out,
    threads: fn() -> usize,
    workspace: &mut [f32],
) {
    let is_free = !out.epilogue.reads_c();
    let cut = Cut::new(micro, a, b, is_free, threads);
    let [panels, shared, own] = cut.workspace();
    let (panels, rest) = workspace.split_at_mut(panels);
    let (shared, strips) = rest.split_at_mut(shared);
    let strips = &mut strips[..own];
    let panels = &mut panels[..cut.panels_len()];
    let shared = &mut shared[..cut.shared_len()];
    pack_ahead(micro, &cut, a, b, panels, shared);
    let job = Job {
        micro,
        cut,
        a,
        b,
        panels,
        shared,
        out,
    };
    let counter = AtomicUsize::new(0);
    if cut.threads == 1 {
        job.work(strips, &counter);
    } else {
        strips
            .par_chunks_exact_mut(own / cut.threads)
            .with_max_len(1)
            .for_each(|strip| job.work(strip, &counter));
    }
}

/// Packs what several threads will read: all panels of A and the shared strips of B.
fn pack_ahead(
    micro: &Micro,
    cut: &Cut,
    a: Operand,
    b: Operand,
    panels: &mut [f32],
    shared: &mut [f32],
) {
    let pack_a = |panel: usize, to: &mut [f32]| {
        let (first, rows) = cut.rows(panel);
        a.pack(micro, first, rows, rows, to);
    };
    let pack_b = |strip: usize, to: &mut [f32]| {
        let (first, cols, step) = cut.columns(strip);
        b.pack(micro, first, cols, step, to);
    };
    let panel_start = |panel: usize| cut.rows(panel).0 * cut.k;
    let strip_start = |strip: usize| (strip - cut.shared().start) * cut.strip_len();
    let all_panels = 0..if cut.pack_a { cut.panels } else { 0 };
    let grain = match cut.threads {
        1 => usize::MAX,
        _ => PACK_GRAIN,
    };
    let (shared_strips, elements) = (cut.shared(), panels.len() + shared.len());
    join_if(
        elements > grain,
        || split(all_panels, panels, grain, &panel_start, &pack_a),
        || split(shared_strips, shared, grain, &strip_start, &pack_b),
    );
}

/// Both, on two threads if it is worth it.
fn join_if(worth_it: bool, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    if worth_it {
        rayon::join(one, other);
    } else {
        one();
        other();
    }
}

/// Calls `pack` for each part with its piece of `to`; part i begins at `start(i)` in the whole of which `to` is the
/// piece of `parts`. Pieces of more than `grain` elements are halved over two threads.
fn split(
    parts: Range<usize>,
    to: &mut [f32],
    grain: usize,
    start: &(impl Fn(usize) -> usize + Sync),
    pack: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    if parts.len() > 1 && to.len() > grain {
        let middle = parts.start + parts.len() / 2;
        let (low, high) = to.split_at_mut(start(middle) - start(parts.start));
        rayon::join(
            || split(parts.start..middle, low, grain, start, pack),
            || split(middle..parts.end, high, grain, start, pack),
        );
        return;
    }
    let base = parts.clone().next().map_or(0, start);
    for part in parts {
        pack(part, &mut to[start(part) - base..]);
    }
}

/// A product whose shared operands are packed: the tasks that are left.
struct Job<'a> {
    micro: &'a Micro,
    cut: Cut,
    a: Operand<'a>,
    b: Operand<'a>,
    panels: &'a [f32],
    shared: &'a [f32],
    out: Out,
}

/// A panel of A as the kernels read it; `is_apart`: its rows lie one after the other.
#[derive(Clone, Copy)]
struct Panel<'a> {
    row: usize,
    rows: usize,
    data: &'a [f32],
    step: usize,
    is_apart: bool,
}

/// A strip of B as the kernels read it.
#[derive(Clone, Copy)]
struct Strip<'a> {
    index: usize,
    data: &'a [f32],
    step: usize,
}

/// Strips of B, packed one after the other, from step `first` on.
#[derive(Clone, Copy)]
struct Packed<'a> {
    data: &'a [f32],
    strip_len: usize,
    first: usize,
}

/// What the kernels fetch meanwhile.
#[derive(Clone, Copy)]
struct Next {
    data: *const f32,
    step: usize,
}

/// Where in B the next part begins, or would, at its end: a step, and a line.
#[derive(Clone, Copy)]
enum NextBlock {
    /// Its lines are transposed.
    Lines(usize, usize),
    /// Its rows are read where they lie.
    Rows(usize, usize),
}

impl Job<'_> {
    /// Takes tasks until none is left.
    fn work(&self, buffer: &mut [f32], counter: &AtomicUsize) {
        let take = || counter.fetch_add(1, Ordering::Relaxed);
        let mut task = take();
        while task < self.cut.tasks() {
            let next = take();
            match task.checked_sub(self.cut.whole) {
                None => self.whole_block(self.cut.block_of(task), self.cut.block_of(next), buffer),
                Some(task) => self.group(task),
            }
            task = next;
        }
    }

    /// One block of strips with all panels.
    fn whole_block(&self, block: usize, next: usize, buffer: &mut [f32]) {
        let strips = self.cut.strips_of(block);
        let in_place = self.b.side_by_side;
        let strip_len = self.cut.own_strip_len();
        for steps in self.cut.steps() {
            for (i, strip) in strips.clone().enumerate() {
                let buffer = &mut buffer[i * strip_len..];
                let (first, cols, step) = self.cut.columns(strip);
                if in_place {
                    let start = steps.start * self.b.lines + first;
                    let direct = Strip {
                        index: strip,
                        data: self.b.data.get(start..).unwrap_or_default(),
                        step: self.b.lines,
                    };
                    let copy = (self.cut.panels > 1).then_some(buffer);
                    self.tile(self.panel(0, &steps), direct, &steps, copy, None);
                } else {
                    let steps = steps.clone();
                    self.b
                        .pack_steps(self.micro, first, cols, steps, step, buffer);
                }
            }
            // The steps that come next, of this block or of the next one.
            let (strip, step) = match steps.end < self.cut.k {
                true => (strips.start, steps.end),
                false => (next * self.cut.block, 0),
            };
            let column = strip * self.cut.cols;
            let next = match in_place {
                true => NextBlock::Rows(step, column),
                false => NextBlock::Lines(step, column),
            };
            let packed = Packed {
                data: buffer,
                strip_len,
                first: steps.start,
            };
            let panels = usize::from(in_place)..self.cut.panels;
            self.panels(panels, strips.clone(), &steps, packed, Some(next));
        }
    }

    /// Some panels of one of the blocks that were packed beforehand.
    fn group(&self, task: usize) {
        let (block, group) = (task / self.cut.groups, task % self.cut.groups);
        let start = |group: usize| group * self.cut.panels / self.cut.groups;
        let packed = Packed {
            data: &self.shared[block * self.cut.block_len()..],
            strip_len: self.cut.strip_len(),
            first: 0,
        };
        let strips = self.cut.strips_of(self.cut.whole + block);
        for steps in self.cut.steps() {
            let panels = start(group)..start(group + 1);
            self.panels(panels, strips.clone(), &steps, packed, None);
        }
    }

    /// Some steps of some panels with the strips of one block, which are packed. `next_b` is what of B comes next.
    fn panels(
        &self,
        panels: Range<usize>,
        strips: Range<usize>,
        steps: &Range<usize>,
        packed: Packed,
        next_b: Option<NextBlock>,
    ) {
        let (k, count) = (self.cut.k, strips.len());
        for panel in panels {
            let a = self.panel(panel, steps);
            let next_b = next_b.and_then(|next| self.next_of_b(next, panel));
            let next_a = match next_b {
                Some(_) if self.b.side_by_side => None,
                // A comes from L3: the next panel, spread over the strips.
                _ if self.panels.len() > IN_L2 => {
                    let start = (a.row + a.rows) * k + steps.start * a.rows;
                    Some(Next {
                        data: self.panels.as_ptr().wrapping_add(start),
                        step: a.rows.div_ceil(count),
                    })
                }
                _ => None,
            };
            for (i, strip) in strips.clone().enumerate() {
                let step = self.cut.columns(strip).2;
                let start = i * packed.strip_len + (steps.start - packed.first) * step;
                let b = Strip {
                    index: strip,
                    data: packed.data.get(start..).unwrap_or_default(),
                    step,
                };
                let next = next_a.map(|next| Next {
                    data: next.data.wrapping_add(i * next.step * steps.len()),
                    step: next.step,
                });
                self.tile(a, b, steps, None, next.or(next_b));
            }
        }
    }

    /// What to fetch of the next part of B while `panel` is computed: its share of lines that lie one after the other;
    /// or, of the rows of one strip, the first cache line of each, then the second, or the one that they straddle. Rows of
    /// several strips are long runs, which processors fetch without being told.
    fn next_of_b(&self, next: NextBlock, panel: usize) -> Option<Next> {
        let (start, step) = match next {
            NextBlock::Lines(step, line) => {
                let share =
                    Some(4 * panel).filter(|share| *share < self.cut.block * self.cut.cols)?;
                ((line + share) * self.cut.k + step, 4)
            }
            NextBlock::Rows(..) if self.cut.block > 1 => return None,
            NextBlock::Rows(step, column) => {
                let straddled = usize::from(!self.b.lines.is_multiple_of(LINE));
                let lines = self.cut.cols.div_ceil(LINE) + straddled;
                let line = panel.checked_sub(1).filter(|line| *line < lines)?;
                let column = column + (line * LINE).min(self.cut.cols - 1);
                (step * self.b.lines + column, self.b.lines)
            }
        };
        let data = self.b.data.as_ptr().wrapping_add(start);
        Some(Next { data, step })
    }

    fn panel(&self, panel: usize, steps: &Range<usize>) -> Panel<'_> {
        let k = self.cut.k;
        let (row, rows) = self.cut.rows(panel);
        let is_apart = !self.cut.pack_a && !self.a.side_by_side;
        let (data, start, step) = match self.cut.pack_a {
            true => (self.panels, row * k + steps.start * rows, rows),
            false if is_apart => (self.a.data, row * k + steps.start, k),
            false => (self.a.data, steps.start * self.a.lines + row, self.a.lines),
        };
        let data = data.get(start..).unwrap_or_default();
        if let Some(last) = steps.len().checked_sub(1) {
            let (lines, line) = if is_apart {
                (rows - 1, last)
            } else {
                (last, rows - 1)
            };
            assert!(data.len() > lines * step + line);
        }
        Panel {
            row,
            rows,
            data,
            step,
            is_apart,
        }
    }

    /// Some steps of one tile of C; `copy` is where to leave the strip packed.
    #[inline(always)]
    fn tile(
        &self,
        a: Panel,
        b: Strip,
        steps: &Range<usize>,
        copy: Option<&mut [f32]>,
        next: Option<Next>,
    ) {
        let k = steps.len();
        let (col, cols, width) = self.cut.columns(b.index);
        if k > 0 {
            assert!(b.data.len() >= (k - 1) * b.step + cols);
            assert!(copy.as_ref().is_none_or(|copy| copy.len() >= k * width));
        }
        let vectors = self.cut.vectors(cols);
        let (is_edge, is_packing) = (cols < width, copy.is_some());
        let kernel = self
            .micro
            .kernel(a.rows, vectors, is_edge, is_packing, a.is_apart);
        let tile = Tile {
            k,
            a: a.data.as_ptr(),
            a_step: a.step,
            b: b.data.as_ptr(),
            b_step: b.step,
            pack: copy.map_or(std::ptr::null_mut(), <[f32]>::as_mut_ptr),
            cols,
            row: a.row,
            col,
            out: &self.out,
            goes_on: steps.start > 0,
            is_last: steps.end == self.cut.k,
            fetches_c: self.cut.fetches_c,
            next: next.map_or(a.data.as_ptr(), |next| next.data),
            next_step: next.map_or(0, |next| next.step),
        };
        // SAFETY: the operands cover k steps (asserted here and in `panel`), the tile lies in C (`Cut`), and no other task
        // has this panel of this strip; `micro` is one of the instruction sets of this machine (`gemm_with`).
        unsafe { kernel(&tile) };
    }
}
