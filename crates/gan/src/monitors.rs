//! Monitors by name: the values that a step reports, and their means between rows of metrics.csv.

use std::sync::Arc;

use crate::config::Config;
use crate::game::{self, MAX_MONITORS};
use crate::optim::{MAX_RATES, Schedule};

/// The names of what the steps of a configuration report.
#[derive(Debug, PartialEq)]
pub(crate) struct Names {
    pub(crate) monitors: Vec<String>,
    pub(crate) rates: Vec<String>,
}

impl Names {
    /// Those of `config`.
    pub(crate) fn of(config: &Config) -> Names {
        Names {
            monitors: game::monitors(config),
            rates: Schedule::of(config).names().to_vec(),
        }
    }
}

/// What a monitor or a rate is called in a sentence: `mean D(x)`, `gradient penalty`.
pub fn title(name: &str) -> String {
    match name {
        "loss_d" => "loss D".into(),
        "loss_g" => "loss G".into(),
        "d_real" => "mean D(x)".into(),
        "d_fake" => "mean D(G(z))".into(),
        "r2" => "R²".into(),
        "lr" => "learning rate".into(),
        _ => name.replace('_', " "),
    }
}

/// What one step was like.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    names: Arc<Names>,
    /// None where the step has no such penalty.
    monitors: [Option<f32>; MAX_MONITORS],
    rates: [f64; MAX_RATES],
}

impl StepReport {
    /// `value` gives a monitor by its name.
    pub(crate) fn new(
        names: &Arc<Names>,
        rates: [f64; MAX_RATES],
        value: impl Fn(&str) -> Option<f32>,
    ) -> StepReport {
        let mut monitors = [None; MAX_MONITORS];
        for (slot, name) in monitors.iter_mut().zip(&names.monitors) {
            *slot = value(name);
        }
        StepReport {
            names: Arc::clone(names),
            monitors,
            rates,
        }
    }

    /// Losses in nats, mean outputs of D, penalties, as [`game::monitors`] lists them, without penalties that the step did not
    /// have.
    pub fn monitors(&self) -> impl Iterator<Item = (&str, f32)> {
        let all = self.names().zip(self.monitors);
        all.filter_map(|(name, value)| Some((name, value?)))
    }

    /// The names of all monitors, as [`game::monitors`] lists them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.monitors.iter().map(String::as_str)
    }

    /// Learning rates and what else the optimisers report, as [`Schedule::names`] lists them.
    pub fn rates(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.names.rates.iter().map(String::as_str);
        names.zip(self.rates)
    }

    /// The monitor or rate called `name`: `loss_d`, `lr`.
    pub fn get(&self, name: &str) -> Option<f64> {
        let monitors = self.monitors().map(|(n, v)| (n, f64::from(v)));
        let mut all = monitors.chain(self.rates());
        all.find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.monitors().all(|(_, value)| value.is_finite())
    }
}

/// Sums of the monitors over some steps, such as those since the last row of metrics.csv.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// By monitor, in the order of the reports; none before the first step.
    pub(crate) sums: Vec<f64>,
    /// By monitor, how many of the steps had it.
    pub(crate) counts: Vec<u64>,
    pub(crate) steps: u64,
}

impl Window {
    /// Adds a step.
    pub fn add(&mut self, report: &StepReport) {
        self.sums.resize(report.names.monitors.len(), 0.0);
        self.counts.resize(report.names.monitors.len(), 0);
        let sums = self.sums.iter_mut().zip(&mut self.counts);
        for ((sum, count), value) in sums.zip(report.monitors) {
            *sum += value.map_or(0.0, f64::from);
            *count += u64::from(value.is_some());
        }
        self.steps += 1;
    }

    /// The mean of each monitor over the steps that had it, none where no step had; empty before the first step.
    pub fn means(&self) -> Vec<Option<f64>> {
        let all = self.sums.iter().zip(&self.counts);
        all.map(|(sum, &n)| (n > 0).then(|| sum / n as f64))
            .collect()
    }

    /// How many steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Begins again.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
        self.counts.fill(0);
        self.steps = 0;
    }
}
