//! A training step in human-readable form: forward pass, backward pass and plan, as text, JSON, DOT and SVG.
//!
//! [`Diagram::of`] records the step of a configuration as training does and classifies its nodes. The formats are
//! views of that: [`text`](Diagram::text) is the graph's own listing with the plan's costs, [`json`](Diagram::json)
//! all of it for programs (docs/graph.md), [`dot`](Diagram::dot) for Graphviz, [`svg`](Diagram::svg) laid out here.

mod dot;
mod draw;
mod json;
mod layout;
mod parts;
mod plan_svg;
mod svg;
mod text;

use std::collections::BTreeSet;

use ganforge_tensor::{GradPass, Graph, Keep, Node, NodeId, Op, Plan, Var};

use ganforge_gan::config::{Config, Update};
use ganforge_gan::error::Result;
use ganforge_gan::game;

/// What a node of a training step is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The formula: both nets, both losses.
    Forward,
    /// What differentiation appended.
    Backward,
    /// The new values of parameters and slots.
    Update,
}

impl Stage {
    /// `forward`, `backward`, `update`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Forward => "forward",
            Stage::Backward => "backward",
            Stage::Update => "update",
        }
    }
}

/// Which part of a step to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The formula.
    Forward,
    /// The chain rule; a drawing shows it under the formula.
    Backward,
    /// What runs, in which buffers.
    Plan,
    /// All of it; a drawing leaves out the plan.
    All,
}

/// A training step with everything that its formats show.
pub struct Diagram {
    /// The configuration's name.
    pub name: String,
    /// "simultaneous updates, batch 100".
    pub about: String,
    nodes: Vec<Node>,
    /// By node: those that read it.
    readers: Vec<Vec<usize>>,
    labels: Vec<String>,
    formulas: Vec<String>,
    lines: Vec<String>,
    scopes: Vec<String>,
    stages: Vec<Stage>,
    passes: Vec<GradPass>,
    /// What each pass differentiated: `loss/d`, `loss/g`.
    losses: Vec<String>,
    /// Updated tensors: parameter node, name, new value.
    updates: Vec<(NodeId, String, NodeId)>,
    plan: Plan,
}

impl Diagram {
    /// The training step of `config` on data of the width that it generates: the first one, which has all penalties of D.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn of(config: &Config) -> Result<Diagram> {
        Diagram::recorded(config, config.output_dim(), None)
    }

    /// The training step of `config` on data of width `data_dim`, with a plan of the same step that was made before.
    ///
    /// # Errors
    /// The graph's first fault.
    pub(crate) fn with_plan(config: &Config, data_dim: usize, plan: Plan) -> Result<Diagram> {
        Diagram::recorded(config, data_dim, Some(plan))
    }

    fn recorded(config: &Config, data_dim: usize, plan: Option<Plan>) -> Result<Diagram> {
        let graph = Graph::new();
        let step = game::record(&graph, config, data_dim)?;
        let updates = step.updates.iter();
        let updates = updates.map(|(old, (name, new))| (old.id(), name.clone(), new.id()));
        let about = match config.train.update {
            Update::Simultaneous => "simultaneous updates".to_string(),
            Update::Single => "updates of one network".to_string(),
            Update::Alternating if config.train.k == 1 => "alternating updates".to_string(),
            Update::Alternating => format!("alternating updates, k = {}", config.train.k),
        };
        let about = format!("{about}, batch {}", config.train.batch);
        let about = match config.train.shards() {
            1 => about,
            n => format!("{about}, one of {n} shards"),
        };
        let lazy = config
            .discriminator
            .penalties
            .iter()
            .filter(|p| p.every > 1);
        let lazy = lazy.map(|p| format!(", with {} as in one step of {}", p.kind.name(), p.every));
        let about = about + &lazy.collect::<String>();
        let plan = match plan {
            Some(plan) => plan,
            None => step.plan(Keep::Fetched)?,
        };
        Ok(Diagram::new(
            &graph,
            config.name.clone(),
            about,
            updates.collect(),
            plan,
        ))
    }

    fn new(
        graph: &Graph,
        name: String,
        about: String,
        updates: Vec<(NodeId, String, NodeId)>,
        plan: Plan,
    ) -> Diagram {
        let nodes: Vec<Node> = graph.vars().map(Var::node).collect();
        let mut readers = vec![Vec::new(); nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            let inputs: BTreeSet<NodeId> = node.inputs.as_slice().iter().copied().collect();
            inputs.iter().for_each(|of| readers[of.index()].push(i));
        }
        let passes = graph.grad_passes();
        let labels: Vec<String> = graph.vars().map(|v| v.label()).collect();
        let scopes: Vec<String> = graph.vars().map(|v| v.scope()).collect();
        let name_of = |id: NodeId| labels[id.index()].clone();
        let losses = passes.iter().map(|p| scopes[p.y.index()].clone());
        Diagram {
            name,
            about,
            formulas: graph
                .vars()
                .map(|v| graph.formula(v.id(), name_of))
                .collect(),
            lines: graph.vars().map(|v| graph.line(v.id())).collect(),
            stages: stages(&nodes, &scopes, &passes),
            losses: losses.collect(),
            nodes,
            readers,
            labels,
            scopes,
            passes,
            updates,
            plan,
        }
    }

    /// The plan of the step, as training runs it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The node of the plan that a node became: of several shards that of the first one.
    pub(crate) fn of_plan(&self, node: usize) -> Option<NodeId> {
        self.plan.of_recorded(self.plan.node_id(node))
    }

    /// The node in whose place a node of the plan is; those of several shards are in the place of one.
    fn of_graph(&self, node: NodeId) -> usize {
        self.plan.recorded(node).index()
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, i: usize) -> &Node {
        &self.nodes[i]
    }

    pub(crate) fn label(&self, i: usize) -> &str {
        &self.labels[i]
    }

    pub(crate) fn formula(&self, i: usize) -> &str {
        &self.formulas[i]
    }

    pub(crate) fn scope(&self, i: usize) -> &str {
        &self.scopes[i]
    }

    pub(crate) fn stage(&self, i: usize) -> Stage {
        self.stages[i]
    }

    /// What each call of `grad` appended, with the name of what it differentiated: `loss/d`, `loss/g`.
    pub(crate) fn passes(&self) -> impl Iterator<Item = (&GradPass, &str)> {
        self.passes
            .iter()
            .zip(self.losses.iter().map(String::as_str))
    }

    /// Whose loss a node is, `D`, `G` or `C`; none for all other nodes.
    pub(crate) fn player_of_loss(&self, node: usize) -> Option<&'static str> {
        let is_loss = |p: &usize| self.passes[*p].y.index() == node && !self.is_inner(*p);
        let pass = (0..self.passes.len()).find(is_loss)?;
        Some(player(&self.losses[pass]))
    }

    /// Whether a pass is part of a formula that a later one differentiates, as the gradient of a penalty is.
    pub(crate) fn is_inner(&self, pass: usize) -> bool {
        let later = self.passes[pass + 1..].iter().flat_map(|p| p.nodes.clone());
        let mut origins = later.filter_map(|n| self.nodes[n].origin);
        origins.any(|of| self.passes[pass].nodes.contains(&of.index()))
    }

    /// Whether it is the step of a classifier.
    pub(crate) fn is_of_classifier(&self) -> bool {
        self.scopes.iter().any(|scope| scope.starts_with("C/"))
    }

    /// Whether it is the step of an encoder.
    pub(crate) fn is_of_encoder(&self) -> bool {
        self.scopes.iter().any(|scope| scope.starts_with("E/"))
    }

    /// Whether D's loss has a penalty that is made of a gradient.
    pub(crate) fn has_penalty(&self) -> bool {
        (0..self.passes.len()).any(|p| self.is_inner(p))
    }

    /// The pass that appended a node.
    fn pass_of(&self, node: usize) -> Option<usize> {
        self.passes.iter().position(|p| p.nodes.contains(&node))
    }

    /// The node of the formula that a node of a pass is the chain rule of, by way of the chain rules of earlier passes; none
    /// where a pass begins.
    fn root(&self, node: usize) -> Option<usize> {
        let mut n = node;
        while self.stages[n] == Stage::Backward {
            n = self.nodes[n].origin?.index();
        }
        Some(n)
    }

    /// What G draws: the nodes of G that others than G read in the formula.
    pub(crate) fn samples(&self) -> Vec<usize> {
        let of_g = |n: usize| self.scopes[n].starts_with("G/");
        let leaves = |n: &usize| {
            let mut readers = self.readers(*n);
            readers.any(|r| !of_g(r) && self.stages[r] == Stage::Forward)
        };
        let forward = (0..self.len()).filter(|&n| of_g(n) && self.stages[n] == Stage::Forward);
        forward
            .filter(|&n| !self.is_source(n))
            .filter(leaves)
            .collect()
    }

    /// Updated tensors: parameter node, name, new value.
    pub(crate) fn updates(&self) -> &[(NodeId, String, NodeId)] {
        &self.updates
    }

    pub(crate) fn inputs(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let inputs = self.nodes[node].inputs.as_slice();
        inputs.iter().map(|id| id.index())
    }

    fn readers(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        self.readers[of].iter().copied()
    }

    /// Leaves, constants and random numbers: drawn beside what reads them.
    pub(crate) fn is_source(&self, node: usize) -> bool {
        self.nodes[node].inputs.as_slice().is_empty()
    }

    fn is_param(&self, node: usize) -> bool {
        matches!(self.nodes[node].op, Op::Param(_))
    }

    /// `100×1200`; nothing for a number.
    fn shape(&self, node: usize) -> String {
        let dims = self.nodes[node].shape;
        let dims: Vec<String> = dims.dims().iter().map(usize::to_string).collect();
        dims.join("×")
    }
}

/// The net of a scope, and what stands before it, where a loss uses a net again: `D/h0` is D's, `loss/d/D/h0`, too.
pub(crate) fn net_of(scope: &str) -> Option<(&str, &str)> {
    let place = |net: &str| match scope.starts_with(net) {
        true => Some(0),
        false => scope.find(&format!("/{net}")).map(|at| at + 1),
    };
    let at = ["G/", "D/", "C/", "E/"]
        .into_iter()
        .filter_map(place)
        .min()?;
    Some((&scope[..at], &scope[at..at + 1]))
}

/// Whose loss has this scope.
fn player(loss: &str) -> &'static str {
    match loss {
        "loss/g" => "G",
        "loss/c" => "C",
        "loss/e" => "E",
        _ => "D",
    }
}

/// What each node is for: what a pass appended is its chain rule; updates have a scope of that name; a leaf that only
/// they read is theirs.
fn stages(nodes: &[Node], scopes: &[String], passes: &[GradPass]) -> Vec<Stage> {
    let own = |i: usize| match () {
        () if passes.iter().any(|p| p.nodes.contains(&i)) => Stage::Backward,
        () if scopes[i].starts_with("update/") => Stage::Update,
        () => Stage::Forward,
    };
    let mut stages: Vec<Stage> = (0..nodes.len()).map(own).collect();
    let mut first_reader = vec![None; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for input in node.inputs.as_slice() {
            first_reader[input.index()].get_or_insert(i);
        }
    }
    for i in 0..nodes.len() {
        let is_leaf = nodes[i].inputs.as_slice().is_empty() && stages[i] == Stage::Forward;
        if let (true, Some(reader)) = (is_leaf, first_reader[i]) {
            stages[i] = stages[reader];
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_gan::config::presets;
    use layout::{Cell, Layout};
    use parts::{Parts, is_alias, is_attached};

    /// Every preset as it is, and the paper's with other orders of updates, another optimiser, a penalty.
    fn all() -> Vec<Diagram> {
        let of = |name, options: &[&str]| {
            let config = Config::preset(name).and_then(|c| c.with(options));
            Diagram::of(&config.expect("valid")).expect("recorded")
        };
        // Those of the study are other presets with other rates and norms.
        let presets = presets().iter().filter(|p| !p.name.starts_with("study-"));
        let mut all: Vec<Diagram> = presets.map(|p| of(p.name, &[])).collect();
        for options in [
            &["train.update=alternating"][..],
            &["train.update=alternating", "train.k=3"],
            &["optimizer.kind=adam"],
            &["loss.kind=mm"],
            &["noise.distribution=spherical"],
            &["discriminator.penalty=[\"gp\"]"],
        ] {
            all.push(of("mnist", options));
        }
        all
    }

    #[test]
    fn every_node_has_one_stage_and_chain_rules_come_from_the_formula() {
        for d in all() {
            for (i, node) in d.nodes.iter().enumerate() {
                let in_pass = d.passes.iter().any(|p| p.nodes.contains(&i));
                assert_eq!(
                    d.stages[i] == Stage::Backward,
                    in_pass,
                    "{}: {}",
                    d.name,
                    d.lines[i]
                );
                // A penalty's gradient is itself differentiated: its nodes are the formula of a later pass.
                if let Some(origin) = node.origin {
                    let of = d.passes.iter().position(|p| p.nodes.contains(&i));
                    let earlier = d.passes.iter().take(of.expect("a pass"));
                    let is_formula = d.stages[origin.index()] == Stage::Forward
                        || earlier
                            .into_iter()
                            .any(|p| p.nodes.contains(&origin.index()));
                    assert!(is_formula, "{}", d.lines[i]);
                }
            }
            for pass in &d.passes {
                for (of, gradient) in &pass.adjoints {
                    let shape = |n: &NodeId| d.nodes[n.index()].shape;
                    assert_eq!(shape(of), shape(gradient), "{}", d.lines[of.index()]);
                }
            }
        }
    }

    #[test]
    fn the_text_has_every_line_of_the_listing_once_and_every_kernel() {
        let graph = Graph::new();
        let config = Config::preset("mnist").expect("a preset");
        game::record(&graph, &config, 784).expect("recorded");
        let text = Diagram::of(&config).expect("recorded").text(Part::All);
        for line in graph.to_string().lines() {
            assert_eq!(text.lines().filter(|l| *l == line).count(), 1, "{line}");
        }
        assert!(
            text.contains("matmul+bias+relu(b0, G.h0.w, G.h0.b) # G/h0"),
            "{text}"
        );
    }

    /// Such a plan has more nodes than the graph; all formats show those of the graph.
    #[test]
    fn the_plan_of_shards_names_the_nodes_of_the_graph() {
        let config = Config::preset("tiny").and_then(|c| c.with(&["train.shards=4"]));
        let d = Diagram::of(&config.expect("valid")).expect("recorded");
        assert!(d.plan.nodes().len() > d.len());
        let lives = d.plan.lifetimes();
        let bars = d.svg(Part::Plan).matches("\nsteps ").count();
        assert_eq!(bars, lives.len());
        let text = d.text(Part::All);
        assert!(text.contains("one of 4 shards"), "{text}");
        for life in &lives {
            let label = d.label(d.of_graph(life.node));
            let line = format!("{label} {}..{}", life.first, life.last);
            assert!(text.contains(&line), "{line}");
        }
        let json = d.json(Part::All);
        let scope = |node: &serde_json::Value| {
            let node = node.as_u64().expect("a number") as usize;
            assert!(node < d.len(), "{node}");
            json["nodes"][node]["scope"].clone()
        };
        let list = |of: &serde_json::Value| of.as_array().expect("a list").clone();
        for step in list(&json["plan"]["steps"]) {
            let nodes = list(&step["nodes"]);
            let scopes: Vec<_> = nodes.iter().map(scope).collect();
            assert_eq!(scopes.last(), Some(&step["scope"]), "{step}");
        }
        for buffer in list(&json["plan"]["buffers"]) {
            for value in list(&buffer["values"]) {
                scope(&value["node"]);
            }
        }
    }

    #[test]
    fn a_drawing_has_every_line_of_formula_and_chain_rule_in_its_net_and_no_two_boxes_overlap() {
        for d in all() {
            let parts = Parts::of(&d);
            let layout = Layout::of(&d, &parts, true);
            let overlap = |a: &Cell, b: &Cell| {
                a.x < b.right() && b.x < a.right() && a.y < b.y + b.h && b.y < a.y + a.h
            };
            for (i, a) in layout.cells.iter().enumerate() {
                assert!(a.x > 0.0 && a.right() < layout.width && a.y + a.h < layout.height);
                let twin = layout.cells[i + 1..].iter().find(|b| overlap(a, b));
                assert!(twin.is_none(), "{}: {}", d.name, a.title);
            }
            let svg = d.svg(Part::All);
            let texts = svg.split('>').filter_map(|text| text.split_once(" = "));
            let drawn: BTreeSet<&str> = texts.map(|(label, _)| label).collect();
            for i in 0..d.nodes.len() {
                let is_named = !d.is_source(i) || d.stages[i] == Stage::Backward;
                let is_drawn = is_named
                    && d.stages[i] != Stage::Update
                    && !d.scopes[i].starts_with("monitor")
                    // Renamed and repeated values are part of their only reader.
                    && !(d.stages[i] == Stage::Forward && is_alias(&d, i) && is_attached(&d, i))
                    && (d.stages[i] == Stage::Backward
                        || d.readers(i).next().is_some()
                        || d.scopes[i].starts_with("loss"));
                let is_found = drawn.contains(d.labels[i].as_str());
                assert_eq!(is_found, is_drawn, "{} {}", d.name, d.lines[i]);
            }
            for (piece, band) in parts.pieces.iter().map(|p| (p, &parts.bands[p.band])) {
                let net = net_of(&piece.scope);
                assert!(
                    net.is_none_or(|(_, net)| band.net == net),
                    "{}",
                    piece.title
                );
            }
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_a_drawing() {
        let nasty = "a<b>&\"c'</text><script>";
        let config = Config::preset("tiny").expect("a preset");
        let mut d = Diagram::of(&config).expect("recorded");
        let names = [&mut d.labels, &mut d.formulas, &mut d.lines, &mut d.scopes];
        for name in names.into_iter().flatten() {
            *name = name.replace("h0", nasty);
        }
        d.name = nasty.to_string();
        for part in [Part::All, Part::Forward, Part::Plan] {
            let svg = d.svg(part);
            testkit::assert_well_formed(&svg);
            assert!(!svg.contains("<script>") && !svg.contains("c'"), "{part:?}");
            assert!(
                svg.contains("a&lt;b&gt;&amp;&quot;c&#39;&lt;/text&gt;"),
                "{part:?}"
            );
        }
    }

    #[test]
    fn json_counts_the_work_of_the_plan() {
        for d in all() {
            let plan = &d.json(Part::All)["plan"];
            let steps = plan["steps"].as_array().expect("a list");
            let sum: u64 = steps.iter().filter_map(|s| s["flops"].as_u64()).sum();
            assert!(
                sum > 0 && sum <= plan["flops"].as_u64().expect("a number"),
                "{}",
                d.name
            );
            let live = steps.iter().filter_map(|s| s["live_bytes"].as_u64()).max();
            assert!(live <= plan["buffer_bytes"].as_u64());
        }
    }
}
