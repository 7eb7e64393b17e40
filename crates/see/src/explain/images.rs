//! Which values of a step are images or filters, and which lines, rows or columns, of other images an image is made of.

use std::collections::BTreeSet;

use ganforge_tensor::ops::{Kind, Window};
use ganforge_tensor::{Node, Op};

use super::movers::{is_mover, source_of};

/// What a value of four dimensions is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// `[n, h, w, c]`.
    Images,
    /// `[kh, kw, c_in, c_out]`.
    Filters,
}

/// For each line of an image the first and the last one of another image that it is made of; none where there are none.
pub(super) type Lines = Vec<Option<[usize; 2]>>;

/// How the lines of an image along one axis are made of those of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Along {
    /// Line i of line i.
    Same,
    /// Line i of the lines from i · stride - pad on, as many as `kernel`: a convolution.
    Gathers(Taps),
    /// Line i · stride - pad + u of line i, u below `kernel`: a transposed convolution.
    Scatters(Taps),
    /// Any other way.
    As(Lines),
}

/// A window along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taps {
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
}

impl Along {
    /// The lines that each of `out` lines is made of, of an image that has `of`.
    pub fn lines(&self, out: usize, of: usize) -> Lines {
        match self {
            Along::As(lines) => lines.clone(),
            _ => (0..out)
                .map(|i| {
                    let [lo, hi] = self.unbounded(i as i64)?;
                    let (lo, hi) = (lo.max(0), hi.min(of as i64 - 1));
                    (lo <= hi).then_some([lo as usize, hi as usize])
                })
                .collect(),
        }
    }

    /// The lines that line `i` is made of, if images had no borders; none for what has no rule, or between the lines that
    /// a kernel smaller than its stride reaches.
    pub fn unbounded(&self, i: i64) -> Option<[i64; 2]> {
        let [lo, hi] = match *self {
            Along::Same => [i, i],
            Along::Gathers(Taps {
                kernel,
                stride,
                pad,
            }) => {
                let first = i * stride as i64 - pad as i64;
                [first, first + kernel as i64 - 1]
            }
            Along::Scatters(Taps {
                kernel,
                stride,
                pad,
            }) => {
                let last = i + pad as i64;
                let first = last - (kernel as i64 - 1);
                let stride = stride as i64;
                // The first one is rounded up.
                [-(-first).div_euclid(stride), last.div_euclid(stride)]
            }
            Along::As(_) => return None,
        };
        (lo <= hi).then_some([lo, hi])
    }

    /// A way that was found line by line, as the rule that it follows, where it follows one.
    fn simplest(lines: Lines, of: usize) -> Along {
        let n = lines.len();
        let ratio =
            |many: usize, few: usize| (few > 0 && many.is_multiple_of(few)).then(|| many / few);
        let beside = |stride: usize| Taps {
            kernel: stride,
            stride,
            pad: 0,
        };
        let rules = [
            Some(Along::Same),
            ratio(of, n).map(|s| Along::Gathers(beside(s))),
            ratio(n, of).map(|s| Along::Scatters(beside(s))),
        ];
        let found = rules
            .into_iter()
            .flatten()
            .find(|rule| rule.lines(n, of) == lines);
        found.unwrap_or(Along::As(lines))
    }
}

/// An image that another one is made of.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Read {
    pub from: usize,
    /// Rows, columns.
    pub along: [Along; 2],
}

/// The images of a list of nodes.
pub(super) struct Images<'a> {
    nodes: &'a [Node],
    what: Vec<Option<What>>,
    /// By node: the images that it is made of, pixel by pixel.
    reads: Vec<Vec<Read>>,
    /// By node: whether it is no image and made of one, such as a mean over all pixels.
    sums: Vec<bool>,
}

impl Images<'_> {
    /// The images of `nodes`. `group`: what belongs together, a pass of differentiation or the formula; a node is made of images
    /// of its own group. `is_adjoint`: whether a node is the gradient of another.
    pub fn of<'a>(
        nodes: &'a [Node],
        group: impl Fn(usize) -> usize,
        is_adjoint: impl Fn(usize) -> bool,
    ) -> Images<'a> {
        let what = classes(nodes, is_adjoint);
        let mut images = Images {
            nodes,
            what,
            reads: Vec::new(),
            sums: Vec::new(),
        };
        for n in 0..nodes.len() {
            let mut reads = match images.is_image(n) {
                true => images.reads_of(n),
                false => Vec::new(),
            };
            reads.retain(|r| group(r.from) == group(n));
            images.reads.push(reads);
            let is_sum = |i: usize| images.sums[i] || images.is_image(i);
            let mine = |i: &usize| group(*i) == group(n);
            let is_sum = images.what[n].is_none() && images.inputs(n).filter(mine).any(is_sum);
            images.sums.push(is_sum);
        }
        images
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn what(&self, n: usize) -> Option<What> {
        self.what[n]
    }

    pub fn is_image(&self, n: usize) -> bool {
        self.what[n] == Some(What::Images)
    }

    /// Rows and columns.
    pub fn size(&self, n: usize) -> [usize; 2] {
        let dims = self.nodes[n].shape.dims();
        [dims[1], dims[2]]
    }

    /// The images that an image is made of, pixel by pixel: not those that it knows by a mean or another sum over all pixels.
    pub fn reads(&self, n: usize) -> &[Read] {
        &self.reads[n]
    }

    /// Whether a number of an image depends on other pixels by a mean or another sum over them, too, as in batch norm.
    pub fn knows_means(&self, n: usize) -> bool {
        !is_mover(&self.nodes[n].op) && self.inputs(n).any(|i| self.sums[i])
    }

    fn inputs(&self, n: usize) -> impl Iterator<Item = usize> + '_ {
        self.nodes[n].inputs.as_slice().iter().map(|id| id.index())
    }

    fn reads_of(&self, n: usize) -> Vec<Read> {
        let op = self.nodes[n].op;
        if is_mover(&op) {
            return self.moved(n);
        }
        let both = |along: [Along; 2]| vec![along];
        let along: Vec<[Along; 2]> = match op {
            Op::Conv2d(op) => both(gathers(self.kernel_of(n), op.window)),
            Op::Conv2dDx(op) => both(scatters(self.kernel_of(n), op.window)),
            Op::Pool(op) => both(gathers(op.kernel, op.window)),
            Op::PoolArgMax(op) => both(gathers(op.kernel, op.window)),
            Op::PoolTake(op) => vec![gathers(op.kernel, op.window), same()],
            Op::Unpool(op) => both(scatters(op.pool.kernel, op.pool.window)),
            Op::PoolPut(op) => vec![
                scatters(op.kernel, op.window),
                scatters(op.kernel, op.window),
            ],
            Op::ResizeBilinear(_) => both(self.interpolated(n, false)),
            Op::ResizeBilinearAdjoint(_) => both(self.interpolated(n, true)),
            // Element by element, or over the channels of a pixel.
            _ => self
                .inputs(n)
                .filter(|&i| self.is_image(i) && self.size(i) == self.size(n))
                .map(|_| same())
                .collect(),
        };
        let sources = self.inputs(n).filter(|&i| self.is_image(i));
        let reads = sources.zip(along).map(|(from, along)| Read { from, along });
        reads.collect()
    }

    /// Rows and columns of the filters of a convolution.
    fn kernel_of(&self, n: usize) -> [usize; 2] {
        let filters = self.inputs(n).nth(1).expect("a convolution has filters");
        let dims = self.nodes[filters].shape.dims();
        [dims[0], dims[1]]
    }

    /// What an interpolated image, or the gradient of one, is made of.
    fn interpolated(&self, n: usize, is_adjoint: bool) -> [Along; 2] {
        let from = self.inputs(n).next().expect("an op of one input");
        let (of, to) = (self.size(from), self.size(n));
        [0, 1].map(|d| match is_adjoint {
            false => Along::As(interpolates(to[d], of[d])),
            true => Along::As(turned(&interpolates(of[d], to[d]), to[d])),
        })
    }

    /// The images whose numbers an image has in other places: each number is followed back through reshapes, transpositions
    /// and the like, those of the first example and of the last one.
    fn moved(&self, n: usize) -> Vec<Read> {
        let &[examples, h, w, c] = self.nodes[n].shape.dims() else {
            return Vec::new();
        };
        let each = h * w * c;
        let mut found: Vec<(usize, [Lines; 2])> = Vec::new();
        let mut numbers = vec![0];
        numbers.extend((examples > 1).then_some(examples - 1));
        for at in numbers.into_iter().flat_map(|e| e * each..(e + 1) * each) {
            let Some((from, there)) = self.origin(n, at) else {
                continue;
            };
            let &[_, _, width, channels] = self.nodes[from].shape.dims() else {
                continue;
            };
            let place = |at: usize, [h, w]: [usize; 2], c: usize| [at / (w * c) % h, at / c % w];
            let (to, of) = (
                place(at, [h, w], c),
                place(there, self.size(from), channels),
            );
            debug_assert!(of[1] < width);
            let known = found.iter().position(|f| f.0 == from);
            let known = known.unwrap_or_else(|| {
                found.push((from, [vec![None; h], vec![None; w]]));
                found.len() - 1
            });
            for d in 0..2 {
                widen(&mut found[known].1[d][to[d]], [of[d]; 2]);
            }
        }
        let reads = found.into_iter().map(|(from, [rows, columns])| {
            let of = self.size(from);
            let along = [
                Along::simplest(rows, of[0]),
                Along::simplest(columns, of[1]),
            ];
            Read { from, along }
        });
        reads.collect()
    }

    /// Where the number at a place of a value comes from: an image and a place in it.
    fn origin(&self, n: usize, at: usize) -> Option<(usize, usize)> {
        let (mut n, mut at) = (n, at);
        loop {
            let inputs = self.nodes[n].inputs.as_slice();
            let (i, there) = source_of(&self.nodes[n].op, n, at, self.nodes)?;
            (n, at) = (inputs[i].index(), there);
            if self.is_image(n) {
                return Some((n, at));
            }
            if !is_mover(&self.nodes[n].op) {
                return None;
            }
        }
    }
}

/// Makes a range as wide as to hold another.
pub(super) fn widen(range: &mut Option<[usize; 2]>, more: [usize; 2]) {
    *range = Some(match *range {
        None => more,
        Some([lo, hi]) => [lo.min(more[0]), hi.max(more[1])],
    });
}

fn same() -> [Along; 2] {
    [Along::Same, Along::Same]
}

fn taps(kernel: [usize; 2], window: Window) -> [Taps; 2] {
    [0, 1].map(|d| Taps {
        kernel: kernel[d],
        stride: window.stride[d],
        pad: window.pad[d],
    })
}

fn gathers(kernel: [usize; 2], window: Window) -> [Along; 2] {
    taps(kernel, window).map(Along::Gathers)
}

fn scatters(kernel: [usize; 2], window: Window) -> [Along; 2] {
    taps(kernel, window).map(Along::Scatters)
}

/// The lines that each of `size` interpolated ones lies between.
fn interpolates(size: usize, image: usize) -> Lines {
    let of = |i: usize| {
        let s = ((i as f64 + 0.5) * image as f64 / size as f64 - 0.5).max(0.0);
        let lo = (s.floor() as usize).min(image - 1);
        let is_between = s > lo as f64 && lo + 1 < image;
        Some([lo, lo + usize::from(is_between)])
    };
    (0..size).map(of).collect()
}

/// Who reads each of `n` lines.
fn turned(lines: &Lines, n: usize) -> Lines {
    let mut readers = vec![None; n];
    for (i, range) in lines.iter().enumerate() {
        for line in range.map_or(0..0, |[lo, hi]| lo..hi + 1) {
            widen(&mut readers[line], [i, i]);
        }
    }
    readers
}

/// What each node is. Ops that take windows tell images from filters, and so how many examples there are at a time.
fn classes(nodes: &[Node], is_adjoint: impl Fn(usize) -> bool) -> Vec<Option<What>> {
    let known = |op: &Op| match op {
        Op::Conv2d(_)
        | Op::Conv2dDx(_)
        | Op::Pool(_)
        | Op::Unpool(_)
        | Op::PoolArgMax(_)
        | Op::PoolTake(_)
        | Op::PoolPut(_)
        | Op::ResizeBilinear(_)
        | Op::ResizeBilinearAdjoint(_)
        | Op::Input(_) => Some(What::Images),
        Op::Param(_) | Op::Conv2dDw(_) => Some(What::Filters),
        _ => None,
    };
    let four = |n: &Node| n.shape.dims().len() == 4;
    let all = |wanted: What| {
        nodes
            .iter()
            .filter(move |n| four(n) && known(&n.op) == Some(wanted))
    };
    let filters: BTreeSet<Vec<usize>> = all(What::Filters)
        .map(|n| n.shape.dims().to_vec())
        .collect();
    let examples: BTreeSet<usize> = all(What::Images).map(|n| n.shape.dims()[0]).collect();
    let by_shape = |n: &Node| match n.shape.dims() {
        dims if filters.contains(dims) => Some(What::Filters),
        dims if examples.contains(&dims[0]) => Some(What::Images),
        _ => None,
    };
    let mut classes: Vec<Option<What>> = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        let of_inputs = || {
            node.inputs
                .as_slice()
                .iter()
                .find_map(|id| classes[id.index()])
        };
        let class = match node.op {
            _ if !four(node) => None,
            op if known(&op).is_some() => known(&op),
            Op::SumTo(_) | Op::Moments(_) | Op::MatMul(_) => None,
            // A number for all pixels is no image, but the gradient of an image may be one.
            Op::BroadcastTo(_) => by_shape(node).filter(|w| *w == What::Filters || is_adjoint(i)),
            op if is_mover(&op) => by_shape(node),
            op if op.kind() == Kind::Generator => None,
            _ => of_inputs().or_else(|| by_shape(node)),
        };
        classes.push(class);
    }
    classes
}
