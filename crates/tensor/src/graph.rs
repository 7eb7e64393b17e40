//! The graph: one flat list of nodes in SSA form, inputs always before their users.

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::Location;

use crate::error::{Error, Result};
use crate::ops::{self, Op};
use crate::shape::Shape;

/// A node's place in its graph's list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// Its index: how many nodes were recorded before it.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A name interned in its graph: of an input, a parameter, a scalar or a random stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameId(pub(crate) u32);

/// A scope interned in its graph, such as `D/h0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScopeId(u32);

/// The most inputs of a node.
pub(crate) const MAX_INPUTS: usize = 4;

/// The inputs of a node, at most four, inline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inputs {
    ids: [NodeId; MAX_INPUTS],
    len: u8,
}

impl Inputs {
    pub(crate) fn new(ids: &[NodeId]) -> Inputs {
        let mut inline = [NodeId(0); MAX_INPUTS];
        inline[..ids.len()].copy_from_slice(ids);
        Inputs {
            ids: inline,
            len: ids.len() as u8,
        }
    }

    /// The inputs as a slice.
    pub fn as_slice(&self) -> &[NodeId] {
        &self.ids[..self.len as usize]
    }
}

/// One value of the graph: an op, what it reads, and where it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From what; each one earlier in the list.
    pub inputs: Inputs,
    /// The shape of the result, inferred when recorded.
    pub shape: Shape,
    /// Which part of the model, such as `D/h0`.
    pub scope: ScopeId,
    /// The caller's file:line, for errors.
    pub site: &'static Location<'static>,
    /// Where the chain rule recorded it: the node that it differentiates.
    pub origin: Option<NodeId>,
}

/// What one call of [`Graph::grad`] appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GradPass {
    /// The scalar that was differentiated.
    pub y: NodeId,
    /// The appended nodes, by their places in the list.
    pub nodes: Range<usize>,
    /// Each visited node with the gradient of `y` in it, in the order of the visits: from `y` backwards.
    pub adjoints: Vec<(NodeId, NodeId)>,
}

/// Strings by number, and their numbers.
#[derive(Default, Clone)]
struct Interned {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Interned {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_string());
        self.numbers.insert(name.to_string(), number);
        number
    }

    fn name(&self, number: u32) -> Option<&str> {
        self.names.get(number as usize).map(String::as_str)
    }
}

#[derive(Default, Clone)]
pub(crate) struct Inner {
    pub(crate) nodes: Vec<Node>,
    names: Interned,
    /// The leaf of each name that has one.
    leaves: HashMap<u32, NodeId>,
    /// The name of each random stream, by the stream's number.
    streams: HashMap<u32, NameId>,
    scopes: Interned,
    scope: Vec<ScopeId>,
    origin: Option<NodeId>,
    pub(crate) passes: Vec<GradPass>,
    pub(crate) fault: Option<Error>,
}

impl Inner {
    fn node(&self, id: NodeId) -> &Node {
        #[cfg(test)]
        tests::count_read();
        &self.nodes[id.index()]
    }

    pub(crate) fn name(&self, id: NameId) -> &str {
        self.names.name(id.0).unwrap_or("?")
    }

    pub(crate) fn scope_name(&self, id: ScopeId) -> &str {
        self.scopes.name(id.0).unwrap_or("")
    }

    /// How a node is called in messages and listings: its name if it has one, else `%7`.
    pub(crate) fn label(&self, id: NodeId) -> String {
        match self.nodes.get(id.index()).and_then(|n| n.op.name_id()) {
            Some(name) => self.name(name).to_string(),
            None => format!("%{}", id.0),
        }
    }
}

/// A computation recorded once.
///
/// Recording never fails on the spot: the first fault is kept and returned by
/// [`Builder::compile`](crate::plan::Builder::compile), so formulas stay formulas.
///
/// ```
/// use ganforge_tensor::Graph;
/// let g = Graph::new();
/// let x = g.input("x", [2, 3]);
/// let w = g.param("w", [3, 1]);
/// let y = x.matmul(w).square().sum();
/// let dw = g.grad(y, &[w])?[0];
/// assert_eq!(dw.shape().dims(), [3, 1]);
/// println!("{g}");
/// # Ok::<(), ganforge_tensor::Error>(())
/// ```
#[derive(Default)]
pub struct Graph {
    inner: RefCell<Inner>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// How many nodes have been recorded.
    pub fn len(&self) -> usize {
        self.inner.borrow().nodes.len()
    }

    /// Whether nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The variables of all nodes, in the order of the list.
    pub fn vars(&self) -> impl Iterator<Item = Var<'_>> {
        (0..self.len()).map(|i| self.var(NodeId(i as u32)))
    }

    pub(crate) fn node(&self, id: NodeId) -> Node {
        *self.inner.borrow().node(id)
    }

    /// The first fault of the recording, if any.
    pub fn fault(&self) -> Option<Error> {
        self.inner.borrow().fault.clone()
    }

    pub(crate) fn inner(&self) -> Ref<'_, Inner> {
        self.inner.borrow()
    }

    /// The variable of a node of this graph.
    pub(crate) fn var(&self, id: NodeId) -> Var<'_> {
        Var { graph: self, id }
    }

    /// Names a part of the model until the returned guard is dropped; scopes nest as `outer/inner`.
    #[must_use = "the scope ends when the guard is dropped"]
    pub fn scope(&self, name: &str) -> ScopeGuard<'_> {
        let mut inner = self.inner.borrow_mut();
        let path = match inner.scope.last() {
            Some(&outer) => format!("{}/{name}", inner.scope_name(outer)),
            None => name.to_string(),
        };
        let id = ScopeId(inner.scopes.number(&path));
        inner.scope.push(id);
        ScopeGuard { graph: self }
    }

    /// Interns a name.
    pub(crate) fn intern(&self, name: &str) -> NameId {
        NameId(self.inner.borrow_mut().names.number(name))
    }

    /// Interns the name of a random stream and numbers it.
    pub(crate) fn random_stream(&self, name: &str) -> (NameId, u32) {
        let (id, number) = (self.intern(name), stream_number(name));
        let first = *self.inner.borrow_mut().streams.entry(number).or_insert(id);
        if first != id {
            let first = self.inner.borrow().name(first).to_string();
            self.set_fault(Error::Redeclared {
                name: name.to_string(),
                first: format!("stream number {number} of {first}"),
                second: "the same number; choose another name".to_string(),
                site: "random stream".to_string(),
            });
        }
        (id, number)
    }

    /// Records with the scope and site of `node` until called with `None`: the chain rule of a
    /// node belongs where the node is.
    pub(crate) fn set_origin(&self, node: Option<NodeId>) {
        self.inner.borrow_mut().origin = node;
    }

    pub(crate) fn add_pass(&self, pass: GradPass) {
        self.inner.borrow_mut().passes.push(pass);
    }

    /// What each call of [`Graph::grad`] appended, in the order of the calls.
    pub fn grad_passes(&self) -> Vec<GradPass> {
        self.inner.borrow().passes.clone()
    }

    /// A node with its inputs called as `name` says: `matmul(x, G.h0.w)`.
    pub fn formula(&self, id: NodeId, name: impl Fn(NodeId) -> String) -> String {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id.index()];
        let args: Vec<String> = node.inputs.as_slice().iter().map(|&i| name(i)).collect();
        ops::describe(&node.op, &inner, &args)
    }

    /// The node's line in the listing of the graph: `%7 [100, 1200] = matmul(x, G.h0.w)   # G/h0`.
    pub fn line(&self, id: NodeId) -> String {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id.index()];
        let left = format!("%{} {}", id.0, node.shape);
        let value = self.formula(id, |i| inner.label(i));
        format!(
            "{left:<20} = {value:<48} # {}",
            inner.scope_name(node.scope)
        )
    }

    pub(crate) fn set_fault(&self, error: Error) {
        let mut inner = self.inner.borrow_mut();
        inner.fault.get_or_insert(error);
    }

    /// Appends a node: what the methods of [`Var`] do, for code that goes over the list of ops.
    ///
    /// Shapes that the op refuses, another number of inputs than it takes, and a variable of
    /// another graph become the graph's fault.
    #[track_caller]
    pub fn record(&self, op: impl Into<Op>, inputs: &[Var<'_>]) -> Var<'_> {
        let op = op.into();
        let site = Location::caller();
        let mut ids = Vec::new();
        for v in inputs.iter().take(MAX_INPUTS) {
            ids.push(match self.check_own(op.name(), *v) {
                Ok(()) => v.id,
                Err(error) => {
                    self.set_fault(error);
                    self.constant(f64::NAN, v.shape()).id
                }
            });
        }
        let shapes: Vec<Shape> = inputs.iter().map(|v| v.shape()).collect();
        let mut inner = self.inner.borrow_mut();
        let origin = inner.origin;
        let (scope, site) = match origin.map(|o| *inner.node(o)) {
            Some(node) => (node.scope, node.site),
            None => {
                let scope = inner.scope.last().copied();
                let scope = scope.unwrap_or_else(|| ScopeId(inner.scopes.number("top")));
                (scope, site)
            }
        };
        let shape = op.infer(&shapes).unwrap_or_else(|reason| {
            let error = Error::Shape {
                op: op.name(),
                reason,
                shapes: shapes.clone(),
                scope: inner.scope_name(scope).to_string(),
                site: site.to_string(),
            };
            inner.fault.get_or_insert(error);
            shapes.first().copied().unwrap_or(Shape::SCALAR)
        });
        inner.nodes.push(Node {
            op,
            inputs: Inputs::new(&ids),
            shape,
            scope,
            site,
            origin,
        });
        let id = NodeId(inner.nodes.len() as u32 - 1);
        if let Some(name) = op.name_id() {
            inner.leaves.entry(name.0).or_insert(id);
        }
        Var { graph: self, id }
    }

    /// A leaf that exists once per name: declared again, it is the same node.
    #[track_caller]
    pub(crate) fn record_leaf(&self, op: impl Into<Op>, name: NameId) -> Var<'_> {
        let op = op.into();
        let site = Location::caller();
        let found = self.inner.borrow().leaves.get(&name.0).copied();
        let Some(id) = found else {
            return self.record(op, &[]);
        };
        let first = self.node(id);
        if first.op != op {
            let shape = op.shape(&[]).unwrap_or(Shape::SCALAR);
            let error = Error::Redeclared {
                name: self.inner.borrow().name(name).to_string(),
                first: format!("{} {}", first.op.name(), first.shape),
                second: format!("{} {shape}", op.name()),
                site: site.to_string(),
            };
            self.set_fault(error);
        }
        Var { graph: self, id }
    }

    /// Refuses a variable of another graph.
    #[track_caller]
    pub(crate) fn check_own(&self, op: &'static str, var: Var<'_>) -> Result<()> {
        if std::ptr::eq(var.graph, self) {
            return Ok(());
        }
        let inner = self.inner.borrow();
        let scope = inner.scope.last();
        Err(Error::Foreign {
            op,
            var: var.label(),
            scope: scope.map_or("top", |s| inner.scope_name(*s)).to_string(),
            site: Location::caller().to_string(),
        })
    }
}

/// Ends its scope when dropped.
pub struct ScopeGuard<'g> {
    graph: &'g Graph,
}

impl Drop for ScopeGuard<'_> {
    fn drop(&mut self) {
        self.graph.inner.borrow_mut().scope.pop();
    }
}

/// A value of a graph: what formulas are written with.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) id: NodeId,
}

impl<'g> Var<'g> {
    /// The node's place in the list.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The node behind it.
    pub fn node(self) -> Node {
        self.graph.node(self.id)
    }

    /// The graph it belongs to.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// Its shape.
    pub fn shape(self) -> Shape {
        self.graph.node(self.id).shape
    }

    /// Its name where it has one (inputs, parameters, scalars), else its number: `%7`.
    pub fn label(self) -> String {
        self.graph.inner().label(self.id)
    }

    /// The part of the model that it was recorded in, such as `D/h0`.
    pub fn scope(self) -> String {
        let inner = self.graph.inner();
        inner
            .scope_name(inner.nodes[self.id.index()].scope)
            .to_string()
    }

    #[track_caller]
    pub(crate) fn apply(self, op: impl Into<Op>) -> Var<'g> {
        self.graph.record(op, &[self])
    }

    #[track_caller]
    pub(crate) fn apply2(self, op: impl Into<Op>, other: Var<'g>) -> Var<'g> {
        self.graph.record(op, &[self, other])
    }

    /// An element-wise binary op under NumPy's broadcasting, made explicit in the graph.
    #[track_caller]
    pub(crate) fn broadcast_apply(self, op: impl Into<Op>, other: Var<'g>) -> Var<'g> {
        match self.shape().broadcast(other.shape()) {
            Some(shape) => self
                .broadcast_to(shape)
                .apply2(op, other.broadcast_to(shape)),
            None => self.apply2(op, other),
        }
    }
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.label(), self.shape())
    }
}

impl fmt::Display for Graph {
    /// One line per node: `%7 [100, 1200] = matmul(x, G.h0.w)   # G/h0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for var in self.vars() {
            writeln!(f, "{}", self.line(var.id))?;
        }
        Ok(())
    }
}

/// The number of the random stream called `name`: its FNV-1a hash, so that a new use never
/// shifts the numbers of another one.
pub fn stream_number(name: &str) -> u32 {
    let step = |h: u32, b: u8| (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! { static READS: Cell<usize> = const { Cell::new(0) } }

    pub(super) fn count_read() {
        READS.set(READS.get() + 1);
    }

    #[test]
    fn to_find_a_leaf_again_reads_one_node_however_many_there_are() {
        let g = Graph::new();
        for n in [10, 1000] {
            let names: Vec<String> = (0..n).map(|i| format!("p{i}")).collect();
            let first: Vec<NodeId> = names.iter().map(|name| g.param(name, [2]).id).collect();
            READS.set(0);
            for (name, id) in names.iter().zip(first) {
                assert_eq!(g.param(name, [2]).id, id);
            }
            assert_eq!(READS.get(), n);
        }
    }
}
