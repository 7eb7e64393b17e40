//! From what one shard computes to what a rank computes, which holds several neighbouring ones.
//!
//! A value that depends on what is fed or drawn differs between shards, and so its node is made once for each; the others,
//! such as parameters and what follows from sums over shards, once for all. Up to the next sums over shards one shard's
//! nodes come after another's, so that a buffer of the one serves the other. Gradients are added as soon as two of
//! neighbouring shards are there, which is the order in which ranks add, and no more than log2 of them are kept.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::graph::{Graph, Inner, Inputs, Node, NodeId};
use crate::ops::{Add, AllGather, Concat, Input, MulScalar, Op, Reshape, Slice};
use crate::shape::Shape;

/// Which shards of a minibatch a plan computes: those of one rank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shards {
    /// Those of this rank, as many as each other rank has.
    pub own: Range<usize>,
    /// How many there are on all ranks.
    pub of: usize,
}

/// The most shards of one plan, whose nodes are made for each of them.
const MOST: usize = 1024;

impl Shards {
    /// All of a minibatch in one, by itself.
    pub const ONE: Shards = Shards { own: 0..1, of: 1 };

    /// The part of rank `rank` of `ranks`.
    ///
    /// # Errors
    /// [`Error::Shards`] where not each rank has as many, or any of the numbers is no power of two.
    pub fn of_rank(rank: usize, ranks: usize, of: usize) -> Result<Shards> {
        let fits = of.is_power_of_two() && ranks.is_power_of_two() && ranks <= of && rank < ranks;
        if !fits {
            return Err(Error::Shards { rank, ranks, of });
        }
        let count = of / ranks;
        Ok(Shards {
            own: rank * count..(rank + 1) * count,
            of,
        })
    }

    /// How many ranks there are.
    pub fn ranks(&self) -> usize {
        self.of / self.own.len().max(1)
    }

    /// Whether they are the part of a rank, and few enough for a plan.
    pub(super) fn check(&self) -> Result<()> {
        let (own, ranks, of) = (self.own.len(), self.ranks(), self.of);
        let rank = self.own.start / own.max(1);
        match Shards::of_rank(rank, ranks, of)? {
            part if part != *self => Err(Error::Shards { rank, ranks, of }),
            _ if own > MOST => Err(Error::TooManyShards { own, most: MOST }),
            _ => Ok(()),
        }
    }
}

/// The nodes of a rank that a recorded node becomes.
#[derive(Clone)]
enum Made {
    /// None yet, or it is not needed.
    Nothing,
    /// The same for all shards.
    Once(NodeId),
    /// One for each.
    Each(Vec<NodeId>),
}

struct Expansion<'a> {
    recorded: &'a [Node],
    /// By recorded node, whether its value differs between shards.
    varies: Vec<bool>,
    live: Vec<bool>,
    shards: &'a Shards,
    /// By recorded node, the sums over shards that read it.
    summed_by: Vec<Vec<usize>>,
    /// By such a sum, the sums of the shards that are made, each with how often it was doubled.
    partial: Vec<Vec<(u32, NodeId)>>,
    made: Vec<Made>,
    nodes: Vec<Node>,
    /// By node, the recorded one in whose place it is.
    places: Vec<NodeId>,
}

/// How the nodes of a plan of shards and the recorded ones belong together.
#[derive(Clone)]
pub(crate) struct Places {
    /// By recorded node, that of the first own shard.
    pub(super) first: Vec<Option<NodeId>>,
    /// By node of the plan, the recorded one.
    pub(super) recorded: Vec<NodeId>,
}

/// A plan's graph and what it is asked for.
pub(super) type Asked = (Inner, Vec<(String, NodeId)>, Vec<(NodeId, NodeId)>);

impl Graph {
    /// By node, whether its value differs between shards: it depends on what is fed or drawn, and not by sums over shards
    /// alone.
    pub fn varies(&self) -> Vec<bool> {
        varies(&self.inner().nodes)
    }
}

fn varies(nodes: &[Node]) -> Vec<bool> {
    let mut varies = vec![false; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let mut inputs = node.inputs.as_slice().iter();
        varies[i] = !node.op.is_collective()
            && (node.op.of_shard(0).is_some() || inputs.any(|n| varies[n.index()]));
    }
    varies
}

/// What a rank with these shards computes. A fetched value that differs between shards is that of all of its shards, one
/// below the other.
pub(super) fn expand((graph, fetches, updates): Asked, shards: &Shards) -> Result<(Asked, Places)> {
    let recorded = &graph.nodes;
    let varies = varies(recorded);
    if let Some((param, _)) = updates.iter().find(|u| varies[u.1.index()]) {
        return Err(Error::Update {
            name: graph.label(*param),
            reason: "its value differs between shards: no sum over all of them".into(),
        });
    }
    let live = live(recorded, &fetches, &updates);
    let mut summed_by = vec![Vec::new(); recorded.len()];
    for (at, node) in recorded.iter().enumerate() {
        if let (Op::AllReduce(_), true) = (node.op, live[at]) {
            summed_by[node.inputs.as_slice()[0].index()].push(at);
        }
    }
    let mut expansion = Expansion {
        recorded,
        summed_by,
        partial: vec![Vec::new(); recorded.len()],
        varies,
        live,
        shards,
        made: vec![Made::Nothing; recorded.len()],
        nodes: Vec::new(),
        places: Vec::new(),
    };
    expansion.run();
    let fetches = fetches.into_iter();
    let fetches = fetches
        .map(|(name, id)| (name, expansion.whole(id)))
        .collect();
    let once = |id: &NodeId| expansion.input(*id, 0);
    let updates = updates
        .iter()
        .map(|(param, value)| (once(param), once(value)));
    let updates = updates.collect();
    let first = expansion.made.iter().map(|made| match made {
        Made::Nothing => None,
        Made::Once(id) => Some(*id),
        Made::Each(all) => all.first().copied(),
    });
    let places = Places {
        first: first.collect(),
        recorded: expansion.places,
    };
    let nodes = expansion.nodes;
    let mut graph = graph;
    (graph.nodes, graph.passes) = (nodes, Vec::new());
    Ok(((graph, fetches, updates), places))
}

/// By node, whether anything that is asked for is made of it.
fn live(nodes: &[Node], fetches: &[(String, NodeId)], updates: &[(NodeId, NodeId)]) -> Vec<bool> {
    let mut live = vec![false; nodes.len()];
    let asked = fetches.iter().map(|f| &f.1);
    for id in asked.chain(updates.iter().flat_map(|(param, value)| [param, value])) {
        live[id.index()] = true;
    }
    for i in (0..live.len()).rev() {
        if live[i] {
            for input in nodes[i].inputs.as_slice() {
                live[input.index()] = true;
            }
        }
    }
    live
}

/// Refuses what was recorded for another number of shards than there are.
pub(super) fn check_recorded((graph, fetches, updates): &Asked, of: usize) -> Result<()> {
    let live = live(&graph.nodes, fetches, updates);
    for (node, _) in graph.nodes.iter().zip(live).filter(|(_, live)| *live) {
        let shards = match node.op {
            Op::AllGather(all) => all.shards,
            // By itself it is a constant, of the shard that was recorded.
            Op::OwnShard(own) if of > 1 => own.shards,
            _ => of,
        };
        if shards != of {
            return Err(Error::OtherShards {
                op: node.op.name(),
                shards,
                of,
                site: node.site.to_string(),
            });
        }
    }
    Ok(())
}

impl Expansion<'_> {
    fn run(&mut self) {
        let n = self.recorded.len();
        let mut i = 0;
        while i < n {
            let first = i;
            while i < n && !(self.live[i] && self.recorded[i].op.is_collective()) {
                if self.live[i] && !self.varies[i] {
                    let made = self.make(i, 0);
                    self.made[i] = Made::Once(made);
                }
                i += 1;
            }
            let segment = first..i;
            // Sums that follow one another and do not depend on each other are made together.
            let reads = |at: usize| self.recorded[at].inputs.as_slice()[0].index();
            while i < n
                && (!self.live[i] || self.recorded[i].op.is_collective() && reads(i) < segment.end)
            {
                i += 1;
            }
            let sums: Vec<usize> = (segment.end..i).filter(|&at| self.live[at]).collect();
            self.shards_of(segment, &sums);
        }
    }

    /// The nodes of a segment for each shard, and the sums behind it.
    fn shards_of(&mut self, segment: Range<usize>, sums: &[usize]) {
        let nodes: Vec<usize> = segment
            .filter(|&i| self.live[i] && self.varies[i])
            .collect();
        for shard in 0..self.shards.own.len() {
            for &i in &nodes {
                let made = self.make(i, shard);
                match &mut self.made[i] {
                    Made::Each(all) => all.push(made),
                    other => *other = Made::Each(vec![made]),
                }
                self.add(i, made);
            }
        }
        // Ranks exchange what follows one another at once: whatever is made of one rank's values comes first.
        let own: Vec<NodeId> = sums.iter().map(|&at| self.own(at)).collect();
        for (&at, own) in sums.iter().zip(own) {
            let source = self.recorded[at].inputs.as_slice()[0].index();
            // Where all shards have the same, there is nothing to send.
            let made = match (self.recorded[at].op, self.varies[source]) {
                (Op::AllGather(_), false) => {
                    let doubled = 0..self.shards.of.ilog2();
                    doubled.fold(own, |rows, _| self.push(at, Concat { axis: 0 }, &[rows; 2]))
                }
                (Op::AllGather(_), true) => {
                    let shards = self.shards.ranks();
                    self.push(at, AllGather { shards }, &[own])
                }
                (_, false) => {
                    let c = self.shards.of as f64;
                    self.push(at, MulScalar { c }, &[own])
                }
                (sum, true) => self.push(at, sum, &[own]),
            };
            self.made[at] = Made::Once(made);
        }
    }

    /// What this rank has of what the recorded sum or list `at` is made of.
    fn own(&mut self, at: usize) -> NodeId {
        let source = self.recorded[at].inputs.as_slice()[0];
        match self.partial[at][..] {
            [(_, sum)] => sum,
            _ => self.whole(source),
        }
    }

    /// Adds a shard's value of the recorded node `i` to the sums of as many shards each, neighbours first.
    fn add(&mut self, i: usize, value: NodeId) {
        for k in 0..self.summed_by[i].len() {
            let at = self.summed_by[i][k];
            let mut sum = (0, value);
            while let Some((level, before)) = self.partial[at].pop_if(|last| last.0 == sum.0) {
                sum = (level + 1, self.push(at, Add, &[before, sum.1]));
            }
            self.partial[at].push(sum);
        }
    }

    /// The input `id` of a node of shard `shard`.
    fn input(&self, id: NodeId, shard: usize) -> NodeId {
        match &self.made[id.index()] {
            Made::Once(made) => *made,
            Made::Each(all) => all[shard],
            Made::Nothing => unreachable!("inputs come before their users"),
        }
    }

    /// The values that all own shards have of a node, one below the other; that of all of them where it is the same.
    fn whole(&mut self, id: NodeId) -> NodeId {
        let all = match &self.made[id.index()] {
            Made::Each(all) => all.clone(),
            _ => return self.input(id, 0),
        };
        let (at, shape) = (id.index(), self.recorded[id.index()].shape);
        let mut whole: Option<NodeId> = None;
        for value in all {
            let rows = match shape.rank() {
                0 => self.push(
                    at,
                    Reshape {
                        shape: Shape::new(&[1]),
                    },
                    &[value],
                ),
                _ => value,
            };
            whole = Some(match whole {
                Some(before) => self.push(at, Concat { axis: 0 }, &[before, rows]),
                None => rows,
            });
        }
        whole.expect("a rank has a shard")
    }

    /// The node of shard `shard` of this rank that the recorded node `i` becomes.
    fn make(&mut self, i: usize, shard: usize) -> NodeId {
        let node = self.recorded[i];
        if let Op::Input(input) = node.op {
            return self.rows(i, input, shard);
        }
        let inputs = node.inputs.as_slice().iter();
        let inputs: Vec<NodeId> = inputs.map(|&id| self.input(id, shard)).collect();
        let op = node.op.of_shard(self.shards.own.start + shard);
        self.push(i, op.unwrap_or(node.op), &inputs)
    }

    /// The rows of an input that shard `shard` of this rank has: it is fed for all of them.
    fn rows(&mut self, i: usize, input: Input, shard: usize) -> NodeId {
        let count = self.shards.own.len();
        let mut dims = input.shape.dims().to_vec();
        let Some(rows) = dims.first_mut().filter(|_| count > 1) else {
            return self.push(i, input, &[]);
        };
        let n = *rows;
        *rows *= count;
        let whole = match shard {
            0 => self.push(
                i,
                Input {
                    shape: Shape::new(&dims),
                    ..input
                },
                &[],
            ),
            // The first shard's rows are taken of it.
            _ => self.nodes[self.input(NodeId(i as u32), 0).index()]
                .inputs
                .as_slice()[0],
        };
        let mut start = vec![0; dims.len()];
        start[0] = shard * n;
        let start = Shape::new(&start);
        self.push(
            i,
            Slice {
                start,
                shape: input.shape,
            },
            &[whole],
        )
    }

    /// Appends a node in the place of the recorded node `i`.
    fn push(&mut self, i: usize, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
        let op = op.into();
        let shapes: Vec<Shape> = inputs.iter().map(|n| self.nodes[n.index()].shape).collect();
        let shape = op.infer(&shapes).unwrap_or(Shape::INVALID);
        self.nodes.push(Node {
            op,
            inputs: Inputs::new(inputs),
            shape,
            origin: None,
            ..self.recorded[i]
        });
        self.places.push(NodeId(i as u32));
        NodeId(self.nodes.len() as u32 - 1)
    }
}
