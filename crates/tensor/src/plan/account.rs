//! The cost of a plan's calls, and the lifetimes of its buffers.

use ganforge_kernels::cpu::conv::Algorithm;

use crate::graph::NodeId;
use crate::ops::Cost;
use crate::plan::{Call, Contraction, Kernel, Loc, Plan, Stage};

/// One use of a buffer: the value that a call writes to it, up to the last call that reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// The buffer, by its place in [`Plan::buffers`].
    pub buffer: u32,
    /// The value.
    pub node: NodeId,
    /// Its size in bytes.
    pub bytes: usize,
    /// The call that writes it.
    pub first: usize,
    /// The last call that needs it; of values that are handed out or kept, the plan's last one.
    pub last: usize,
}

impl Plan {
    /// What one call costs: the operations of its nodes by the ops' own account, and the bytes of its operands, each
    /// read once and written once.
    pub fn call_cost(&self, call: &Call) -> Cost {
        let flops = call.nodes.iter().map(|n| self.node_cost(n.index()).flops);
        let bytes = |operands: &[super::Operand]| -> u64 {
            operands.iter().map(|o| 4 * o.shape.elements() as u64).sum()
        };
        let stages = match &call.kernel {
            Kernel::Product(product) => product.epilogue.stages(),
            _ => &[],
        };
        let reads_outputs = stages.iter().any(Stage::is_update);
        Cost {
            flops: if call.kernel == Kernel::Copy {
                0
            } else {
                flops.sum()
            },
            bytes: bytes(&call.ins) + bytes(&call.outs) * (1 + u64::from(reads_outputs)),
        }
    }

    /// The node that a call works for: of a product with what follows it that of the product, else the last one.
    ///
    /// # Panics
    /// For a call of no nodes, which no plan has.
    pub fn worker(&self, call: &Call) -> NodeId {
        let is_product = |n: &&NodeId| Contraction::of(&self.graph.nodes[n.index()].op).is_some();
        let product = match &call.kernel {
            Kernel::Product(_) => call.nodes.iter().find(is_product),
            _ => None,
        };
        *product
            .or(call.nodes.last())
            .expect("a call computes something")
    }

    /// The scope of a node.
    pub fn scope(&self, node: NodeId) -> &str {
        self.graph.scope_name(self.graph.nodes[node.index()].scope)
    }

    /// The operations of one call that its kernel carries out on the CPU: of a product with a maxout gradient at most one in
    /// `pieces`, of a convolution fewer after Winograd. On a device it is those of the direct algorithm.
    pub fn call_executed_flops(&self, call: &Call, algorithm: Algorithm) -> u64 {
        let by_node = self.executed_flops_by_node(call, algorithm);
        by_node.map(|(_, flops)| flops).sum()
    }

    /// The same for each node that the call computes.
    pub fn executed_flops_by_node<'a>(
        &'a self,
        call: &'a Call,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = (NodeId, u64)> + 'a {
        call.nodes.iter().map(move |&node| {
            let flops = self.node_cost(node.index()).flops;
            let executed = match &call.kernel {
                Kernel::Copy => 0,
                Kernel::Product(product) if node == self.worker(call) => {
                    let contraction = product.contraction.get();
                    contraction.executed_flops(&call.ins, flops, algorithm)
                }
                _ => flops,
            };
            (node, executed)
        })
    }

    /// The floating-point operations of one run that its kernels carry out.
    pub fn executed_flops(&self, algorithm: Algorithm) -> u64 {
        let calls = self.calls.iter();
        calls.map(|c| self.call_executed_flops(c, algorithm)).sum()
    }

    /// Every use of every buffer, in the order of the calls that begin them.
    pub fn lifetimes(&self) -> Vec<Lifetime> {
        let mut all: Vec<Lifetime> = Vec::new();
        let mut open: Vec<Option<usize>> = vec![None; self.buffers.len()];
        for (at, call) in self.calls.iter().enumerate() {
            for (out, &node) in call.outs.iter().zip(&call.values) {
                let Loc::Temp(buffer) = out.loc else { continue };
                if let Some(earlier) = open[buffer as usize].replace(all.len()) {
                    all[earlier].last = at;
                }
                all.push(Lifetime {
                    buffer,
                    node,
                    bytes: 4 * out.shape.elements(),
                    first: at,
                    last: self.calls.len() - 1,
                });
            }
            for &freed in &call.frees {
                if let Some(ended) = open[freed as usize].take() {
                    all[ended].last = at;
                }
            }
        }
        all
    }

    /// The bytes that are in use while each call runs.
    pub fn live_bytes(&self) -> Vec<usize> {
        let mut live = vec![0; self.calls.len()];
        // A buffer that a call reads and overwrites ends one use and begins another, and is one buffer.
        let lifetimes = self.lifetimes();
        for (at, live) in live.iter_mut().enumerate() {
            let mut in_use = vec![0; self.buffers.len()];
            for l in lifetimes
                .iter()
                .filter(|l| (l.first..=l.last).contains(&at))
            {
                let bytes: &mut usize = &mut in_use[l.buffer as usize];
                *bytes = l.bytes.max(*bytes);
            }
            *live = in_use.iter().sum();
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Window;
    use crate::{Graph, Keep};
    use ganforge_kernels::cpu::{Isa, isa};

    /// A maxout layer, its loss and its momentum update.
    fn plan(keep: Keep) -> Plan {
        let g = Graph::new();
        let (x, w, v) = (
            g.input("x", [4, 3]),
            g.param("w", [3, 10]),
            g.param("v", [3, 10]),
        );
        let b = g.param("b", [10]);
        let loss = (x.matmul(w) + b).maxout(5).softplus().mean();
        let dw = g.grad(loss, &[w, b]).expect("reached");
        let next = v * g.scalar("mu") - dw[0] * g.scalar("lr");
        let plan = Plan::of(&g).fetch("loss", loss).fetch("db", dw[1]);
        let plan = plan.update(v, next).update(w, w + next).keep(keep);
        plan.compile().expect("a valid graph")
    }

    #[test]
    fn calls_cost_in_sum_what_the_plan_costs() {
        for keep in [Keep::All, Keep::Fetched] {
            let plan = plan(keep);
            let flops: u64 = plan.calls.iter().map(|c| plan.call_cost(c).flops).sum();
            assert_eq!(flops, plan.cost().flops, "{plan}");
            assert!(executed(&plan) <= flops);
        }
        assert!(executed(&plan(Keep::Fetched)) < executed(&plan(Keep::All)));
    }

    fn executed(plan: &Plan) -> u64 {
        plan.executed_flops(Algorithm::Fastest)
    }

    #[test]
    fn after_winograd_fewer_operations_are_executed_than_are_written() {
        let g = Graph::new();
        let window = Window::same([8, 8], [3, 3], [1, 1]);
        let (x, w) = (g.input("x", [2, 8, 8, 32]), g.param("w", [3, 3, 32, 32]));
        let plan = Plan::of(&g).fetch("y", x.conv2d(w, window)).compile();
        let plan = plan.expect("a valid graph");
        let [fastest, direct] =
            [Algorithm::Fastest, Algorithm::Direct].map(|a| plan.executed_flops(a));
        assert_eq!(direct, plan.cost().flops);
        // 6 x 6 products for 4 x 4 results instead of 16 times 9.
        let expected = if isa() == Isa::Portable {
            direct
        } else {
            direct / 4
        };
        assert_eq!(fastest, expected);
    }

    #[test]
    fn a_buffer_holds_one_value_at_a_time_and_every_temporary_is_written_while_it_lives() {
        for keep in [Keep::All, Keep::Fetched] {
            let plan = plan(keep);
            let all = plan.lifetimes();
            for (i, a) in all.iter().enumerate() {
                assert!(a.first <= a.last && a.bytes <= 4 * plan.buffers[a.buffer as usize]);
                for b in all[i + 1..].iter().filter(|b| b.buffer == a.buffer) {
                    assert!(a.last <= b.first, "{a:?} {b:?}\n{plan}");
                }
            }
            for (at, call) in plan.calls.iter().enumerate() {
                for operand in call.ins.iter().chain(&call.outs) {
                    let Loc::Temp(b) = operand.loc else { continue };
                    let lives = |l: &&Lifetime| l.buffer == b && l.first <= at && at <= l.last;
                    assert!(all.iter().any(|l| lives(&l)), "call {at}: b{b}\n{plan}");
                }
            }
            assert!(plan.live_bytes().iter().all(|&l| l <= plan.buffer_bytes()));
        }
    }

    #[test]
    fn a_value_is_that_of_the_node_that_the_call_hands_on() {
        let plan = plan(Keep::Fetched);
        for life in plan.lifetimes() {
            let shape = plan.nodes()[life.node.index()].shape;
            assert_eq!(4 * shape.elements(), life.bytes, "{life:?}\n{plan}");
        }
    }
}
