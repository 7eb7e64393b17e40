//! What the shards of a minibatch tell each other: sums over all of them, and their values side by side.
//!
//! A graph with these ops is what one shard computes. A plan of it ([`Builder::shards`](crate::plan::Builder::shards)) is
//! what a rank computes, which holds one or several shards. Differentiated is the sum of what the shards have each: with
//! L = Σ L_i over the shards i, an adjoint is dL/dx_i of the own x_i.

use crate::graph::{Graph, Var};
use crate::ops::{Cx, Env, Op, OpDef, R, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// The sum over all shards, the same on each of them.
///
/// ```text
/// y_i = Σ_j x_j, pairwise: ((x_0 + x_1) + (x_2 + x_3)) + ..      x, y: [..]; a shard's x is x_i
/// vjp:   dx_j = Σ_i dy_i = all_reduce(dy): each shard's y has x_j in it, and so has each shard's loss
/// order 2: linear: again an all_reduce
/// cost:  1 flop for each shard but one, 8 bytes per element beside what ranks send each other
/// source: elementary; the order of the sum is that of ganforge-comm
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AllReduce;

/// The values of all shards, one below the other.
///
/// ```text
/// y_i = (x_0, x_1, ..) along the first dimension   x: [n, ..], y: [shards · n, ..]; the same on each shard
/// vjp:   dx_j = the rows j·n..(j+1)·n of Σ_i dy_i: as all_reduce(dy) times own_shard, summed over the shards
/// order 2: linear: again such a sum
/// cost:  0 flop, 4 bytes per element of x and of y beside what ranks send each other
/// source: elementary
/// errors: no dimensions; no shards; too many elements
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AllGather {
    /// How many shards there are; in a plan, how many ranks.
    pub shards: usize,
}

/// 1 at the place of the own shard, 0 at the others'.
///
/// ```text
/// y_i = 1[i = own shard]                           y: [shards]
/// vjp:   none, it has no input
/// cost:  0 flop, 4 bytes per element
/// source: elementary
/// errors: a shard that is none of them
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OwnShard {
    /// How many shards there are.
    pub shards: usize,
    /// Which one this is, from 0: a plan says it.
    pub own: usize,
}

impl<'g> Var<'g> {
    /// The sum over all shards: [`AllReduce`].
    #[track_caller]
    pub fn all_reduce(self) -> Var<'g> {
        self.apply(AllReduce)
    }

    /// The mean over `shards` shards, which are all: their sum over their number, a power of two.
    #[track_caller]
    pub fn mean_over(self, shards: usize) -> Var<'g> {
        self.all_reduce() * (1.0 / shards as f64)
    }

    /// The values of all of `shards` shards, one below the other: [`AllGather`].
    #[track_caller]
    pub fn all_gather(self, shards: usize) -> Var<'g> {
        self.apply(AllGather { shards })
    }
}

impl Graph {
    /// 1 at the place of the own shard, 0 at the others': [`OwnShard`].
    #[track_caller]
    pub fn own_shard(&self, shards: usize) -> Var<'_> {
        self.record(OwnShard { shards, own: 0 }, &[])
    }
}

impl Op {
    /// The same op as shard number `shard` has it; none where all shards have the same value, if they have the same inputs.
    pub(crate) fn of_shard(self, shard: usize) -> Option<Op> {
        Some(match self {
            Op::Input(input) => Op::Input(input),
            Op::Uniform(draw) => Op::Uniform(draw.of_shard(shard)),
            Op::Normal(draw) => Op::Normal(draw.of_shard(shard)),
            Op::Bernoulli(draw) => Op::Bernoulli(draw.of_shard(shard)),
            Op::OwnShard(own) => Op::OwnShard(OwnShard { own: shard, ..own }),
            _ => return None,
        })
    }

    /// Whether its result is the same on all shards, whatever they have.
    pub(crate) fn is_collective(self) -> bool {
        matches!(self, Op::AllReduce(_) | Op::AllGather(_))
    }
}

/// Plain copies: where they are run by themselves, there is one shard.
impl OpDef for AllReduce {
    const NAME: &'static str = "all_reduce";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<AllReduce>] = &[
        sample(AllReduce, &[input(&[7], R)]),
        sample(AllReduce, &[input(&[3, 1, 683], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        Ok(ins[0])
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.all_reduce())
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.copy_from_slice(ins[0].data);
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        out.copy_from_slice(ins[0].data);
    }
}

/// Plain copies, as those of [`AllReduce`].
impl OpDef for AllGather {
    const NAME: &'static str = "all_gather";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<AllGather>] = &[
        sample(AllGather { shards: 1 }, &[input(&[7], R)]),
        sample(AllGather { shards: 1 }, &[input(&[3, 1, 683], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let mut dims = ins[0].dims().to_vec();
        let rows = dims.first_mut().ok_or("a number has no rows to gather")?;
        if self.shards == 0 {
            return Err("there is no shard".into());
        }
        *rows = rows.saturating_mul(self.shards);
        Shape::try_new(&dims).ok_or_else(|| "too many elements".into())
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let (shards, shape) = (self.shards, x[0].shape());
        let all = dy.all_reduce().reshape([shards, shape.elements()]);
        let own = dy.graph().own_shard(shards).reshape([shards, 1]);
        Some((all * own).sum_axes(&[0]).reshape(shape))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        let n = ins[0].data.len().max(1);
        out.chunks_exact_mut(n)
            .for_each(|y| y.copy_from_slice(ins[0].data));
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        let n = ins[0].data.len().max(1);
        out.chunks_exact_mut(n)
            .for_each(|y| y.copy_from_slice(ins[0].data));
    }

    fn attributes(&self) -> String {
        format!("of {}", self.shards)
    }
}

impl OpDef for OwnShard {
    const NAME: &'static str = "own_shard";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<OwnShard>] = &[sample(OwnShard { shards: 4, own: 2 }, &[])];

    fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
        match self.own < self.shards {
            true => Ok(Shape::new(&[self.shards])),
            false => Err(format!("shard {} of {}", self.own, self.shards)),
        }
    }

    fn reference(&self, _: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        out[self.own] = 1.0;
    }

    fn cpu(&self, _: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        out.fill(0.0);
        out[self.own] = 1.0;
    }

    fn attributes(&self) -> String {
        format!("{} of {}", self.own, self.shards)
    }
}
