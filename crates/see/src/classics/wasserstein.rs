//! Two points on the line: the Wasserstein distance tells how far apart they are, the Jensen-Shannon divergence does not.

use std::f64::consts::LN_2;

use ganforge_gan::config::Config;
use ganforge_gan::data::Images;
use ganforge_gan::error::{Error, Result};
use ganforge_gan::{Trainer, init};
use ganforge_plots::{Axis, BLACK, BLUE, Corner, GREEN, GREY, Mark, Panel, Plot, RED, Stroke};

use super::toy::{Look, Seen, config, layers};
use super::{Classic, Options, Outcome, Progress, Table};

/// Two points on the line.
pub struct Wasserstein;

/// Points of each kind in a minibatch: they are all the same.
const BATCH: usize = 16;
/// The clipped critic's parameters are from -CLIP to CLIP: its slope is at most that.
const CLIP: f64 = 0.01;
/// Places between the two points at which the slope of a critic is looked at.
const PLACES: usize = 81;

/// A D, and what is trained with it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// D with the loss of the 2014 paper, G with its minimax loss.
    Minimax,
    /// A linear critic with clipped weights.
    Clipped,
    /// A critic of two hidden layers with a gradient penalty towards 1.
    Penalised,
    /// The same with one towards 0.
    Flattened,
}

impl Kind {
    fn lines(self) -> Vec<String> {
        let small = layers("leaky_relu", 1, &[32, 32], 1, 0.5);
        let (d, more): (_, &[&str]) = match self {
            Kind::Minimax => (small, &["loss.kind = \"mm\"", "optimizer.lr = 0.01"]),
            Kind::Clipped => (
                layers("linear", 1, &[], 1, 0.0),
                &[
                    "loss.kind = \"wgan\"",
                    "optimizer.kind = \"rms_prop\"",
                    "optimizer.lr = 0.00005",
                ],
            ),
            Kind::Penalised | Kind::Flattened => (
                small,
                &[
                    "loss.kind = \"wgan\"",
                    "optimizer.lr = 0.002",
                    "optimizer.beta1 = 0.0",
                    "optimizer.beta2 = 0.9",
                ],
            ),
        };
        let mut lines = vec![
            "data.set = \"gaussian\"".to_string(),
            "noise.dim = 1".to_string(),
            format!("train.batch = {BATCH}"),
            format!("generator.layer = {}", layers("linear", 1, &[], 1, 0.0)),
            format!("discriminator.layer = {d}"),
        ];
        match self {
            Kind::Minimax => {}
            Kind::Clipped => lines.push(format!("discriminator.clip = {CLIP}")),
            Kind::Penalised => lines.push("discriminator.penalty = [\"gp\"]".into()),
            Kind::Flattened => lines
                .push("discriminator.penalty = [{ kind = \"zero-centred\", weight = 0.1 }]".into()),
        }
        lines.extend(more.iter().map(|l| l.to_string()));
        lines
    }

    fn config(self, seed: u64) -> Result<Config> {
        config("wasserstein", seed, &self.lines())
    }
}

/// A D that was trained on data at 0 and samples at t, looked at.
struct Trained {
    /// At 0 and at t.
    ends: Seen,
    /// Its greatest slope between the two points.
    steepest: f64,
}

impl Trained {
    /// What D says at 0, less what it says at t.
    fn difference(&self) -> f64 {
        self.ends.d[0] - self.ends.d[1]
    }

    /// The same over the greatest slope; 0 of a critic that says the same everywhere.
    fn scaled(&self) -> f64 {
        self.difference() / self.steepest.max(1e-12)
    }

    /// The divergence that D's loss stands for: log 2 less half of its two cross-entropies.
    fn jsd(&self) -> f64 {
        let softplus = |a: f64| a.max(0.0) + (-a.abs()).exp().ln_1p();
        LN_2 - (softplus(-self.ends.d[0]) + softplus(self.ends.d[1])) / 2.0
    }
}

fn train(kind: Kind, t: f32, seed: u64, steps: usize) -> Result<Trained> {
    let config = kind.config(seed)?;
    let data = Images::from_values(1, vec![0.0; BATCH]);
    let mut store = init::store(&config, 1, &[])?;
    store.insert("G.out.w", [1, 1], vec![0.0])?;
    store.insert("G.out.b", [1], vec![t])?;
    let alone = |config: &Config, store, steps| {
        let mut trainer = Trainer::alone(config, &data, store, "D")?;
        for _ in 0..steps {
            trainer.step()?;
        }
        Ok::<_, Error>(trainer.store().clone())
    };
    if kind == Kind::Penalised {
        store = alone(&Kind::Flattened.config(seed)?, store, steps / 4)?;
        store.control.step = 0;
    }
    let store = alone(&config, store, steps)?;
    let ends = Look::new(&config, 2)?.at(&store, &[0.0, t])?;
    let (lo, hi) = (f64::from(t.min(0.0)), f64::from(t.max(0.0)));
    let place = |i: usize| (lo + (hi - lo) * i as f64 / (PLACES - 1) as f64) as f32;
    let places: Vec<f32> = (0..PLACES).map(place).collect();
    let along = Look::new(&config, PLACES)?.at(&store, &places)?;
    let steepest = along.slopes.iter().copied().fold(0.0, f64::max);
    Ok(Trained { ends, steepest })
}

const COLUMNS: [&str; 10] = [
    "t",
    "W",
    "clipped",
    "gp",
    "gp, scaled",
    "JSD",
    "D of 2014",
    "pull, clipped",
    "pull, gp",
    "pull, minimax",
];

impl Classic for Wasserstein {
    fn name(&self) -> &'static str {
        "wasserstein"
    }

    fn about(&self) -> &'static str {
        "Two points on the line: WGAN's estimate is their distance, the JSD is log 2 whatever it is"
    }

    fn details(&self) -> &'static str {
        "\
The data are the number 0, the only sample is t. For each t in [-2, 2], against samples that stand still: a linear
critic with weights clipped to 0.01, a critic of 1-32-32-1 units with a gradient penalty of weight 10, and a D of
those units with the loss of the 2014 paper. The table has the exact distance W and what each critic says of the data
less what it says of the sample: clipped, over clip; gp; and gp, scaled, over its greatest slope between the points.
JSD is exact, D of 2014 the divergence that its loss stands for, log 2 less half of its cross-entropies. The pull is
the gradient in t of G's loss: Wasserstein, or minimax.
The penalised critic begins with a fifth of its steps under the penalty zero-centred. On a line, a slope of -1 the
wrong way is a local minimum of the other one: the way to the right slope leads through 0, where that penalty is
highest.
source: Arjovsky et al. 2017, Wasserstein GAN, example 1"
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let ts: Vec<f64> = match options.quick {
            true => vec![-2.0, -0.5, 0.0, 1.0],
            false => (-10..=10).map(|i| f64::from(i) / 5.0).collect(),
        };
        let steps = options.choose([2000, 400, 2000], [600, 400, 600]);
        let total = 3 * ts.len() as u64;
        let mut numbers = Table::new(COLUMNS);
        for (i, &t) in ts.iter().enumerate() {
            let mut at = |j: usize, kind| {
                let trained = train(kind, t as f32, options.seed, steps[j]);
                progress((3 * i + j + 1) as u64, total);
                trained
            };
            let minimax = at(0, Kind::Minimax)?;
            let clipped = at(1, Kind::Clipped)?;
            let penalised = at(2, Kind::Penalised)?;
            numbers.add([
                t,
                t.abs(),
                clipped.difference() / CLIP,
                penalised.difference(),
                penalised.scaled(),
                if t == 0.0 { 0.0 } else { LN_2 },
                minimax.jsd(),
                clipped.ends.pulls[1] / CLIP,
                penalised.ends.pulls[1],
                minimax.ends.pulls[1],
            ]);
        }
        let mut summary = numbers.clone();
        summary.rows.retain(
            |row| matches!(row[0], super::Value::Number(t) if t.fract() == 0.0 || options.quick),
        );
        Ok(Outcome {
            plots: vec![(String::new(), plot(&numbers))],
            numbers,
            summary,
        })
    }
}

fn plot(numbers: &Table) -> Plot {
    let column = |name| numbers.column(name).unwrap_or_default();
    let t = column(COLUMNS[0]);
    let points = |name| {
        let y = column(name);
        t.iter()
            .copied()
            .zip(y)
            .map(|(t, y)| [t, y])
            .collect::<Vec<_>>()
    };
    let dots = |name, colour, label: &str| Mark::dots(points(name), 3.0, colour, label);
    let x = || Axis::new("t, where the sample is; the data are at 0", [-2.1, 2.1]);
    let distances = Panel {
        title: "how far apart: what a trained D says".into(),
        x: x(),
        y: Axis::new("distance, divergence", [-0.1, 3.6]),
        marks: vec![
            Mark::line(
                [[-2.0, 2.0], [0.0, 0.0], [2.0, 2.0]],
                Stroke::Thin,
                BLACK,
                "W = |t|",
            ),
            Mark::line(
                [[-2.0, LN_2], [2.0, LN_2]],
                Stroke::Dotted,
                BLACK,
                "JSD = log 2, but 0 at 0",
            ),
            dots(COLUMNS[2], GREEN, "clipped critic / clip"),
            Mark::line(
                points(COLUMNS[3]),
                Stroke::Dashed,
                GREY,
                "critic with gradient penalty",
            ),
            dots(COLUMNS[4], BLUE, "the same / its slope"),
            dots(COLUMNS[6], RED, "JSD of D's loss"),
        ],
        ..Panel::default()
    };
    let pulls = Panel {
        title: "how G's loss changes with t".into(),
        x: x(),
        y: Axis::new("d loss / d t", [-1.4, 1.9]),
        legend: Corner::UpperLeft,
        marks: vec![
            Mark::line(
                [[-2.0, -1.0], [0.0, -1.0]],
                Stroke::Thin,
                BLACK,
                "slope of |t|",
            ),
            Mark::line([[0.0, 1.0], [2.0, 1.0]], Stroke::Thin, BLACK, ""),
            dots(COLUMNS[7], GREEN, "clipped critic / clip"),
            dots(COLUMNS[8], BLUE, "critic with gradient penalty"),
            dots(COLUMNS[9], RED, "D of 2014, minimax loss"),
        ],
        ..Panel::default()
    };
    Plot {
        panel_size: [460, 400],
        columns: 2,
        panels: vec![distances, pulls],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_critics_tell_the_distance_and_the_divergence_does_not() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let mut told = 0;
        let outcome = Wasserstein.run(&options, &mut |done, _| told = done);
        let numbers = outcome.expect("runs").numbers;
        assert_eq!(told, 12);
        let column = |name| numbers.column(name).expect("there");
        let rows = column("t").into_iter().enumerate();
        for (i, t) in rows.filter(|(_, t)| *t != 0.0) {
            for name in [COLUMNS[2], COLUMNS[4]] {
                let estimate = column(name)[i];
                assert!(
                    (estimate / t.abs() - 1.0).abs() < 0.1,
                    "{name} at {t}: {estimate}"
                );
            }
            // At the penalty's optimum the slope is 1 + |t| / (2 · 10).
            let raw = column(COLUMNS[3])[i];
            let best = t.abs() * (1.0 + t.abs() / 20.0);
            assert!((raw / best - 1.0).abs() < 0.1, "{raw}, {best}");
            let jsd = column(COLUMNS[6])[i];
            assert!((jsd - LN_2).abs() < 0.01, "at {t}: {jsd}");
            let pulls = [COLUMNS[7], COLUMNS[8], COLUMNS[9]].map(|name| column(name)[i]);
            assert!((pulls[0] - t.signum()).abs() < 0.05, "{pulls:?}");
            assert!((pulls[1] - t.signum()).abs() < 0.15, "{pulls:?}");
            assert!(pulls[2].abs() < 0.05, "{pulls:?}");
        }
        let zero = column("t").iter().position(|t| *t == 0.0).expect("there");
        for name in [COLUMNS[2], COLUMNS[4], COLUMNS[6]] {
            assert!(column(name)[zero].abs() < 1e-3, "{name}");
        }
    }
}
