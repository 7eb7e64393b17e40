//! Lazy penalties: terms of D's loss in one training step of several.

use std::ops::Range;

use ganforge_settings::{settings, whole};
use ganforge_tensor::Var;

use super::PenaltyKind;
use crate::config::Config;
use crate::game::MAX_MONITORS;

settings! {
    /// A penalty and how often it is part of D's loss.
    ///
    /// In step t, from 0, D's loss has the term n · penalty if n divides t, and none otherwise: over n steps its mean is that of a
    /// penalty in every step.
    /// source: Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, section 3.1 (R1, n = 16)
    pub struct PenaltyTerm {
        /// The penalty.
        pub kind: PenaltyKind = PenaltyKind::default();
        /// The term is part of D's loss in training steps 0, every, 2·every, ..., where it is multiplied by `every`, and
        /// costs nothing in the others.
        pub every: usize = 1, whole(1, 1000);
    }
}

impl PenaltyTerm {
    /// Whether the step that follows `steps` completed ones has it.
    pub fn is_due(&self, steps: u64) -> bool {
        steps.is_multiple_of(self.every as u64)
    }

    /// How many of these steps have it.
    pub fn count(&self, steps: Range<u64>) -> u64 {
        let before = |step: u64| step.div_ceil(self.every as u64);
        before(steps.end) - before(steps.start)
    }

    /// What `penalty`, its value, adds to D's loss in a step that has it.
    #[track_caller]
    pub(crate) fn counted<'g>(&self, penalty: Var<'g>) -> Var<'g> {
        match self.every {
            1 => penalty,
            n => penalty * n as f64,
        }
    }
}

/// Which of D's penalties a step has, a set of places in [`Network::penalties`](crate::config::Network::penalties).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due(u32);

impl Due {
    /// The penalties of the step that follows `steps` completed ones.
    pub fn at(penalties: &[PenaltyTerm], steps: u64) -> Due {
        Due::of(penalties, |p| p.is_due(steps))
    }

    /// Those of a step that has none but what every step has.
    pub fn usual(penalties: &[PenaltyTerm]) -> Due {
        Due::of(penalties, |p| p.every == 1)
    }

    /// A step with more penalties has more monitors than there may be and is refused when it is recorded.
    fn of(penalties: &[PenaltyTerm], has: impl Fn(&PenaltyTerm) -> bool) -> Due {
        let places = penalties.iter().take(MAX_MONITORS).enumerate();
        Due(places.fold(0, |set, (i, p)| set | u32::from(has(p)) << i))
    }

    /// All sets that steps have, the usual one first.
    ///
    /// The step after the least common multiple of some `every` has their penalties and those whose `every` divides it, and no
    /// step has other sets. n divides a least common multiple if the least common multiple of its greatest common divisors with
    /// the parts is n.
    pub fn sets(penalties: &[PenaltyTerm]) -> Vec<Due> {
        let with = |set: Due, i: usize| {
            let parts = Due(set.0 | 1 << i);
            Due::of(penalties, |p| {
                let shared = |of: &PenaltyTerm| gcd(p.every, of.every);
                let own = parts.of_all(penalties).map(shared);
                own.fold(1, |all, part| all / gcd(all, part) * part) == p.every
            })
        };
        let mut sets = vec![Due::usual(penalties)];
        for i in 0..penalties.len().min(MAX_MONITORS) {
            for set in sets.clone() {
                let more = with(set, i);
                if !sets.contains(&more) {
                    sets.push(more);
                }
            }
        }
        sets
    }

    /// The share of all steps that have these penalties and no others: by inclusion and exclusion, of one in the least common
    /// multiple of their `every` those steps that have more.
    pub fn share(self, penalties: &[PenaltyTerm]) -> f64 {
        let period = self.of_all(penalties).fold(1u128, |all, p| {
            let every = p.every as u128;
            all / u128::from(gcd((all % every) as usize, p.every) as u64) * every
        });
        let sets = Due::sets(penalties).into_iter();
        let more = sets.filter(|set| *set != self && set.0 & self.0 == self.0);
        1.0 / period as f64 - more.map(|set| set.share(penalties)).sum::<f64>()
    }

    fn of_all(self, all: &[PenaltyTerm]) -> impl Iterator<Item = &PenaltyTerm> {
        let has = move |i: usize| self.0 >> i & 1 == 1;
        let places = all.iter().take(MAX_MONITORS).enumerate();
        places.filter(move |(i, _)| has(*i)).map(|(_, p)| p)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

impl Config {
    /// What a step with these penalties is trained with: without the others.
    pub fn with_penalties(&self, due: Due) -> Config {
        let mut config = self.clone();
        let all = &self.discriminator.penalties;
        config.discriminator.penalties = due.of_all(all).cloned().collect();
        config
    }

    /// What is trained with these penalties in every step, and never with another: all steps do the work of one with them.
    pub fn always_with(&self, due: Due) -> Config {
        let mut config = self.with_penalties(due);
        let penalties = config.discriminator.penalties.iter_mut();
        penalties.for_each(|p| p.every = 1);
        config
    }

    /// Whether steps differ in what D's loss has.
    pub fn has_lazy_penalties(&self) -> bool {
        self.discriminator.penalties.iter().any(|p| p.every > 1)
    }

    /// How many steps come before the next one with a penalty that not every step has, after `steps` completed ones.
    pub(crate) fn steps_to_lazy_penalty(&self, steps: u64) -> u64 {
        let lazy = self.discriminator.penalties.iter().filter(|p| p.every > 1);
        let next = lazy.map(|p| (p.every as u64 - steps % p.every as u64) % p.every as u64);
        next.min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(every: &[usize]) -> Vec<PenaltyTerm> {
        let term = |&every| PenaltyTerm {
            every,
            ..PenaltyTerm::default()
        };
        every.iter().map(term).collect()
    }

    #[test]
    fn the_sets_are_those_that_steps_have_and_as_often() {
        let lists: [&[usize]; 8] = [
            &[],
            &[1, 1],
            &[16],
            &[2, 3],
            &[1, 2, 4],
            &[4, 6, 9],
            &[6, 10, 15],
            &[5, 5, 7, 1],
        ];
        for every in lists {
            let terms = terms(every);
            let period = 1260 * 2;
            let mut counts = Vec::new();
            for step in 0..period {
                let due = Due::at(&terms, step);
                match counts.iter_mut().find(|(of, _)| *of == due) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((due, 1)),
                }
            }
            let sets = Due::sets(&terms);
            assert_eq!(sets[0], Due::usual(&terms), "{every:?}");
            assert_eq!(sets.len(), counts.len(), "{every:?}");
            let shares = counts.iter().map(|(due, count)| {
                assert!(sets.contains(due), "{every:?}: {due:?}");
                let share = *count as f64 / period as f64;
                let got = due.share(&terms);
                let of_period = every.iter().all(|n| period % *n as u64 == 0);
                assert!(
                    !of_period || (got - share).abs() < 1e-12,
                    "{every:?}: {got}"
                );
                got
            });
            assert!((shares.sum::<f64>() - 1.0).abs() < 1e-12, "{every:?}");
        }
    }

    #[test]
    fn steps_are_counted_and_waited_for() {
        let mut config = Config::preset("ring").expect("a preset");
        config.discriminator.penalties = terms(&[3, 1, 7]);
        for from in 0..30 {
            let next = (from..).find(|step| step % 3 == 0 || step % 7 == 0);
            let waits = config.steps_to_lazy_penalty(from);
            assert_eq!(Some(from + waits), next);
            for to in from..60 {
                let has = (from..to).filter(|step| step % 7 == 0).count();
                let count = config.discriminator.penalties[2].count(from..to);
                assert_eq!(count, has as u64, "{from}..{to}");
            }
        }
        config.discriminator.penalties = terms(&[1]);
        assert_eq!(config.steps_to_lazy_penalty(5), u64::MAX);
        assert!(!config.has_lazy_penalties());
    }
}
