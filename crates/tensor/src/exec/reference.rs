//! The f64 reference executor, plain loops, against which all others are tested.

use crate::error::{Error, Result};
use crate::exec::{Feed, check_feeds, check_index, check_ranks};
use crate::graph::{NodeId, Var};
use crate::ops::{Env, Kind};
use crate::plan::Plan;
use crate::store::Store;
use crate::view::View;

/// Runs plans in f64, node by node: fusions and buffers of the plan are ignored.
///
/// Parameters are read from the store as f32, widened, and rounded when they are updated.
#[derive(Default)]
pub struct Reference {
    values: Vec<Option<Vec<f64>>>,
}

impl Reference {
    /// An executor without values.
    pub fn new() -> Reference {
        Reference::default()
    }

    /// The value of a node in the last run; `None` where the plan does not compute it.
    pub fn value(&self, node: NodeId) -> Option<&[f64]> {
        self.values.get(node.index())?.as_deref()
    }

    /// The value under a fetched name.
    pub fn fetch(&self, plan: &Plan, name: &str) -> Option<&[f64]> {
        let fetch = plan.fetches.iter().find(|f| f.name == name)?;
        self.value(fetch.node)
    }

    /// Computes every node with leaves given in f64 by `leaf` (called by name); the store is not
    /// involved.
    ///
    /// # Errors
    /// [`Error::FeedShape`] where a leaf has another number of values than its shape;
    /// [`Error::Index`] for an index outside of its table.
    pub fn evaluate(
        &mut self,
        plan: &Plan,
        env: Env,
        leaf: impl Fn(&str) -> Vec<f64>,
    ) -> Result<()> {
        self.evaluate_again(plan, env, leaf, &Reference::new(), |_| true)
    }

    /// The same, but of the nodes only those that `again` holds for are computed: the others have the values of `base`.
    pub(crate) fn evaluate_again(
        &mut self,
        plan: &Plan,
        env: Env,
        leaf: impl Fn(&str) -> Vec<f64>,
        base: &Reference,
        again: impl Fn(NodeId) -> bool,
    ) -> Result<()> {
        check_ranks(plan, 1)?;
        self.values.clear();
        self.values.resize(plan.nodes().len(), None);
        for i in 0..plan.nodes().len() {
            let id = NodeId(i as u32);
            if !plan.is_live(id) || !again(id) {
                continue;
            }
            let node = plan.nodes()[i];
            let value = if node.op.kind() == Kind::Leaf {
                leaf(&plan.label(id))
            } else {
                let inputs = node.inputs.as_slice().iter();
                let ins: Vec<View<f64>> = inputs
                    .map(|&n| {
                        let value = self.value(n).or_else(|| base.value(n));
                        let shape = plan.nodes()[n.index()].shape;
                        View::new(value.expect("inputs precede their users"), shape)
                    })
                    .collect();
                check_index(&node, &ins)?;
                let mut out = vec![f64::NAN; node.shape.elements()];
                node.op.reference(&ins, &mut out, node.shape, env);
                out
            };
            if value.len() != node.shape.elements() {
                return Err(Error::FeedShape {
                    name: plan.label(id),
                    expected: node.shape,
                    got: format!("{} values", value.len()),
                });
            }
            self.values[i] = Some(value);
        }
        Ok(())
    }

    /// As [`Executor::run`](crate::Executor::run), in f64.
    ///
    /// # Errors
    /// As there; the store is unchanged then.
    pub fn run(&mut self, plan: &Plan, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        check_feeds(plan, feeds)?;
        for state in &plan.states {
            store.position(&state.name, state.shape)?;
        }
        for scalar in &plan.scalars {
            store.control.position(&scalar.name)?;
        }
        let env = Env {
            key: store.control.key,
            counter: store.control.step,
        };
        let widen = |data: &[f32]| data.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        self.evaluate(plan, env, |name| {
            if let Some(feed) = feeds.iter().find(|f| f.name == name) {
                return widen(feed.data);
            }
            match store.get(name) {
                Some(entry) => widen(&entry.data),
                None => vec![f64::from(store.control.get(name).unwrap_or(f32::NAN))],
            }
        })?;
        for &(state, id) in &plan.updates {
            let leaf = &plan.states[state as usize];
            let value = self.value(id).expect("an update's value is live");
            let value: Vec<f32> = value.iter().map(|&x| x as f32).collect();
            store.insert(&leaf.name, leaf.shape, value)?;
        }
        Ok(())
    }
}

impl Var<'_> {
    /// Its value in f64, the leaves by name having these values: for study and for checks, one formula at a time.
    ///
    /// Random draws are those of key 0 at step 0. A leaf that it does not depend on need not be given.
    ///
    /// ```
    /// use ganforge_tensor::Graph;
    /// let g = Graph::new();
    /// let x = g.input("x", [2]);
    /// let y = x.square().sum();
    /// let at = [("x", vec![3.0, 4.0])];
    /// assert_eq!(y.evaluate(&at)?, [25.0]);
    /// assert_eq!(g.grad(y, &[x])?[0].evaluate(&at)?, [6.0, 8.0]);
    /// # Ok::<(), ganforge_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The graph's fault; [`Error::FeedShape`] for a leaf that it depends on and that has another number of values;
    /// [`Error::UnknownFeed`] for a name that no leaf of the graph has.
    pub fn evaluate(self, leaves: &[(&str, Vec<f64>)]) -> Result<Vec<f64>> {
        let known: Vec<String> = self
            .graph
            .vars()
            .filter(|v| v.node().op.kind() == Kind::Leaf)
            .map(Var::label)
            .collect();
        if let Some((name, _)) = leaves.iter().find(|(n, _)| known.iter().all(|k| k != n)) {
            return Err(Error::UnknownFeed {
                name: name.to_string(),
                known: known.join(", "),
            });
        }
        let plan = Plan::of(self.graph).fetch("value", self).compile()?;
        let mut reference = Reference::new();
        reference.evaluate(&plan, Env::default(), |label| {
            let given = leaves.iter().find(|(name, _)| *name == label);
            given.map(|(_, values)| values.clone()).unwrap_or_default()
        })?;
        let value = reference.fetch(&plan, "value").expect("fetched above");
        Ok(value.to_vec())
    }
}
