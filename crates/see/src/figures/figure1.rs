//! Figure 1 of the paper, from its own training run: G learns a one-dimensional Gaussian.
//!
//! Each panel shows p_data (dotted), p_g (solid) and D (dashed) above the axis of x; below it the axis of z, with arrows
//! from z to G(z). The paper's four stages, as they occur in one training run:
//!
//! | panel | the paper | here |
//! |---|---|---|
//! | a | near convergence, D is partly right | the first evaluation at which JSD(p_data, p_g) is below [`NEAR`] |
//! | b | D trained to D* | from there, as many steps of D alone as the training has |
//! | c | G after an update along the gradient of D | from there, [`G_STEPS`] steps of G alone |
//! | d | p_g = p_data, D = 1/2 | the end of the training |

use std::time::Duration;

use ganforge_tensor::Store;

use ganforge_gan::config::{Config, Distribution};
use ganforge_gan::critic::Critic;
use ganforge_gan::data::{GAUSSIAN, Mixture};
use ganforge_gan::error::{Error, Result};
use ganforge_gan::metrics::density::{self, DensityScore, Histogram};
use ganforge_gan::sampler::{Decoder, Sampler};
use ganforge_gan::trainer::Trainer;
use ganforge_plots::{Axis, BLACK, BLUE, GREEN, GREY, Mark, Panel, Plot, Stroke};

/// The divergence, in nats, below which G is near the data: most of p_g overlaps with p_data.
pub const NEAR: f64 = 0.3;
/// Steps of G alone before panel c.
pub const G_STEPS: u64 = 5;

/// Iterations between two frames of the animation.
const FRAME: u64 = 100;
/// Iterations between two looks on the way to the data.
const EVERY: u64 = 5;
/// Samples for a density, and bins over 8 standard deviations.
const SAMPLES: usize = 20_000;
const BINS: usize = 80;
/// Arrows from z to G(z).
const ARROWS: usize = 16;

/// What both networks are like at one moment.
#[derive(Clone, Debug)]
pub struct Look {
    /// Completed iterations.
    pub iteration: u64,
    /// Samples of G.
    pub h: Histogram,
    /// D in the middle of each bin.
    pub d: Vec<f64>,
    /// z and G(z).
    pub arrows: Vec<[f64; 2]>,
    /// Mean D(G(z)) over the bins of the score.
    pub fake: f64,
    /// How far p_g is from p_data, and D from D*.
    pub score: DensityScore,
}

/// A training, looked at.
pub struct Figure1 {
    truth: Mixture,
    /// The four panels.
    pub panels: [Look; 4],
    /// The training from its first iteration to its last.
    pub frames: Vec<Look>,
}

/// Trains as `config` says and looks on; `progress` is told completed and all iterations.
///
/// # Errors
/// A configuration without a Gaussian on the line and one z on [0, 1]; the engine's.
pub fn train(config: &Config, progress: &mut dyn FnMut(u64, u64)) -> Result<Figure1> {
    let mut eye = Eye::new(config)?;
    let data = GAUSSIAN.draw(config.seed);
    let mut trainer = Trainer::new(config, &data.train)?;
    let total = (trainer.steps_per_epoch() * config.train.epochs) as u64;
    let mut frames = vec![eye.look(trainer.store())?];
    let mut near = None;
    while trainer.steps() < total {
        trainer.step()?;
        let step = trainer.steps();
        progress(step, total);
        let is_frame = step.is_multiple_of(FRAME) || step == total;
        if !is_frame && (near.is_some() || !step.is_multiple_of(EVERY)) {
            continue;
        }
        let look = eye.look(trainer.store())?;
        if near.is_none() && look.score.jsd < NEAR {
            near = Some((look.clone(), trainer.store().clone()));
        }
        if is_frame {
            frames.push(look);
        }
    }
    let end = eye.look(trainer.store())?;
    let (a, store) = near.unwrap_or_else(|| (end.clone(), trainer.store().clone()));
    let alone = |store, who, steps| {
        let mut trainer = Trainer::alone(config, &data.train, store, who)?;
        for _ in 0..steps {
            trainer.step()?;
        }
        Ok::<_, Error>(trainer.store().clone())
    };
    let after_d = alone(store, "D", total)?;
    let b = eye.look(&after_d)?;
    let c = eye.look(&alone(after_d, "G", G_STEPS)?)?;
    Ok(Figure1 {
        truth: eye.truth,
        panels: [a, b, c, end],
        frames,
    })
}

/// Looks at stores.
struct Eye {
    truth: Mixture,
    seed: u64,
    sampler: Sampler,
    decoder: Decoder,
    logits: Critic,
}

impl Eye {
    fn new(config: &Config) -> Result<Eye> {
        let is_line = config.data.set == ganforge_gan::config::DataSet::Toy(&GAUSSIAN);
        let noise = &config.noise;
        if !is_line || noise.dim != 1 || noise.distribution != Distribution::UnitUniform {
            return Err(Error::Mismatch(
                "figure 1: expected data.set = \"gaussian\", noise.dim = 1 and noise.distribution \
                 = \"unit-uniform\""
                    .into(),
            ));
        }
        Ok(Eye {
            truth: GAUSSIAN.mixture(),
            seed: config.seed,
            sampler: Sampler::new(config)?,
            decoder: Decoder::new(config)?,
            logits: Critic::new(config)?,
        })
    }

    fn look(&mut self, store: &Store) -> Result<Look> {
        let mut store = store.clone();
        let iteration = store.control.step;
        let samples = self.sampler.draw(&mut store, self.seed, SAMPLES)?;
        let (centre, side) = (self.truth.centres[0], 4.0 * self.truth.sd);
        let h = Histogram::new(&samples, [centre - side, centre + side], BINS);
        let wide = density::histogram(&samples, &self.truth);
        let d = self.logits.probabilities(&mut store, h.centres())?;
        let d_wide = self.logits.probabilities(&mut store, wide.centres())?;
        let z: Vec<f32> = (0..ARROWS)
            .map(|i| (i as f32 + 0.5) / ARROWS as f32)
            .collect();
        let x = self.decoder.decode(&mut store, &z)?;
        let arrows = z.iter().zip(&x).map(|(&z, &x)| [z.into(), x.into()]);
        let fake = wide.shares.iter().zip(&d_wide).map(|(share, d)| share * d);
        Ok(Look {
            iteration,
            fake: fake.sum(),
            arrows: arrows.collect(),
            score: density::score(&wide, &self.truth, &d_wide, SAMPLES),
            h,
            d,
        })
    }
}

impl Figure1 {
    /// The figure.
    pub fn plot(&self) -> Plot {
        let [a, b, c, d] = &self.panels;
        let (jsd, error) = (|l: &Look| l.score.jsd, |l: &Look| l.score.d_error);
        let titles = [
            (
                a,
                format!(
                    "(a) iteration {}, near the data: JSD {:.3}",
                    a.iteration,
                    jsd(a)
                ),
            ),
            (
                b,
                format!(
                    "(b) then D alone: mean |D − D*| {:.2} → {:.2}",
                    error(a),
                    error(b)
                ),
            ),
            (
                c,
                format!(
                    "(c) then G alone: mean D(G(z)) {:.2} → {:.2}",
                    b.fake, c.fake
                ),
            ),
            (
                d,
                format!("(d) iteration {}, the end: JSD {:.3}", d.iteration, jsd(d)),
            ),
        ];
        let panels = titles.into_iter().enumerate();
        let panels = panels.map(|(i, (look, title))| self.panel(look, title, i == 0));
        Plot {
            panel_size: [420, 350],
            columns: 2,
            panels: panels.collect(),
        }
    }

    /// The training as plots, each with the time that it stands.
    pub fn animation(&self) -> Vec<(Plot, Duration)> {
        let last = self.panels[3].iteration;
        let frames = self.frames.iter().map(|look| {
            let title = format!("iteration {}: JSD {:.3}", look.iteration, look.score.jsd);
            let plot = Plot {
                panel_size: [420, 350],
                columns: 1,
                panels: vec![self.panel(look, title, true)],
            };
            let stands = if look.iteration == last { 3000 } else { 100 };
            (plot, Duration::from_millis(stands))
        });
        frames.collect()
    }

    fn panel(&self, look: &Look, title: String, has_names: bool) -> Panel {
        let name = |name: &'static str| if has_names { name } else { "" };
        let [lo, hi] = look.h.range;
        let data = look.h.centres().map(|x| [x, self.truth.density(&[x])]);
        let samples = look.h.centres().zip(look.h.densities());
        let best = samples.filter_map(|(x, q)| {
            let p = self.truth.density(&[x]);
            (p + q > 0.02).then(|| [x, density::optimal_d(p, q)])
        });
        let d = look.h.centres().zip(&look.d).map(|(x, &d)| [x, d]);
        let samples = look.h.centres().zip(look.h.densities());
        let samples = samples.map(|(x, q)| [x, q]);
        let axis = |from, to| Mark::line([from, to], Stroke::Thin, BLACK, "");
        let word = |x: f64, y: f64, text: &str| Mark::Text {
            at: [x, y],
            is_centred: false,
            text: text.into(),
            colour: BLACK,
        };
        let mut marks = vec![
            Mark::line(
                best,
                Stroke::Thin,
                GREY,
                name("D*(x), the best D for this G"),
            ),
            Mark::line(
                data,
                Stroke::Dotted,
                BLACK,
                name("p_data(x), density of the data"),
            ),
            Mark::line(
                samples,
                Stroke::Solid,
                GREEN,
                name("p_g(x), density of G's samples"),
            ),
            Mark::line(d, Stroke::Dashed, BLUE, name("D(x): 1 real, 0 generated")),
            axis([lo, 0.0], [hi, 0.0]),
            axis([lo, Z_AXIS], [hi, Z_AXIS]),
            axis([lo, 0.0], [lo, 1.25]),
            word(hi + 0.06, 0.0, "x = G(z)"),
            word(hi + 0.06, Z_AXIS, "z"),
            word(lo - LEFT, 1.35, "density, D"),
        ];
        let numbers = [(0.0, "0"), (0.5, "½"), (1.0, "1")];
        marks.extend(numbers.map(|(y, text)| word(lo - LEFT, y, text)));
        let arrows = look.arrows.iter().map(|&[z, x]| Mark::Arrow {
            from: [lo + z * (hi - lo), Z_AXIS],
            to: [x.clamp(lo, hi), -0.02],
            colour: GREY,
        });
        marks.extend(arrows);
        Panel {
            title,
            x: Axis::hidden([lo - LEFT, hi + 0.75]),
            y: Axis::hidden([Z_AXIS - 0.05, 1.75]),
            marks,
            ..Panel::default()
        }
    }
}

/// How far the axis of z is below that of x.
const Z_AXIS: f64 = -0.5;
/// Room for the numbers of the upright axis.
const LEFT: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_looked_at_and_drawn_the_same_each_time() {
        let config = Config::preset("fig1").and_then(|c| c.with(&["train.epochs=3"]));
        let config = config.expect("valid"); // 120 iterations
        let mut told = Vec::new();
        let figure = train(&config, &mut |done, total| told.push((done, total))).expect("trained");
        assert_eq!((told.len(), told[119]), (120, (120, 120)));
        let at = |looks: &[Look]| looks.iter().map(|l| l.iteration).collect::<Vec<_>>();
        assert_eq!(at(&figure.frames), [0, 100, 120]);
        let [a, b, c, d] = &figure.panels;
        assert_eq!(b.iteration, a.iteration + 120);
        assert_eq!((c.iteration, d.iteration), (b.iteration + G_STEPS, 120));
        assert!(a.score.jsd < NEAR && figure.frames[0].score.jsd > 0.69);
        assert_eq!(a.h, b.h, "G stands still while D learns");
        assert_eq!(b.d, c.d, "D stands still while G learns");
        assert!(b.score.d_error < a.score.d_error && c.fake > b.fake);
        let svg = figure.plot().svg().expect("drawn");
        // Everything that is drawn is named, and both axes.
        for part in [
            "(a) iteration",
            "(d) iteration 120",
            "p_data(x), density of the data",
            "samples",
            "the best D",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        for part in ["x = G(z)", "\nz\n", "density, D", "½"] {
            assert_eq!(svg.matches(part).count(), 4, "{part}: in each panel");
        }
        assert_eq!(figure.animation().len(), 3);
        let again = train(&config, &mut |_, _| {}).expect("trained");
        assert_eq!(again.plot().svg().expect("drawn"), svg);
    }

    #[test]
    fn other_configurations_are_refused() {
        let ring = Config::preset("ring").expect("a preset");
        let message = train(&ring, &mut |_, _| {})
            .err()
            .expect("refused")
            .to_string();
        assert!(message.contains("data.set = \"gaussian\""), "{message}");
    }
}
