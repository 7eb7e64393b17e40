//! Finds the first non-finite value.

use std::path::Path;

use ganforge_tensor::{Keep, NodeId, Op};

use super::Trainer;
use crate::error::{Error, Result};
use crate::game;

impl Trainer {
    /// Repeats the training from `last_good` (or from the start) up to the first step that leaves
    /// something that is not finite, with every value kept, and describes that step's first bad
    /// node: its step, from 0, and the node with its inputs. Of several ranks rank 0 alone needs `last_good`.
    ///
    /// # Errors
    /// A checkpoint that cannot be read; nothing bad found up to where this trainer is.
    pub fn first_bad_node(&self, last_good: Option<&Path>) -> Result<(u64, String)> {
        let made = self.replay(last_good);
        // All of them or none: the others would wait for one that cannot.
        let is_hindered = self.ranks.any(made.is_err())?;
        let mut replay = made?;
        if is_hindered {
            return Err(Error::Mismatch("another rank cannot repeat them".into()));
        }
        replay.share()?;
        while replay.steps() < self.steps() {
            let at = replay.steps();
            replay.step()?;
            if let Some(node) = replay.bad_node()? {
                return Ok((at, replay.plan().describe(node)));
            }
        }
        Err(Error::Mismatch(
            "all values were finite when the steps were repeated: this machine's memory may be faulty"
                .into(),
        ))
    }

    /// A trainer that keeps every value, at `last_good` or at the start; of several ranks rank 0 alone is there.
    fn replay(&self, last_good: Option<&Path>) -> Result<Trainer> {
        let all = |step: &game::Step| step.plan(Keep::All);
        let (ranks, device) = (&self.ranks, &self.device);
        let mut replay = Trainer::new_with(ranks, device, &self.config, &self.images, all)?;
        match last_good {
            Some(path) => drop(replay.load(path)?),
            None if self.ranks.is_first() => drop(replay.load_pretrained()?),
            None => {}
        }
        Ok(replay)
    }

    /// The first node of the last step whose value is not finite, on any rank: the ranks' plans have the same nodes.
    fn bad_node(&self) -> Result<Option<NodeId>> {
        let plan = self.plan();
        let mut first = plan.nodes().len();
        for index in 0..plan.nodes().len() {
            if self.is_bad(plan.node_id(index))? {
                first = index;
                break;
            }
        }
        let of_all = self.ranks.each(first as f32)?.into_iter();
        let first = of_all.map(|index| index as usize).min();
        let is_one = |&index: &usize| index < plan.nodes().len();
        Ok(first.filter(is_one).map(|index| plan.node_id(index)))
    }

    fn is_bad(&self, node: NodeId) -> Result<bool> {
        let op = self.plan().nodes()[node.index()].op;
        if matches!(op, Op::Param(_)) {
            return Ok(false);
        }
        let value = self.value(node)?;
        Ok(value.is_some_and(|v| v.iter().any(|x| !x.is_finite())))
    }
}
