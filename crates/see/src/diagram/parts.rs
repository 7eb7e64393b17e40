//! The parts of a drawing: related nodes in one box, boxes in bands, one band per application of a network.

use super::{Diagram, Stage, net_of, player};

/// Nodes of the forward pass that are drawn as one box, such as a product and its bias.
pub(super) struct Piece {
    /// In the order of the list, the value that others read last.
    pub nodes: Vec<usize>,
    /// What its ops make together: `x·W + b`, `maxout`, `dropout`.
    pub title: String,
    pub scope: String,
    /// The pieces it reads, each with the value that it reads.
    pub inputs: Vec<(usize, usize)>,
    pub band: usize,
}

impl Piece {
    /// The value that others read.
    pub fn out(&self) -> usize {
        self.nodes[self.nodes.len() - 1]
    }
}

/// A net at work once, with the losses that follow it.
pub(super) struct Band {
    /// `G` or `D`.
    pub net: String,
    pub title: String,
    /// Whether it is there for a penalty of D's loss.
    for_penalty: bool,
}

/// The forward pass in boxes.
pub(super) struct Parts {
    pub pieces: Vec<Piece>,
    pub bands: Vec<Band>,
    /// By node: its piece.
    pub owner: Vec<Option<usize>>,
}

/// Ops that are drawn in the box of the op before them, where nothing else reads that.
fn joins(before: &str, op: &str) -> bool {
    matches!(
        (before, op),
        ("matmul" | "conv2d" | "conv2d_dx", "add")
            | ("arg_max", "take")
            | ("neg", "softplus")
            | ("softplus" | "sigmoid" | "square", "sum_to")
            | ("sum_to" | "add", "mul_scalar")
            | ("mul_scalar", "neg")
    )
}

fn title(names: &[&str], has_mask: bool) -> String {
    let known = match names {
        ["matmul", "add"] => "x·W + b",
        ["matmul"] => "x·W",
        ["conv2d", "add"] => "x∗W + b",
        ["conv2d"] => "x∗W",
        ["conv2d_dx", "add"] => "x∗ᵀW + b",
        ["conv2d_dx"] => "x∗ᵀW",
        ["arg_max", "take"] => "maxout",
        ["mul"] if has_mask => "dropout",
        ["neg", "softplus", "sum_to", "mul_scalar"] => "−mean log D",
        ["softplus", "sum_to", "mul_scalar"] => "−mean log(1 − D)",
        ["softplus", "sum_to", "mul_scalar", "neg"] => "mean log(1 − D)",
        ["concat"] => "both, concatenated",
        ["slice"] => "some rows",
        _ => return names.join(", ").replace('_', " "),
    };
    known.to_string()
}

impl Parts {
    pub fn of(diagram: &Diagram) -> Parts {
        let mut parts = Parts {
            pieces: Vec::new(),
            bands: Vec::new(),
            owner: vec![None; diagram.nodes.len()],
        };
        for i in 0..diagram.nodes.len() {
            if parts.is_drawn(diagram, i) {
                parts.place(diagram, i);
            }
        }
        for p in 0..parts.pieces.len() {
            parts.finish(diagram, p);
        }
        parts.find_bands(diagram);
        parts
    }

    /// Whether a node is in a box: numbers that are only reported are left out.
    fn is_drawn(&self, diagram: &Diagram, i: usize) -> bool {
        let is_reported = diagram.scopes[i].starts_with("monitor");
        let is_read = diagram.readers(i).next().is_some() || diagram.scopes[i].starts_with("loss");
        diagram.stages[i] == Stage::Forward && !is_reported && is_read && !is_beside(diagram, i)
    }

    /// Puts a node into the piece of the node before it, or into one of its own.
    fn place(&mut self, diagram: &Diagram, i: usize) {
        let op = |n: usize| diagram.nodes[n].op.name();
        let host = diagram.inputs(i).find_map(|input| {
            let piece = self.owner[input]?;
            let is_last = self.pieces[piece].out() == input;
            let same = diagram.scopes[input] == diagram.scopes[i];
            let alone = forward_readers(diagram, input).count() == 1;
            (is_last && same && alone && joins(op(input), op(i))).then_some(piece)
        });
        let piece = host.unwrap_or(self.pieces.len());
        if host.is_none() {
            self.pieces.push(Piece {
                nodes: Vec::new(),
                title: String::new(),
                scope: diagram.scopes[i].clone(),
                inputs: Vec::new(),
                band: 0,
            });
        }
        // What is drawn with its only reader comes before it.
        let mut with = vec![i];
        let mut at = 0;
        while at < with.len() {
            with.extend(
                diagram
                    .inputs(with[at])
                    .filter(|&n| is_attached(diagram, n)),
            );
            at += 1;
        }
        for &n in with.iter().rev() {
            self.owner[n] = Some(piece);
            self.pieces[piece].nodes.push(n);
        }
    }

    fn finish(&mut self, diagram: &Diagram, p: usize) {
        let nodes = self.pieces[p].nodes.clone();
        let own = nodes.iter().filter(|&&n| !is_attached(diagram, n));
        let names: Vec<&str> = own.map(|&n| diagram.nodes[n].op.name()).collect();
        let reads: Vec<usize> = nodes.iter().flat_map(|&n| diagram.inputs(n)).collect();
        let has_mask = reads.iter().any(|&n| {
            let mut below = vec![n];
            below.extend(diagram.inputs(n));
            below
                .iter()
                .any(|&n| diagram.nodes[n].op.name() == "bernoulli")
        });
        let mut inputs: Vec<(usize, usize)> = Vec::new();
        for value in reads {
            match self.owner[value] {
                Some(from) if from != p && !inputs.contains(&(from, value)) => {
                    inputs.push((from, value))
                }
                _ => {}
            }
        }
        let out = self.pieces[p].out();
        self.pieces[p].title = match diagram.is_source(out) {
            true if diagram.labels[out] == "x" => "x, real examples".to_string(),
            true => format!("{}, noise", diagram.labels[out]),
            false => title(&names, has_mask),
        };
        if let Some(player) = diagram.player_of_loss(out) {
            let of = match names[..] {
                ["add", "mul_scalar"] => "½ of both",
                ["add"] => "both",
                _ => &self.pieces[p].title,
            };
            self.pieces[p].title = format!("{player}'s loss: {of}");
        }
        self.pieces[p].inputs = inputs;
    }

    /// A band begins where another net than before is used, or the same one for a penalty; what a net is fed with belongs to
    /// its band, losses to the band that they read.
    fn find_bands(&mut self, diagram: &Diagram) {
        let mut bands: Vec<Option<usize>> = vec![None; self.pieces.len()];
        let mut last = ("", "");
        for (p, piece) in self.pieces.iter().enumerate() {
            let Some(using) = net_of(&piece.scope) else {
                continue;
            };
            if self.bands.is_empty() || last != using {
                let (for_penalty, net) = (!using.0.is_empty(), using.1.to_string());
                let title = net.clone();
                self.bands.push(Band {
                    net,
                    title,
                    for_penalty,
                });
                last = using;
            }
            bands[p] = Some(self.bands.len() - 1);
        }
        let is_net: Vec<bool> = bands.iter().map(Option::is_some).collect();
        for p in (0..self.pieces.len()).rev() {
            let from = self.pieces[p]
                .inputs
                .iter()
                .map(|i| i.0)
                .filter(|&q| !is_net[q]);
            for q in from {
                bands[q] = [bands[q], bands[p]].into_iter().flatten().min();
            }
        }
        // A penalty reads a gradient: what that is the gradient of.
        let roots = |piece: &Piece| -> Vec<usize> {
            let read = piece.nodes.iter().flat_map(|&n| diagram.inputs(n));
            let gradients = read.filter(|&n| diagram.stages[n] == Stage::Backward);
            let roots = gradients.filter_map(|n| diagram.root(n));
            roots.filter_map(|n| self.owner[n]).collect()
        };
        let roots: Vec<Vec<usize>> = self.pieces.iter().map(roots).collect();
        for (p, piece) in self.pieces.iter_mut().enumerate() {
            match net_of(&piece.scope) {
                Some((inside, _)) => piece.scope = piece.scope[inside.len()..].to_string(),
                // What is before a net is no layer of it.
                None if bands[p].is_some() => piece.scope = "top".to_string(),
                None => {}
            }
            let before = piece
                .inputs
                .iter()
                .map(|i| i.0)
                .chain(roots[p].iter().copied());
            let before = before.filter_map(|q| bands[q]).max();
            bands[p] = bands[p].or(before);
            piece.band = bands[p].unwrap_or(0);
        }
        for b in 0..self.bands.len() {
            let whole = match self.bands[b].net.as_str() {
                "G" => "G, the generator",
                "C" => "C, the classifier",
                "E" => "E, the encoder",
                _ => "D, the discriminator",
            };
            // The losses that this use of the net leads to: those of the next band of D.
            let next = (b..self.bands.len())
                .find(|&n| self.bands[n].net != "G")
                .unwrap_or(b);
            let losses = self
                .pieces
                .iter()
                .filter(|p| p.band == next && p.scope.starts_with("loss/"));
            let mut losses: Vec<String> = losses
                .map(|p| format!("{}'s loss", player(&p.scope)))
                .collect();
            losses.dedup();
            let uses = self.bands.iter().filter(|b| !b.for_penalty).count();
            self.bands[b].title = match uses {
                _ if self.bands[b].for_penalty => format!("{whole}, for a penalty"),
                0..=2 => whole.to_string(),
                _ => format!("{whole}, for {}", losses.join(" and ")),
            };
        }
    }
}

/// Parameters, masks, scalars and constants: named in the box that reads them.
fn is_beside(diagram: &Diagram, i: usize) -> bool {
    let op = diagram.nodes[i].op.name();
    is_attached(diagram, i)
        || (diagram.is_source(i) && !matches!(op, "input" | "uniform" | "normal"))
}

/// Whether a value has the numbers of another, renamed or repeated.
pub(super) fn is_alias(diagram: &Diagram, i: usize) -> bool {
    matches!(
        diagram.nodes[i].op.name(),
        "broadcast_to" | "reshape" | "detach"
    )
}

/// Renamed or repeated values, and masks put together: drawn in the box of their only reader.
pub(super) fn is_attached(diagram: &Diagram, i: usize) -> bool {
    let is_small = |n: usize| diagram.is_source(n) || diagram.stages[n] == Stage::Update;
    let fits = match diagram.nodes[i].op.name() {
        "concat" => diagram.inputs(i).all(is_small),
        _ => is_alias(diagram, i),
    };
    fits && forward_readers(diagram, i).count() == 1
}

fn forward_readers(diagram: &Diagram, i: usize) -> impl Iterator<Item = usize> + '_ {
    let readers = diagram.readers(i);
    readers.filter(|&r| {
        diagram.stages[r] == Stage::Forward && !diagram.scopes[r].starts_with("monitor")
    })
}
