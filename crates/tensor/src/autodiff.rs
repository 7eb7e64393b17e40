//! Reverse-mode differentiation by appending to the graph.

use std::panic::Location;

use crate::error::{Error, Result};
use crate::graph::{GradPass, Graph, NodeId, Var};
use crate::ops::Op;

impl Graph {
    /// The gradients of a scalar `y` in each of `wrt`, recorded as ordinary nodes.
    ///
    /// Only nodes on a path from `wrt` to `y` are visited. The gradients can be differentiated
    /// again, to any order.
    ///
    /// dy/dwrt_i has the shape of `wrt_i`.
    ///
    /// ```
    /// use ganforge_tensor::Graph;
    /// let g = Graph::new();
    /// let x = g.input("x", []);
    /// let dx = g.grad(x.square() * x, &[x])?[0]; // 3x²
    /// let ddx = g.grad(dx, &[x])?[0]; // 6x
    /// let at = [("x", vec![2.0])];
    /// assert_eq!((dx.evaluate(&at)?[0], ddx.evaluate(&at)?[0]), (12.0, 12.0));
    /// # Ok::<(), ganforge_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotScalar`] where `y` has more or less than one element; [`Error::NotReached`]
    /// where `y` does not depend on one of `wrt`; [`Error::Foreign`] for a variable of another
    /// graph; the graph's earlier fault, if any.
    #[track_caller]
    pub fn grad<'g>(&'g self, y: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let site = Location::caller();
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        for var in [y].iter().chain(wrt) {
            self.check_own("grad", *var)?;
        }
        if y.shape().elements() != 1 {
            return Err(Error::NotScalar {
                y: y.label(),
                shape: y.shape(),
                site: site.to_string(),
            });
        }
        let depends = self.depends_on(wrt, y.id);
        let mut adjoint: Vec<Option<Var<'g>>> = vec![None; y.id.index() + 1];
        let first = self.len();
        let mut adjoints = Vec::new();
        adjoint[y.id.index()] = Some(self.constant(1.0, y.shape()));
        for index in (0..=y.id.index()).rev() {
            let Some(dy) = adjoint[index].filter(|_| depends[index]) else {
                continue;
            };
            adjoints.push((NodeId(index as u32), dy.id));
            self.send_back(NodeId(index as u32), dy, &depends, &mut adjoint);
        }
        self.set_origin(None);
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        self.add_pass(GradPass {
            y: y.id,
            nodes: first..self.len(),
            adjoints,
        });
        wrt.iter()
            .map(|w| {
                let found = adjoint.get(w.id.index()).copied().flatten();
                found.ok_or_else(|| Error::NotReached {
                    y: y.label(),
                    wrt: w.label(),
                    site: site.to_string(),
                })
            })
            .collect()
    }

    /// Adds `dy`'s share to the adjoint of each input of `id` that depends on what is asked for.
    /// The first share is the value, the next one becomes an add: nothing is filled with zeros.
    fn send_back<'g>(
        &'g self,
        id: NodeId,
        dy: Var<'g>,
        depends: &[bool],
        adjoint: &mut [Option<Var<'g>>],
    ) {
        let node = self.node(id);
        let inputs = node.inputs.as_slice().iter();
        let inputs: Vec<Var> = inputs.map(|&i| self.var(i)).collect();
        self.set_origin(Some(id));
        for (i, input) in inputs.iter().enumerate() {
            let at = input.id.index();
            if !depends[at] {
                continue;
            }
            let Some(share) = node.op.vjp(i, &inputs, self.var(id), dy) else {
                continue;
            };
            if share.shape() != input.shape() {
                self.set_fault(Error::Shape {
                    op: node.op.name(),
                    reason: format!(
                        "vjp gave the gradient in input {i} the shape {}",
                        share.shape()
                    ),
                    shapes: inputs.iter().map(|x| x.shape()).collect(),
                    scope: self.var(id).scope(),
                    site: node.site.to_string(),
                });
                return;
            }
            adjoint[at] = Some(match adjoint[at] {
                None => share,
                Some(earlier) => earlier + share,
            });
        }
    }

    /// For each node up to `y`: whether its value depends on one of `wrt` in the eyes of the chain rule, to which what
    /// was detached is constant.
    fn depends_on(&self, wrt: &[Var<'_>], y: NodeId) -> Vec<bool> {
        let inner = self.inner();
        let mut depends = vec![false; y.index() + 1];
        for w in wrt {
            if let Some(d) = depends.get_mut(w.id.index()) {
                *d = true;
            }
        }
        for (i, node) in inner.nodes[..=y.index()].iter().enumerate() {
            let reached = node.inputs.as_slice().iter().any(|n| depends[n.index()]);
            depends[i] = depends[i] || reached && !matches!(node.op, Op::Detach(_));
        }
        depends
    }
}
