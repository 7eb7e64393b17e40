//! From a whole product to tiles: what is packed when, and which thread computes what.
//!
//! C is cut into strips of columns (as wide as a tile) and panels of rows (of nearly equal height, at most that of a
//! tile). The cut follows from the shape alone. A task is a strip with all its panels: its thread packs the strip of B
//! into a buffer of its own, where it stays in L2 while the panels of A pass by. The last strips are cut once more,
//! into groups of panels, so that the threads finish together; several threads read such a strip of B, so it is packed
//! beforehand, together with A.

use super::micro::{Micro, Out, Tile};
use super::pack::Operand;
use super::scratch::Scratch;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Products with fewer multiply-adds than this run on the calling thread.
const INLINE_BELOW: usize = 1 << 20;
/// A packing job for one thread, in elements.
const PACK_GRAIN: usize = 1 << 15;
/// Strips that are cut into groups of panels, where there are many strips.
const SHARED: usize = 3;
/// Groups of panels in such a strip.
const GROUPS: usize = 4;
/// With fewer strips than this all are cut.
const MANY_STRIPS: usize = 20;

/// How one product is cut.
#[derive(Clone, Copy)]
struct Cut {
    m: usize,
    n: usize,
    k: usize,
    panels: usize,
    strips: usize,
    /// Strips that are one task each; the others are `groups` tasks each.
    whole: usize,
    groups: usize,
    /// Width of a full strip.
    cols: usize,
    lanes: usize,
    threads: usize,
    /// Whether the panels of A are packed.
    pack_a: bool,
}

impl Cut {
    fn new(micro: &Micro, a: Operand, b: Operand) -> Self {
        let (m, n, k) = (a.lines, b.lines, a.k);
        let panels = m.div_ceil(micro.rows);
        let strips = n.div_ceil(micro.cols());
        let threads = match m.saturating_mul(n).saturating_mul(k) {
            0..INLINE_BELOW => 1,
            _ => rayon::current_num_threads(),
        };
        let (whole, groups) = match (threads, strips) {
            (1, _) => (strips, 1),
            (_, MANY_STRIPS..) => (strips - SHARED, GROUPS.min(panels)),
            _ => (0, (2 * MANY_STRIPS / strips).min(panels)),
        };
        Self {
            m,
            n,
            k,
            panels,
            strips,
            whole,
            groups,
            cols: micro.cols(),
            lanes: micro.lanes,
            threads,
            pack_a: !a.side_by_side || (panels > 1 && strips > 4),
        }
    }

    fn tasks(&self) -> usize {
        self.whole + (self.strips - self.whole) * self.groups
    }

    /// First row and number of rows of a panel.
    fn rows(&self, panel: usize) -> (usize, usize) {
        let (height, rest) = (self.m / self.panels, self.m % self.panels);
        let rows = height + usize::from(panel < rest);
        (panel * height + panel.min(rest), rows)
    }

    /// First column, number of columns, and columns in whole vectors of a strip.
    fn columns(&self, strip: usize) -> (usize, usize, usize) {
        let first = strip * self.cols;
        let cols = (self.n - first).min(self.cols);
        (first, cols, cols.next_multiple_of(self.lanes))
    }

    fn panels_len(&self) -> usize {
        if self.pack_a { self.m * self.k } else { 0 }
    }

    fn strip_len(&self) -> usize {
        self.k * self.cols
    }

    fn shared_len(&self) -> usize {
        (self.strips - self.whole) * self.strip_len()
    }

    fn reserve(&self, scratch: &mut Scratch) {
        scratch.a.slice(self.panels_len());
        scratch.b.slice(self.shared_len());
        if scratch.strips.len() < self.threads {
            scratch.strips.resize_with(self.threads, Default::default);
        }
        for strip in &mut scratch.strips[..self.threads] {
            strip.slice(self.strip_len());
        }
    }
}

/// Grows `scratch` for this product; the data of the operands does not matter.
pub(super) fn reserve(micro: &Micro, a: Operand, b: Operand, scratch: &mut Scratch) {
    Cut::new(micro, a, b).reserve(scratch);
}

/// out = epilogue(a · b). `out` must be valid for a.lines × b.lines elements.
pub(super) fn run(micro: &Micro, a: Operand, b: Operand, out: Out, scratch: &mut Scratch) {
    let cut = Cut::new(micro, a, b);
    cut.reserve(scratch);
    let panels = scratch.a.slice(cut.panels_len());
    let shared = scratch.b.slice(cut.shared_len());
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
        job.work(scratch.strips[0].slice(cut.strip_len()), &counter);
    } else {
        let strips = &mut scratch.strips[..cut.threads];
        strips
            .par_iter_mut()
            .with_max_len(1)
            .for_each(|strip| job.work(strip.slice(cut.strip_len()), &counter));
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
    let strip_start = |strip: usize| (strip - cut.whole) * cut.strip_len();
    let all_panels = 0..if cut.pack_a { cut.panels } else { 0 };
    let all_shared = cut.whole..cut.strips;
    if cut.threads == 1 {
        split(all_panels, panels, usize::MAX, &panel_start, &pack_a);
    } else {
        rayon::join(
            || split(all_panels, panels, PACK_GRAIN, &panel_start, &pack_a),
            || split(all_shared, shared, PACK_GRAIN, &strip_start, &pack_b),
        );
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

/// A strip of B as the kernels read it.
#[derive(Clone, Copy)]
struct Strip<'a> {
    data: &'a [f32],
    step: usize,
    /// What the kernels fetch meanwhile, if anything.
    next: Option<*const f32>,
}

impl Job<'_> {
    /// Takes tasks until none is left.
    fn work(&self, buffer: &mut [f32], counter: &AtomicUsize) {
        let take = || counter.fetch_add(1, Ordering::Relaxed);
        let mut task = take();
        while task < self.cut.tasks() {
            let next = take();
            if task < self.cut.whole {
                self.whole_strip(task, next, buffer);
            } else {
                self.group(task - self.cut.whole);
            }
            task = next;
        }
    }

    /// One strip with all its panels.
    fn whole_strip(&self, strip: usize, next: usize, buffer: &mut [f32]) {
        let (first, cols, step) = self.cut.columns(strip);
        let panels = self.cut.panels;
        if !self.b.side_by_side {
            self.b.pack(self.micro, first, cols, step, buffer);
            let next = next * self.cut.strip_len();
            let packed = Strip {
                data: buffer,
                step,
                next: self.b.data.get(next..).map(<[f32]>::as_ptr),
            };
            return (0..panels).for_each(|panel| self.tile(panel, strip, packed, None));
        }
        let direct = Strip {
            data: self.b.data.get(first..).unwrap_or_default(),
            step: self.b.lines,
            next: None,
        };
        if panels == 1 {
            return self.tile(0, strip, direct, None);
        }
        self.tile(0, strip, direct, Some(buffer));
        let packed = Strip {
            data: buffer,
            step,
            next: None,
        };
        (1..panels).for_each(|panel| self.tile(panel, strip, packed, None));
    }

    /// Some panels of one of the strips that were packed beforehand.
    fn group(&self, task: usize) {
        let (shared, group) = (task / self.cut.groups, task % self.cut.groups);
        let strip = self.cut.whole + shared;
        let packed = Strip {
            data: &self.shared[shared * self.cut.strip_len()..],
            step: self.cut.columns(strip).2,
            next: None,
        };
        let start = |group: usize| group * self.cut.panels / self.cut.groups;
        for panel in start(group)..start(group + 1) {
            self.tile(panel, strip, packed, None);
        }
    }

    /// One tile of C; `copy` is where to leave the strip packed.
    fn tile(&self, panel: usize, strip: usize, b: Strip, copy: Option<&mut [f32]>) {
        let k = self.cut.k;
        let (row, rows) = self.cut.rows(panel);
        let (col, cols, width) = self.cut.columns(strip);
        let (a, a_step) = match self.cut.pack_a {
            true => (&self.panels[row * k..], rows),
            false => (self.a.data.get(row..).unwrap_or_default(), self.a.lines),
        };
        if k > 0 {
            assert!(a.len() >= (k - 1) * a_step + rows && b.data.len() >= (k - 1) * b.step + cols);
            assert!(copy.as_ref().is_none_or(|copy| copy.len() >= k * width));
        }
        let kernels = match copy {
            None => self.micro.packed,
            Some(_) => self.micro.packing,
        };
        let tile = Tile {
            k,
            a: a.as_ptr(),
            a_step,
            b: b.data.as_ptr(),
            b_step: b.step,
            pack: copy.map_or(std::ptr::null_mut(), <[f32]>::as_mut_ptr),
            cols,
            row,
            col,
            out: &self.out,
            next: match b.next {
                Some(next) => next.wrapping_add(panel * k * 4),
                None => a.as_ptr(),
            },
        };
        // SAFETY: the operands cover k steps (asserted above), the tile lies in C (`Cut`), and no other task has this
        // panel of this strip; `micro` is one of the instruction sets of this machine (`gemm_with`).
        unsafe { kernels[rows - 1][width / self.cut.lanes - 1](&tile) };
    }
}
