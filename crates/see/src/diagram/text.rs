//! The step as text: the graph's listing in three stages, then the plan with the cost of each call.

use std::fmt::Write;

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_tensor::plan::Operand;
use ganforge_tensor::words::{counted, size};

use super::{Diagram, Part, Stage};

impl Diagram {
    /// The listing of `part`.
    pub fn text(&self, part: Part) -> String {
        let mut text = format!("# {}: one training step, {}\n", self.name, self.about);
        if matches!(part, Part::Forward | Part::All) {
            text += "\n# forward pass\n";
            self.list(&mut text, |d, i| d.stages[i] == Stage::Forward);
        }
        if matches!(part, Part::Backward | Part::All) {
            for (pass, loss) in self.passes.iter().zip(&self.losses) {
                let y = &self.labels[pass.y.index()];
                let _ = writeln!(text, "\n# backward pass of {loss}, {y}");
                self.list(&mut text, |_, i| pass.nodes.contains(&i));
            }
        }
        if part == Part::All {
            text += "\n# updates: the new value of each stored tensor\n";
            self.list(&mut text, |d, i| d.stages[i] == Stage::Update);
            for (_, name, value) in &self.updates {
                let _ = writeln!(text, "{name} <- {}", self.labels[value.index()]);
            }
        }
        if matches!(part, Part::Plan | Part::All) {
            text += &self.plan_text();
        }
        text
    }

    fn list(&self, text: &mut String, wanted: impl Fn(&Diagram, usize) -> bool) {
        for i in (0..self.nodes.len()).filter(|&i| wanted(self, i)) {
            text.push_str(&self.lines[i]);
            text.push('\n');
        }
    }

    fn plan_text(&self) -> String {
        let plan = &self.plan;
        let mut text = "\n# plan: kernel calls in order; MFLOP by the ops' account (executed: without the zeros of maxout \
                        gradients), KiB read and\n# written, MiB of buffers in use\n"
            .to_string();
        let head = format!(
            "{:>4} {:<18} {:<13} {:>9} {:>9} {:>9} {:>7}  kernel(operands)",
            "step", "writes", "shape", "MFLOP", "executed", "KiB", "in use"
        );
        let _ = writeln!(text, "{head}");
        let live = plan.live_bytes();
        for (i, call) in plan.calls.iter().enumerate() {
            let cost = plan.call_cost(call);
            let list = |operands: &[Operand]| -> String {
                let names = operands.iter().map(|o| plan.operand_name(o.loc));
                names.collect::<Vec<_>>().join(", ")
            };
            let _ = writeln!(
                text,
                "{i:>4} {:<18} {:<13} {:>9.3} {:>9.3} {:>9.1} {:>7.2}  {}({}) # {}",
                list(&call.outs),
                call.outs[0].shape.to_string(),
                cost.flops as f64 / 1e6,
                plan.call_executed_flops(call, Algorithm::Direct) as f64 / 1e6,
                cost.bytes as f64 / 1024.0,
                live[i] as f64 / (1 << 20) as f64,
                call.kernel,
                list(&call.ins),
                plan.scope_of(call)
            );
        }
        let _ = writeln!(
            text,
            "{}, {:.3} GFLOP ({:.3} executed), {}, {}\n",
            counted(plan.calls.len(), "step"),
            plan.cost().flops as f64 / 1e9,
            plan.executed_flops(Algorithm::Direct) as f64 / 1e9,
            counted(plan.buffers.len(), "buffer"),
            size(plan.buffer_bytes() as u64)
        );
        text += "# buffers: their values, with first and last kernel call\n";
        let lifetimes = plan.lifetimes();
        for (buffer, elements) in plan.buffers.iter().enumerate() {
            let uses = lifetimes.iter().filter(|l| l.buffer as usize == buffer);
            let uses: Vec<String> = uses
                .map(|l| {
                    format!(
                        "{} {}..{}",
                        self.label(self.of_graph(l.node)),
                        l.first,
                        l.last
                    )
                })
                .collect();
            let size = size(4 * *elements as u64);
            let _ = writeln!(text, "b{buffer:<4} {size:>10}  {}", uses.join(", "));
        }
        text
    }
}
