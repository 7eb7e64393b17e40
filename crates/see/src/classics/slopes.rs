//! What each penalty does to the slope of D on the way from generated to real examples.

use ganforge_gan::config::Config;
use ganforge_gan::data::RING;
use ganforge_gan::error::Result;
use ganforge_gan::penalties::PenaltyKind;
use ganforge_gan::sampler::Sampler;
use ganforge_gan::{Trainer, init};
use ganforge_plots::{Axis, BLACK, Corner, GREY, Mark, Panel, Plot, RED, Stroke};

use super::toy::{Look, NEAR_THE_ORIGIN, config, mean, small_ring};
use super::{Classic, Options, Outcome, Progress, Table, Value};

/// Slopes of D under each penalty.
pub struct Slopes;

/// Pairs of a real and a generated point.
const PAIRS: usize = 256;
/// The share of pairs outside of the band, on each side of it.
const OUTSIDE: f64 = 0.1;
const NONE: &str = "none";
const SPECTRAL: &str = "spectral norm";

/// What D is trained with: no penalty, each one of the list with its own weight, spectral norm.
fn games() -> impl Iterator<Item = &'static str> {
    let penalties = PenaltyKind::NAMES.iter().copied();
    [NONE].into_iter().chain(penalties).chain([SPECTRAL])
}

fn setting(seed: u64, game: &str) -> Result<Config> {
    let mut lines = small_ring();
    match game {
        NONE => {}
        SPECTRAL => lines.push("discriminator.norm = \"spectral\"".to_string()),
        penalty => lines.push(format!("discriminator.penalty = [\"{penalty}\"]")),
    }
    Ok(config("slopes", seed, &lines)?.with(&NEAR_THE_ORIGIN)?)
}

const COLUMNS: [&str; 5] = ["penalty", "alpha", "mean slope", "tenth", "ninetieth"];

impl Classic for Slopes {
    fn name(&self) -> &'static str {
        "slopes"
    }

    fn about(&self) -> &'static str {
        "The slope of D between generated and real examples under each penalty and spectral norm"
    }

    fn details(&self) -> &'static str {
        "\
The data are the ring of eight Gaussians, G (2-64-64-2) stands still at its initial parameters, with samples around
the origin. D (2-64-64-1) learns alone, with the non-saturating loss, Adam at 0.001, batch 128, 3,000 steps: without a
penalty, with each penalty of the list at its default weight, and with spectral norm. Then, at alpha x + (1 - alpha)
G(z) of 256 pairs: the norm of D's gradient, its mean over the pairs and the band between the tenth and the ninetieth
of a hundred of them.
source: the penalties' own, in docs/book/src/penalties.md"
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let steps: u64 = options.choose(3000, 300);
        let places: u32 = options.choose(40, 4);
        let total = steps * games().count() as u64;
        let mut numbers = Table::new(COLUMNS);
        for (i, game) in games().enumerate() {
            let config = setting(options.seed, game)?;
            let data = RING.draw(config.seed);
            let store = init::store(&config, 2, &[])?;
            let fake = Sampler::new(&config)?.draw(&mut store.clone(), config.seed, PAIRS)?;
            let real = data.test.to_f32(0..PAIRS)?;
            let mut d = Trainer::alone(&config, &data.train, store, "D")?;
            while d.steps() < steps {
                d.step()?;
                progress(i as u64 * steps + d.steps(), total);
            }
            let mut look = Look::new(&config, PAIRS)?;
            for place in 0..=places {
                let alpha = place as f32 / places as f32;
                let pairs = real.iter().zip(&fake);
                let points = pairs.map(|(x, g)| alpha * x + (1.0 - alpha) * g);
                let points: Vec<f32> = points.collect();
                let mut slopes = look.at(d.store(), &points)?.slopes;
                slopes.sort_by(f64::total_cmp);
                let outside = (OUTSIDE * PAIRS as f64) as usize;
                numbers.add([
                    Value::from(game),
                    f64::from(alpha).into(),
                    mean(&slopes).into(),
                    slopes[outside].into(),
                    slopes[PAIRS - 1 - outside].into(),
                ]);
            }
        }
        let mut summary = Table::new(["penalty", "slope at generated", "halfway", "at real"]);
        for game in games() {
            let curve = curve(&numbers, game, 2);
            let at = [0, curve.len() / 2, curve.len() - 1].map(|i| Value::Number(curve[i][1]));
            summary.add([Value::from(game)].into_iter().chain(at));
        }
        Ok(Outcome {
            plots: vec![(String::new(), plot(&numbers))],
            numbers,
            summary,
        })
    }
}

/// A column of a game over alpha.
fn curve(numbers: &Table, game: &str, column: usize) -> Vec<[f64; 2]> {
    let rows = numbers
        .rows
        .iter()
        .filter(|row| row[0] == Value::from(game));
    let points = rows.filter_map(|row| match (&row[1], &row[column]) {
        (Value::Number(alpha), Value::Number(slope)) => Some([*alpha, *slope]),
        _ => None,
    });
    points.collect()
}

/// The slopes that are drawn, as powers of 10.
const RANGE: [f64; 2] = [-3.0, 2.0];

fn plot(numbers: &Table) -> Plot {
    let panel = |(i, game): (usize, &'static str)| {
        let line = |column, stroke, colour, label: &str| {
            let points = curve(numbers, game, column).into_iter();
            let points = points.map(|[x, y]| [x, y.max(1e-9).log10()]);
            Mark::line(points, stroke, colour, if i == 0 { label } else { "" })
        };
        let beside = |axis: Axis, is_shown: bool, shown: &str| Axis {
            label: if is_shown {
                shown.into()
            } else {
                String::new()
            },
            ..axis
        };
        let y = beside(
            Axis::powers("", RANGE),
            i % COLUMNS_OF_PANELS == 0,
            "norm of D's gradient",
        );
        let is_last = i + COLUMNS_OF_PANELS >= games().count();
        let x = beside(
            Axis::new("", [0.0, 1.0]),
            is_last,
            "alpha: 0 generated, 1 real",
        );
        Panel {
            title: game.into(),
            x,
            y,
            marks: vec![
                Mark::line([[0.0, 0.0], [1.0, 0.0]], Stroke::Thin, BLACK, ""),
                line(3, Stroke::Thin, GREY, "80 % of pairs"),
                line(4, Stroke::Thin, GREY, ""),
                line(2, Stroke::Solid, RED, "mean"),
            ],
            legend: Corner::LowerLeft,
            ..Panel::default()
        }
    };
    Plot {
        panel_size: [300, 250],
        columns: COLUMNS_OF_PANELS,
        panels: games().enumerate().map(panel).collect(),
    }
}

const COLUMNS_OF_PANELS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_do_what_they_say() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let outcome = Slopes.run(&options, &mut |_, _| {}).expect("runs");
        let text = outcome.summary.text();
        let slope = |game: &str, alpha: f64| {
            let curve = curve(&outcome.numbers, game, 2);
            let at = curve.iter().find(|p| (p[0] - alpha).abs() < 1e-6);
            at.unwrap_or_else(|| panic!("{game}\n{text}"))[1]
        };
        for alpha in [0.25, 0.5, 0.75] {
            assert!((0.7..1.3).contains(&slope("gp", alpha)), "{text}");
            assert!(slope("zero-centred", alpha) < 0.5, "{text}");
            assert!(slope(SPECTRAL, alpha) < 1.05, "{text}");
            assert!(slope(NONE, alpha) > 1.5 * slope("gp", alpha), "{text}");
        }
        assert!((0.7..1.3).contains(&slope("dragan", 1.0)), "{text}");
        for flat_at_real in ["r1", "gp-real"] {
            assert!(slope(flat_at_real, 1.0) < 0.2, "{flat_at_real}\n{text}");
        }
        assert!(slope("r2", 0.0) < 0.2, "{text}");
    }
}
