//! The step for Graphviz: a node per value, scopes as nested clusters.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Diagram, Part, Stage};

/// Scopes by their path, as a tree.
#[derive(Default)]
struct Cluster {
    inner: BTreeMap<String, Cluster>,
    nodes: Vec<usize>,
}

impl Diagram {
    /// A digraph of `part`; of the plan, a node per kernel call.
    pub fn dot(&self, part: Part) -> String {
        let mut text = format!(
            "digraph {} {{\n  rankdir=LR;\n  label={};\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, \
             fontname=\"monospace\", fontsize=10];\n  edge [fontname=\"monospace\", fontsize=9];\n",
            quoted(&self.name),
            quoted(&format!("{}: one training step, {}", self.name, self.about))
        );
        match part {
            Part::Plan => self.dot_plan(&mut text),
            _ => self.dot_nodes(&mut text, part),
        }
        text += "}\n";
        text
    }

    fn dot_nodes(&self, text: &mut String, part: Part) {
        let is_shown = |i: usize| match part {
            Part::Forward => self.stages[i] == Stage::Forward,
            Part::Backward => self.stages[i] != Stage::Update,
            _ => true,
        };
        let mut root = Cluster::default();
        for i in (0..self.nodes.len()).filter(|&i| is_shown(i)) {
            let mut at = &mut root;
            for name in self.scopes[i].split('/').filter(|s| *s != "top") {
                at = at.inner.entry(name.to_string()).or_default();
            }
            at.nodes.push(i);
        }
        self.dot_cluster(text, &root, "");
        for i in (0..self.nodes.len()).filter(|&i| is_shown(i)) {
            for input in self.inputs(i).filter(|&i| is_shown(i)) {
                let shape = quoted(&self.shape(input));
                let _ = writeln!(text, "  n{input} -> n{i} [label={shape}];");
            }
        }
    }

    fn dot_cluster(&self, text: &mut String, cluster: &Cluster, path: &str) {
        for &i in &cluster.nodes {
            let label = match self.is_source(i) {
                true => self.labels[i].clone(),
                false => format!("{} = {}", self.labels[i], self.formulas[i]),
            };
            let color = match self.stages[i] {
                Stage::Forward => "#e4eef7",
                Stage::Backward => "#fbeadd",
                Stage::Update => "#e6f3ea",
            };
            let _ = writeln!(
                text,
                "  n{i} [label={}, fillcolor=\"{color}\"];",
                quoted(&label)
            );
        }
        for (name, inner) in &cluster.inner {
            let path = format!("{path}/{name}");
            let (id, label) = (quoted(&format!("cluster{path}")), quoted(name));
            let _ = writeln!(
                text,
                "  subgraph {id} {{\n  label={label}; color=\"#9aa5ae\";"
            );
            self.dot_cluster(text, inner, &path);
            text.push_str("  }\n");
        }
    }

    fn dot_plan(&self, text: &mut String) {
        let plan = &self.plan;
        let mut written = BTreeMap::new();
        for (at, call) in plan.calls.iter().enumerate() {
            let label = format!("{at}: {} # {}", call.kernel, plan.scope_of(call));
            let _ = writeln!(text, "  s{at} [label={}];", quoted(&label));
            for operand in &call.ins {
                let name = plan.operand_name(operand.loc);
                if let Some(from) = written.get(&name) {
                    let label = quoted(&format!("{name} {}", operand.shape));
                    let _ = writeln!(text, "  s{from} -> s{at} [label={label}];");
                }
            }
            for out in &call.outs {
                written.insert(plan.operand_name(out.loc), at);
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
