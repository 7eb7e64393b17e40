//! LS-GAN's margin fades as samples come to the data.

use ganforge_gan::Trainer;
use ganforge_gan::config::Config;
use ganforge_gan::data::GAUSSIAN;
use ganforge_gan::error::Result;
use ganforge_gan::monitors::Window;
use ganforge_gan::sampler::Sampler;
use ganforge_plots::{Axis, BLUE, GREEN, GREY, Mark, Panel, Plot, RED, Stroke};

use super::toy::mean;
use super::{Classic, Options, Outcome, Progress, Table};

/// The margin of LS-GAN over a training.
pub struct Margin;

/// The margin per unit of distance.
const TAU: f64 = 0.3;
/// Samples, and data that they are compared with.
const SAMPLES: usize = 4000;

fn setting(seed: u64) -> Result<Config> {
    let options = [
        format!("seed={seed}"),
        "noise={dim=2, distribution=\"normal\"}".into(),
        format!("loss={{kind=\"ls-gan\", tau={TAU}, output=\"softplus\"}}"),
        "train.batch=128".into(),
        "train.k=2".into(),
        "train.reuse_noise=true".into(),
        "optimizer.lr=0.0005".into(),
        "optimizer.lr_decay=1.0".into(),
        "discriminator.optimizer.lr=0.002".into(),
        "discriminator.optimizer.lr_decay=1.0".into(),
    ];
    Ok(Config::preset("fig1")?.with(&options)?)
}

/// The Wasserstein distance of two sets of as many numbers: the mean distance of the i-th smallest from the i-th smallest.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let sorted = |x: &[f32]| {
        let mut x = x.to_vec();
        x.sort_by(f32::total_cmp);
        x
    };
    let (a, b) = (sorted(a), sorted(b));
    let differences = a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs()));
    mean(&differences.collect::<Vec<_>>())
}

/// The mean distance of two independent numbers of the data: 2 sd / √π.
fn pairs_of_data() -> f64 {
    2.0 * GAUSSIAN.mixture().sd / std::f64::consts::PI.sqrt()
}

const COLUMNS: [&str; 4] = ["step", "active", "margin", "W(data, samples)"];

impl Classic for Margin {
    fn name(&self) -> &'static str {
        "margin"
    }

    fn about(&self) -> &'static str {
        "LS-GAN's margin and its active pairs, beside the distance of samples from data, over a training"
    }

    fn details(&self) -> &'static str {
        "\
Data are N(4, 0.5), the nets those of preset fig1, from two normal numbers; loss ls-gan with a margin of 0.3 per unit
of distance, two updates of D per update of G. Recorded over the training: the share of pairs of a real and a
generated number that miss their margin, the mean margin, and the Wasserstein distance of 4,000 samples from 4,000
numbers of the test set. Once samples are distributed as the data, the mean margin is that of independent pairs of
data, 0.3 · 2 sd / √π; it can be a little less where samples are narrower.
source: Qi 2017, Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities, section 3"
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let steps: u64 = options.choose(3000, 600);
        let every: u64 = 20;
        let config = setting(options.seed)?;
        let data = GAUSSIAN.draw(config.seed);
        let test = data.test.to_f32(0..SAMPLES)?;
        let mut trainer = Trainer::new(&config, &data.train)?;
        let mut sampler = Sampler::new(&config)?;
        let mut numbers = Table::new(COLUMNS);
        let mut window = Window::default();
        while trainer.steps() < steps {
            let report = trainer.step()?;
            window.add(&report);
            let step = trainer.steps();
            let is_early = step < every && step.is_power_of_two();
            if !is_early && !step.is_multiple_of(every) {
                continue;
            }
            let names = report.names().map(str::to_string);
            let means: Vec<(String, Option<f64>)> = names.zip(window.means()).collect();
            let of = |name: &str| {
                let found = means.iter().find(|m| m.0 == name);
                found.and_then(|m| m.1).unwrap_or(f64::NAN)
            };
            let samples = sampler.draw(&mut trainer.store().clone(), config.seed, SAMPLES)?;
            let row = [of("active"), of("margin"), distance(&samples, &test)];
            numbers.add([&[step as f64], &row[..]].concat());
            window.clear();
            progress(step, steps);
        }
        let mut summary = Table::new(COLUMNS);
        let last = numbers.rows.len() - 1;
        summary.rows = [0, 3, 5, 6, 8, 12, 20, 36, last]
            .into_iter()
            .filter(|i| *i <= last)
            .map(|i| numbers.rows[i].clone())
            .collect();
        summary.rows.dedup();
        Ok(Outcome {
            plots: vec![(String::new(), plot(&numbers))],
            numbers,
            summary,
        })
    }
}

fn plot(numbers: &Table) -> Plot {
    let column = |name| numbers.column(name).unwrap_or_default();
    let steps: Vec<f64> = column("step").iter().map(|s| s.log10()).collect();
    let end = steps.last().copied().unwrap_or(1.0);
    let line = |name, colour, label: &str| {
        let points = steps.iter().zip(column(name)).map(|(s, y)| [*s, y]);
        Mark::line(points, Stroke::Solid, colour, label)
    };
    let level = |y: f64, label: &str| Mark::line([[0.0, y], [end, y]], Stroke::Dashed, GREY, label);
    let panel = |title: &str, y, marks| Panel {
        title: title.into(),
        x: Axis::powers("steps", [0.0, end]),
        y,
        marks,
        ..Panel::default()
    };
    Plot {
        panel_size: [340, 300],
        columns: 3,
        panels: vec![
            panel(
                "samples come to the data",
                Axis::new("Wasserstein distance", [0.0, 4.6]),
                vec![line(COLUMNS[3], GREEN, "")],
            ),
            panel(
                "the margin fades with them",
                Axis::new("mean margin", [0.0, 1.7]),
                vec![
                    level(TAU * pairs_of_data(), "independent data"),
                    line("margin", BLUE, "pairs of a step"),
                ],
            ),
            panel(
                "pairs that miss their margin",
                Axis::new("share of active pairs", [0.0, 1.15]),
                vec![level(1.0, ""), line("active", RED, "")],
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_a_shift() {
        let x: Vec<f32> = (0..50).map(|i| (7.0 * i as f32).sin()).collect();
        let shifted: Vec<f32> = x.iter().rev().map(|v| v + 2.5).collect();
        assert!((distance(&x, &shifted) - 2.5).abs() < 1e-6);
        assert_eq!(distance(&x, &x), 0.0);
    }

    #[test]
    fn the_margin_fades_and_active_pairs_fall_while_samples_are_far() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let outcome = Margin.run(&options, &mut |_, _| {}).expect("runs");
        let text = outcome.numbers.text();
        let column = |name| outcome.numbers.column(name).expect("there");
        let (active, margin, distance) = (column("active"), column("margin"), column(COLUMNS[3]));
        let (first, last) = (margin[0], *margin.last().expect("rows"));
        assert!(
            (first / TAU - 4.0).abs() < 0.5 && last < 0.3 * first,
            "{text}"
        );
        assert!(
            (0.9..1.6).contains(&(last / (TAU * pairs_of_data()))),
            "{text}"
        );
        let far = active
            .iter()
            .zip(&distance)
            .filter(|(_, d)| **d > 2.0)
            .map(|(a, _)| *a);
        let fewest = far.fold(1.0, f64::min);
        assert!(active[0] > 0.95 && fewest < 0.5, "{text}");
        assert!(*active.last().expect("rows") > fewest + 0.3, "{text}");
        assert!(*distance.last().expect("rows") < 0.5, "{text}");
    }
}
