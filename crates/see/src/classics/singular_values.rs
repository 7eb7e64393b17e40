//! What spectral normalisation does to the singular values of D's layers, and how good its estimate is.

use ganforge_gan::Trainer;
use ganforge_gan::config::Config;
use ganforge_gan::data::RING;
use ganforge_gan::error::{Error, Result};
use ganforge_plots::{Axis, BLACK, Corner, GREY, Mark, Panel, Plot, Stroke};
use ganforge_tensor::{Entry, Store};

use super::toy::{COLOURS, config, norm, small_ring};
use super::{Classic, Options, Outcome, Progress, Table, Value};

/// Singular values over a training, with and without spectral normalisation.
pub struct SingularValues;

/// D's layers with weights.
const LAYERS: [&str; 3] = ["h0", "h1", "out"];
/// Iterations that find a singular value, at most.
const MOST: usize = 20_000;

/// Errors of estimates below this, which f32 makes as well, are drawn at it.
const LEAST: f64 = 1e-8;

fn setting(seed: u64, is_normalised: bool) -> Result<Config> {
    let mut lines = small_ring();
    if is_normalised {
        lines.push("discriminator.norm = \"spectral\"".to_string());
    }
    config("singular-values", seed, &lines)
}

/// A matrix [rows, columns] in f64.
struct Matrix {
    values: Vec<f64>,
    columns: usize,
}

impl Matrix {
    fn of(entry: &Entry) -> Matrix {
        Matrix {
            values: entry.data.iter().map(|&v| v.into()).collect(),
            columns: entry.shape.dims().last().copied().unwrap_or(1),
        }
    }

    /// W v
    fn times(&self, v: &[f64]) -> Vec<f64> {
        let row = |row: &[f64]| row.iter().zip(v).map(|(w, v)| w * v).sum();
        self.values.chunks(self.columns).map(row).collect()
    }

    /// Wᵀ u
    fn transposed_times(&self, u: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns];
        for (row, u) in self.values.chunks(self.columns).zip(u) {
            sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += w * u);
        }
        sums
    }

    /// A step of the power iteration: the next u, and uᵀ W v for the v between.
    fn iterate(&self, u: &[f64]) -> (Vec<f64>, f64) {
        let v = unit(self.transposed_times(u));
        let next = self.times(&v);
        let sigma = norm(&next);
        (unit(next), sigma)
    }

    /// The largest singular value and its vector u: the power iteration, until it stands still.
    fn largest(&self) -> (f64, Vec<f64>) {
        // Of all directions: a start that is orthogonal to the first singular vector would find another one.
        let rows = self.values.len() / self.columns.max(1);
        let mut u = unit((0..rows).map(|i| 1.0 + (i as f64).sin() / 2.0).collect());
        let (mut sigma, mut still) = (0.0, 0);
        for _ in 0..MOST {
            let (next, found) = self.iterate(&u);
            still = if (found - sigma).abs() <= 1e-14 * found {
                still + 1
            } else {
                0
            };
            (u, sigma) = (next, found);
            if still == 10 {
                break;
            }
        }
        (sigma, u)
    }

    /// The same matrix without the direction u: (1 - u uᵀ) W.
    fn without(&self, u: &[f64]) -> Matrix {
        let along = self.transposed_times(u);
        let rows = self.values.chunks(self.columns).zip(u);
        let rest = rows.flat_map(|(row, u)| row.iter().zip(&along).map(move |(w, a)| w - u * a));
        Matrix {
            values: rest.collect(),
            columns: self.columns,
        }
    }
}

fn unit(mut x: Vec<f64>) -> Vec<f64> {
    let length = norm(&x) + 1e-300;
    x.iter_mut().for_each(|v| *v /= length);
    x
}

/// The two largest singular values of a layer of D and, where it has a u, what one power iteration from there estimates:
/// what the next forward pass divides by.
fn values(store: &Store, layer: &str) -> Result<([f64; 2], Option<f64>)> {
    let missing = |name: &str| Error::Mismatch(format!("there is no tensor {name}"));
    let name = format!("D.{layer}.w");
    let w = Matrix::of(store.get(&name).ok_or_else(|| missing(&name))?);
    let (sigma, u) = w.largest();
    let second = w.without(&u).largest().0;
    let u = store.get(&format!("D.{layer}.u"));
    let u = u.map(|u| u.data.iter().map(|&v| v.into()).collect::<Vec<f64>>());
    Ok(([sigma, second], u.map(|u| w.iterate(&u).1)))
}

const COLUMNS: [&str; 7] = [
    "D",
    "layer",
    "step",
    "sigma",
    "estimate",
    "sigma in use",
    "second sigma",
];
const WITH: &str = "with spectral norm";
const WITHOUT: &str = "without";

impl Classic for SingularValues {
    fn name(&self) -> &'static str {
        "singular-values"
    }

    fn about(&self) -> &'static str {
        "The largest singular value of each layer of D over a training, with and without spectral norm"
    }

    fn details(&self) -> &'static str {
        "\
Two GANs on the ring of eight Gaussians, G 2-64-64-2, D 2-64-64-1, non-saturating loss, Adam at 0.001, batch 128: one
with spectral norm on all layers of D, one without. Over the training: sigma, the largest singular value of each
layer's stored weights, by power iteration in f64 until it stands still; the estimate that one iteration from the
stored vector gives; sigma in use, of the weights over that estimate; and the second largest singular value.
source: Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, section 2.1 and algorithm 1"
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let (steps, every) = options.choose((6000, 50), (400, 20));
        let mut numbers = Table::new(COLUMNS);
        for (i, name) in [WITHOUT, WITH].into_iter().enumerate() {
            let config = setting(options.seed, name == WITH)?;
            let data = RING.draw(config.seed);
            let mut trainer = Trainer::new(&config, &data.train)?;
            loop {
                let step = trainer.steps();
                if step.is_multiple_of(every) {
                    for layer in LAYERS {
                        let ([sigma, second], estimate) = values(trainer.store(), layer)?;
                        numbers.add([
                            Value::from(name),
                            layer.into(),
                            (step as f64).into(),
                            sigma.into(),
                            estimate.unwrap_or(f64::NAN).into(),
                            (sigma / estimate.unwrap_or(1.0)).into(),
                            second.into(),
                        ]);
                    }
                    progress(i as u64 * steps + step, 2 * steps);
                }
                if step == steps {
                    break;
                }
                trainer.step()?;
            }
        }
        let mut summary = numbers.clone();
        let shown = [0.0, 100.0, 400.0, steps as f64].map(Value::Number);
        summary.rows.retain(|row| shown.contains(&row[2]));
        Ok(Outcome {
            plots: vec![(String::new(), plot(&numbers))],
            numbers,
            summary,
        })
    }
}

/// A column of one layer of one D over the steps.
fn curve(numbers: &Table, of: &str, layer: &str, column: usize) -> Vec<[f64; 2]> {
    let is_meant = |row: &&Vec<Value>| row[0] == Value::from(of) && row[1] == Value::from(layer);
    let rows = numbers.rows.iter().filter(is_meant);
    let points = rows.filter_map(|row| match (&row[2], &row[column]) {
        (Value::Number(step), Value::Number(y)) => Some([*step, *y]),
        _ => None,
    });
    points.collect()
}

fn plot(numbers: &Table) -> Plot {
    let end = numbers.column("step").unwrap_or_default();
    let end = end.into_iter().fold(1.0, f64::max);
    let panel = |title: &str, y, legend, marks| Panel {
        title: title.into(),
        x: Axis {
            ticks: 4,
            ..Axis::new("steps", [0.0, 1.06 * end])
        },
        y,
        marks,
        legend,
        ..Panel::default()
    };
    let lines = |of: &'static str, column, change: fn(f64) -> f64, names: bool| {
        let line = move |(layer, colour): (&str, _)| {
            let points = curve(numbers, of, layer, column);
            let points = points.into_iter().map(|[x, y]| [x, change(y)]);
            let label = if names {
                format!("D.{layer}")
            } else {
                String::new()
            };
            Mark::line(points, Stroke::Solid, colour, &label)
        };
        LAYERS
            .into_iter()
            .zip(COLOURS)
            .map(line)
            .collect::<Vec<_>>()
    };
    let mut raw = lines(WITHOUT, 3, f64::log10, true);
    let per_layer = LAYERS.map(|layer| curve(numbers, WITHOUT, layer, 3));
    let product = per_layer[0].iter().enumerate().map(|(i, [step, _])| {
        let all = per_layer.iter().filter_map(|c| c.get(i)).map(|p| p[1]);
        [*step, all.product::<f64>().log10()]
    });
    raw.push(Mark::line(product, Stroke::Dashed, GREY, "their product"));
    let mut used = lines(WITH, 5, |y| y, false);
    used.push(Mark::line(
        [[0.0, 1.0], [1.06 * end, 1.0]],
        Stroke::Thin,
        BLACK,
        "",
    ));
    Plot {
        panel_size: [350, 320],
        columns: 3,
        panels: vec![
            panel(
                "without spectral norm",
                Axis::powers("largest singular value", [0.0, 4.0]),
                Corner::UpperLeft,
                raw,
            ),
            panel(
                "with it: what a layer uses",
                Axis::new("largest singular value", [0.98, 1.12]),
                Corner::UpperRight,
                used,
            ),
            panel(
                "what the estimate misses",
                Axis::powers("sigma / estimate − 1", [LEAST.log10(), 0.0]),
                Corner::UpperRight,
                lines(WITH, 5, |y| (y - 1.0).max(LEAST).log10(), false),
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_iteration_finds_the_largest_singular_value() {
        // A rotation times 3, 2 and 0.5 on the diagonal.
        let (c, s) = (0.6, 0.8);
        let values = vec![3.0 * c, -2.0 * s, 0.0, 3.0 * s, 2.0 * c, 0.0, 0.0, 0.0, 0.5];
        let w = Matrix { values, columns: 3 };
        let (sigma, u) = w.largest();
        assert!((sigma - 3.0).abs() < 1e-12);
        assert!((w.without(&u).largest().0 - 2.0).abs() < 1e-7);
        let one = Matrix {
            values: vec![0.3, -0.4],
            columns: 1,
        };
        assert!((one.largest().0 - 0.5).abs() < 1e-12);
        let zero = Matrix {
            values: vec![0.0; 4],
            columns: 2,
        };
        assert_eq!(zero.largest().0, 0.0);
    }

    #[test]
    fn with_spectral_norm_layers_have_the_singular_value_1_and_without_it_grows() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let outcome = SingularValues.run(&options, &mut |_, _| {}).expect("runs");
        let text = outcome.numbers.text();
        for layer in LAYERS {
            let used = curve(&outcome.numbers, WITH, layer, 5);
            // The first iterations begin at random vectors, and an estimate is never above the value itself.
            let late = used.iter().filter(|p| p[0] >= 100.0);
            assert!(late.clone().count() > 10, "{text}");
            assert!(
                late.clone().all(|p| (1.0 - 1e-6..1.1).contains(&p[1])),
                "{text}"
            );
        }
        let product = |end: bool| -> f64 {
            let of = |layer: &str| {
                let curve = curve(&outcome.numbers, WITHOUT, layer, 3);
                if end {
                    curve[curve.len() - 1][1]
                } else {
                    curve[0][1]
                }
            };
            LAYERS.iter().map(|layer| of(layer)).product()
        };
        assert!(product(true) > 1.2 * product(false), "{text}");
    }
}
