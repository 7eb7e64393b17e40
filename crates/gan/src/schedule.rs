//! Learning rate and momentum as functions of the training progress, in f64.
//!
//! ```
//! use ganforge_gan::{config::Config, schedule};
//! let c = Config::preset("mnist-2014").unwrap();
//! assert_eq!(schedule::lr(&c.optimizer, 0), 0.1);
//! assert_eq!(schedule::epoch_of(500, 500), 2); // the update after the 500th belongs to epoch 2
//! ```

use crate::config::{Momentum, Optimizer};

/// Momentum in an epoch, counted from 1.
///
/// mu = start + (end - start) · clip((epoch - first) / (last - first), 0, 1)
/// source: released code of Goodfellow et al. 2014 (start 0.5, end 0.7, first 1, last 250)
pub fn momentum(schedule: &Momentum, epoch: usize) -> f64 {
    if epoch <= schedule.first {
        return schedule.start;
    }
    if epoch >= schedule.last {
        return schedule.end;
    }
    let part = (epoch - schedule.first) as f64 / (schedule.last - schedule.first) as f64;
    schedule.start + (schedule.end - schedule.start) * part
}

/// Learning rate of the update that follows `updates` completed ones.
///
/// lr = max(lr_min, lr_0 / lr_decay^updates · lr_gamma^⌊updates / lr_step⌋)
/// source: released code of Goodfellow et al. 2014 (decay 1.000004, minimum 1e-6)
pub fn lr(optimizer: &Optimizer, updates: u64) -> f64 {
    let decayed = optimizer.lr / optimizer.lr_decay.powf(updates as f64);
    let drops = optimizer
        .lr_step
        .and_then(|step| updates.checked_div(step as u64));
    let factor = drops.map_or(1.0, |drops| optimizer.lr_gamma.powf(drops as f64));
    (decayed * factor).max(optimizer.lr_min)
}

/// Decay of a moving average in the update that follows `updates` completed ones: min(decay, (1 + t) / (10 + t)).
///
/// The ramp lets the average forget the untrained parameters it begins with.
pub fn average(decay: f64, updates: u64) -> f64 {
    let t = updates as f64;
    decay.min((1.0 + t) / (10.0 + t))
}

/// Full batches in one pass over the data; what is left over waits for the next shuffle.
pub fn steps_per_epoch(examples: usize, batch: usize) -> usize {
    examples.checked_div(batch).unwrap_or(0)
}

/// The epoch, counted from 1, to which the update after `updates` completed ones belongs.
pub fn epoch_of(updates: u64, steps_per_epoch: usize) -> usize {
    let complete = updates.checked_div(steps_per_epoch as u64).unwrap_or(0);
    usize::try_from(complete).map_or(usize::MAX, |e| e.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Rule};

    fn paper() -> (Optimizer, Momentum) {
        let optimizer = Config::preset("mnist-2014").unwrap().optimizer;
        match optimizer.rule {
            Rule::Sgd(sgd) => (optimizer, sgd.momentum),
            other => panic!("the paper trains with momentum, not {}", other.name()),
        }
    }

    #[test]
    fn momentum_runs_from_start_to_end_and_stays() {
        let (_, m) = paper();
        assert_eq!(momentum(&m, 0), 0.5);
        assert_eq!(momentum(&m, 1), 0.5);
        assert!((momentum(&m, 125) - 0.5995984).abs() < 5e-8);
        assert_eq!(momentum(&m, 250), 0.7);
        assert_eq!(momentum(&m, 1000), 0.7);
        for epoch in 1..300 {
            let clip = ((epoch as f64 - 1.0) / 249.0).clamp(0.0, 1.0);
            assert!((momentum(&m, epoch) - (0.5 + 0.2 * clip)).abs() < 1e-15);
        }
    }

    #[test]
    fn averages_forget_their_beginning_first() {
        assert_eq!(average(0.999, 0), 0.1);
        assert_eq!(average(0.999, 8), 0.5);
        assert_eq!(average(0.999, 8_991), 0.999);
        assert!(average(0.999, 8_000) < 0.999);
        assert_eq!(average(0.999, u64::MAX), 0.999);
    }

    #[test]
    fn lr_decays_per_update_down_to_its_minimum() {
        let (o, _) = paper();
        assert_eq!(lr(&o, 0), 0.1);
        assert!((lr(&o, 500) - 0.0998002).abs() < 5e-8);
        assert!((lr(&o, 173_287) - 0.05).abs() < 1e-7);
        assert!(lr(&o, 173_287) > 0.05 && lr(&o, 173_288) < 0.05);
        for (epochs, factor) in [(10, 0.98020), (50, 0.90484), (100, 0.81873), (250, 0.60653)] {
            assert!((lr(&o, epochs * 500) / 0.1 - factor).abs() < 5e-6);
        }
        assert!(lr(&o, 2_878_237) > 1e-6);
        assert_eq!(lr(&o, 2_878_238), 1e-6);
        assert_eq!(lr(&o, u64::MAX), 1e-6);
    }

    #[test]
    fn lr_drops_after_each_so_many_updates() {
        let options = [
            "optimizer.lr=0.001",
            "optimizer.lr_decay=1",
            "optimizer.lr_step=15000",
        ];
        let at = |options: &[&str], updates| {
            let config = Config::preset("ring").and_then(|c| c.with(options));
            lr(&config.expect("valid").optimizer, updates)
        };
        assert_eq!([0, 14_999].map(|n| at(&options, n)), [0.001; 2]);
        assert_eq!([15_000, 29_999].map(|n| at(&options, n)), [0.001 * 0.1; 2]);
        let half = [&options[..], &["optimizer.lr_gamma=0.5"]].concat();
        assert_eq!(at(&half, 45_000), 0.001 / 8.0);
        let alone = Config::preset("ring").and_then(|c| c.with(&["optimizer.lr_gamma=0.5"]));
        let error = alone.expect_err("no steps").to_string();
        assert!(error.contains("only with lr_step"), "{error}");
    }

    #[test]
    fn epochs_count_full_batches() {
        assert_eq!(steps_per_epoch(50_000, 100), 500);
        assert_eq!(steps_per_epoch(50_099, 100), 500);
        assert_eq!(steps_per_epoch(99, 100), 0);
        assert_eq!(steps_per_epoch(99, 0), 0);
        assert_eq!((epoch_of(0, 500), epoch_of(499, 500)), (1, 1));
        assert_eq!((epoch_of(500, 500), epoch_of(1000, 500)), (2, 3));
    }
}
