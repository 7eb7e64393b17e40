//! The step as JSON, format 1, documented in docs/graph.md.

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_tensor::plan::{Call, Operand};
use serde_json::{Value, json};

use super::{Diagram, Part, Stage};

impl Diagram {
    /// The step for programs; a part has only its own nodes, or only the plan.
    pub fn json(&self, part: Part) -> Value {
        let wanted = |i: &usize| match part {
            Part::Forward => self.stages[*i] == Stage::Forward,
            Part::Backward => self.stages[*i] == Stage::Backward,
            Part::Plan => false,
            Part::All => true,
        };
        let mut all = json!({ "format": 1, "name": self.name, "about": self.about });
        if part != Part::Plan {
            let nodes = (0..self.nodes.len())
                .filter(wanted)
                .map(|i| self.node_json(i));
            all["nodes"] = nodes.collect();
        }
        if matches!(part, Part::Backward | Part::All) {
            all["passes"] = self.passes_json();
        }
        if part == Part::All {
            let updates = self.updates.iter().map(|(param, name, value)| {
                json!({ "name": name, "node": param.index(), "value": value.index() })
            });
            all["updates"] = updates.collect();
        }
        if matches!(part, Part::Plan | Part::All) {
            all["plan"] = self.plan_json();
        }
        all
    }

    fn node_json(&self, i: usize) -> Value {
        let node = &self.nodes[i];
        json!({
            "id": i,
            "label": self.labels[i],
            "op": node.op.name(),
            "formula": self.formulas[i],
            "shape": node.shape.dims(),
            "scope": self.scopes[i],
            "inputs": self.inputs(i).collect::<Vec<_>>(),
            "stage": self.stages[i].name(),
            "origin": node.origin.map(|o| o.index()),
        })
    }

    fn passes_json(&self) -> Value {
        let passes = self.passes.iter().zip(&self.losses);
        let passes = passes.map(|(pass, loss)| {
            let adjoints = pass.adjoints.iter().map(|(of, g)| [of.index(), g.index()]);
            json!({
                "loss": loss,
                "of": pass.y.index(),
                "nodes": [pass.nodes.start, pass.nodes.end],
                "adjoints": adjoints.collect::<Vec<_>>(),
            })
        });
        passes.collect()
    }

    fn plan_json(&self) -> Value {
        let plan = &self.plan;
        let live = plan.live_bytes();
        let lifetimes = plan.lifetimes();
        let calls = plan
            .calls
            .iter()
            .zip(live)
            .map(|(s, live)| self.call_json(s, live));
        let buffers = plan.buffers.iter().enumerate().map(|(b, elements)| {
            let uses = lifetimes.iter().filter(|l| l.buffer as usize == b);
            let uses = uses.map(|l| {
                json!({ "node": self.of_graph(l.node), "bytes": l.bytes, "first": l.first, "last": l.last })
            });
            json!({ "name": format!("b{b}"), "bytes": 4 * elements, "values": uses.collect::<Vec<_>>() })
        });
        json!({
            "steps": calls.collect::<Vec<_>>(),
            "buffers": buffers.collect::<Vec<_>>(),
            "flops": plan.cost().flops,
            "executed_flops": plan.executed_flops(Algorithm::Direct),
            "buffer_bytes": plan.buffer_bytes(),
        })
    }

    fn call_json(&self, call: &Call, live: usize) -> Value {
        let plan = &self.plan;
        let names = |operands: &[Operand]| -> Value {
            operands.iter().map(|o| plan.operand_name(o.loc)).collect()
        };
        let cost = plan.call_cost(call);
        json!({
            "kernel": call.kernel.to_string(),
            "reads": names(&call.ins),
            "writes": names(&call.outs),
            "shape": call.outs[0].shape.dims(),
            "scope": plan.scope_of(call),
            "nodes": call.nodes.iter().map(|&n| self.of_graph(n)).collect::<Vec<_>>(),
            "flops": cost.flops,
            "executed_flops": plan.call_executed_flops(call, Algorithm::Direct),
            "bytes": cost.bytes,
            "frees": call.frees.iter().map(|b| format!("b{b}")).collect::<Vec<_>>(),
            "live_bytes": live,
        })
    }
}
