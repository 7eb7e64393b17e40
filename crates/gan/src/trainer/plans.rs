//! The plans of steps: one for each set of penalties that a step can have.

use ganforge_tensor::{Graph, Plan};

use super::MakePlan;
use crate::config::Config;
use crate::error::Result;
use crate::penalties::Due;
use crate::ranks::Ranks;
use crate::{game, probe};

/// Something for each set of penalties, made at once, of which one is in use.
pub(super) struct BySet<P> {
    /// The usual one first.
    all: Vec<(Due, P)>,
    at: usize,
}

impl<P> BySet<P> {
    /// What `make` makes of the configurations that steps of `config` are trained with, that of the first step in use.
    pub(super) fn new(config: &Config, make: impl Fn(&Config) -> Result<P>) -> Result<BySet<P>> {
        let sets = Due::sets(&config.discriminator.penalties).into_iter();
        let made = sets.map(|due| Ok((due, make(&config.with_penalties(due))?)));
        let mut sets = BySet {
            all: made.collect::<Result<_>>()?,
            at: 0,
        };
        sets.choose(Due::at(&config.discriminator.penalties, 0));
        Ok(sets)
    }

    /// Takes that of a set in use.
    pub(super) fn choose(&mut self, due: Due) {
        let place = self.all.iter().position(|(of, _)| *of == due);
        self.at = place.expect("each set that a step has is among all of them");
    }

    /// That in use.
    pub(super) fn now(&self) -> &P {
        &self.all[self.at].1
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &P> {
        self.all.iter().map(|(_, made)| made)
    }
}

/// The plans of a step.
pub(super) struct StepPlans {
    /// That which trains.
    pub(super) step: Plan,
    /// Measures a step without taking it.
    pub(super) probe: Plan,
}

impl StepPlans {
    /// Those of the steps of an epoch, for data of width `d`, of the own one of `ranks`.
    pub(super) fn of_epoch(
        config: &Config,
        epoch: usize,
        d: usize,
        ranks: &Ranks,
        make: &MakePlan,
    ) -> Result<BySet<StepPlans>> {
        BySet::new(&config.at_epoch(epoch), |config| {
            let graph = Graph::new();
            let step = game::record(&graph, config, d)?.of_rank(ranks)?;
            Ok(StepPlans {
                step: make(&step)?,
                probe: probe::plan(&step)?,
            })
        })
    }
}

/// The f32 in the buffers of an executor that runs all of `plans`.
pub(super) fn shared_buffers(plans: &[&Plan]) -> u64 {
    let size = |plan: &&Plan, i: usize| plan.buffers.get(i).map_or(0, |&n| n as u64);
    let count = plans.iter().map(|plan| plan.buffers.len()).max();
    let largest = |i| plans.iter().map(|plan| size(plan, i)).max();
    (0..count.unwrap_or(0)).filter_map(largest).sum()
}
