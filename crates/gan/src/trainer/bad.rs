//! Finds the first non-finite value.

use std::path::Path;

use ganforge_tensor::{Keep, NodeId, Op};

use super::Trainer;
use crate::error::{Error, Result};
use crate::game;

impl Trainer {
    /// Repeats the training from `last_good` (or from the start) up to the first step that leaves
    /// something that is not finite, with every value kept, and describes that step's first bad
    /// node: its step, from 0, and the node with its inputs.
    ///
    /// # Errors
    /// A checkpoint that cannot be read; nothing bad found up to where this trainer is.
    pub fn first_bad_node(&self, last_good: Option<&Path>) -> Result<(u64, String)> {
        let all = |step: &game::Step| step.plan(Keep::All);
        let mut replay = Trainer::with_plan(&self.device, &self.config, &self.images, all)?;
        match last_good {
            Some(path) => drop(replay.load(path)?),
            None => drop(replay.load_pretrained()?),
        }
        while replay.steps() < self.steps() {
            let at = replay.steps();
            replay.step()?;
            for index in 0..replay.plan().nodes().len() {
                let node = replay.plan().node_id(index);
                if replay.is_bad(node)? {
                    return Ok((at, replay.plan().describe(node)));
                }
            }
        }
        Err(Error::Mismatch(
            "all values were finite when the steps were repeated: this machine's memory may be faulty"
                .into(),
        ))
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
