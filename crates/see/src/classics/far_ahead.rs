//! What G is told when D is far ahead: the gradients of its losses while D learns alone.

use ganforge_gan::config::Config;
use ganforge_gan::data::RING;
use ganforge_gan::error::Result;
use ganforge_gan::losses::Judged;
use ganforge_gan::nn::{Build, flat};
use ganforge_gan::{Trainer, game, init};
use ganforge_plots::{Axis, Corner, Mark, Panel, Plot, Stroke};
use ganforge_tensor::{Cpu, Executor, Graph, Plan, Store};

use super::toy::{COLOURS, NEAR_THE_ORIGIN, config, mean, norm, small_ring};
use super::{Classic, Options, Outcome, Progress, Table, Value};

/// Gradients of G while D learns alone.
pub struct FarAhead;

/// Samples that the gradients are of.
const ROWS: usize = 256;

/// A loss by a name of its own, and what is trained with it.
const GAMES: [(&str, &[&str]); 6] = [
    ("mm", &["loss.kind = \"mm\""]),
    ("ns", &["loss.kind = \"ns\""]),
    ("ls", &["loss.kind = \"ls\""]),
    (
        "wgan, clipped",
        &["loss.kind = \"wgan\"", "discriminator.clip = 0.1"],
    ),
    (
        "wgan, gp",
        &["loss.kind = \"wgan\"", "discriminator.penalty = [\"gp\"]"],
    ),
    (
        "ls-gan",
        &["loss = { kind = \"ls-gan\", tau = 1.0, output = \"softplus\" }"],
    ),
];

fn setting(seed: u64, of_loss: &[&str]) -> Result<Config> {
    let of_loss = of_loss.iter().map(|line| line.to_string());
    let lines: Vec<String> = of_loss.chain(small_ring()).collect();
    Ok(config("far-ahead", seed, &lines)?.with(&NEAR_THE_ORIGIN)?)
}

/// G's loss at fixed noise and its gradients.
struct Pull {
    plan: Plan,
    cpu: Cpu,
    params: usize,
}

/// What they are at one moment.
struct Pulled {
    /// D's mean output, as the loss shows it.
    shown: f64,
    /// The norm of the gradient with respect to all of G's parameters.
    of_params: f64,
    /// The mean norm of the gradient of a sample's own loss with respect to the sample.
    of_samples: f64,
}

impl Pull {
    fn new(config: &Config) -> Result<Pull> {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        let z = game::noise(&graph, config, "far-ahead", ROWS);
        let x = flat(build.eval("G", &config.generator, z));
        let specs = build.tensors().params("G");
        let params: Vec<_> = specs.map(|s| build.value(s)).collect();
        let output = flat(build.eval("D", &config.discriminator, x));
        let loss = &config.loss.kind;
        let d = loss.head(output, x, None);
        let judged = Judged {
            x,
            output,
            ..Judged::of(d)
        };
        let wrt: Vec<_> = [x].into_iter().chain(params).collect();
        let gradients = graph.grad(loss.g(&judged), &wrt)?;
        let mut plan = Plan::of(&graph).fetch("shown", loss.shown(d).mean());
        for (i, gradient) in gradients.iter().enumerate() {
            plan = plan.fetch(&format!("gradient {i}"), *gradient);
        }
        let plan = plan.compile()?;
        Ok(Pull {
            cpu: Cpu::new(&plan),
            plan,
            params: wrt.len() - 1,
        })
    }

    fn of(&mut self, store: &Store) -> Result<Pulled> {
        let mut store = store.clone();
        store.control.step = 0; // the same noise each time
        self.cpu.run(&self.plan, &mut store, &[])?;
        let fetch = |name: &str| -> Vec<f64> {
            let values = self.cpu.fetch(&self.plan, &store, name);
            let values = values.unwrap_or_default().iter();
            values.map(|&v| v.into()).collect()
        };
        let norms = (1..=self.params).map(|i| norm(&fetch(&format!("gradient {i}"))));
        let of_samples = fetch("gradient 0");
        let of_samples = of_samples.chunks(2).map(|row| ROWS as f64 * norm(row));
        Ok(Pulled {
            shown: fetch("shown")[0],
            of_params: norm(&norms.collect::<Vec<_>>()),
            of_samples: mean(&of_samples.collect::<Vec<_>>()),
        })
    }
}

const COLUMNS: [&str; 5] = [
    "loss",
    "steps of D",
    "D(G(z))",
    "gradient with respect to G's parameters",
    "gradient with respect to a sample",
];

impl Classic for FarAhead {
    fn name(&self) -> &'static str {
        "far-ahead"
    }

    fn about(&self) -> &'static str {
        "What G is told by each loss while D gets further and further ahead"
    }

    fn details(&self) -> &'static str {
        "\
G (2-64-64-2) stands still at its initial parameters, where its samples lie around the origin and do not overlap with
the data, the ring of eight Gaussians. D (2-64-64-1) learns alone by Adam at a rate of 0.001, batch 128. After 0, 1,
2, 4, ... of its steps: the norm of the gradient of G's loss with respect to all of G's parameters, and the mean over
256 samples of the norm of that of a sample's own loss with respect to the sample. Games: mm, ns, ls, wgan with
parameters clipped to 0.1, wgan with a gradient penalty, and ls-gan with tau = 1.
source: Goodfellow et al. 2014, section 3; Arjovsky and Bottou 2017, Towards Principled Methods for Training
Generative Adversarial Networks, figures 2 and 3"
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let doublings = options.choose(13, 10);
        let moments: Vec<u64> = (0..doublings).map(|i| 1 << i).collect();
        let last = moments.last().copied().unwrap_or(0);
        let total = last * GAMES.len() as u64;
        let mut numbers = Table::new(COLUMNS);
        for (i, (name, of_loss)) in GAMES.into_iter().enumerate() {
            let config = setting(options.seed, of_loss)?;
            let data = RING.draw(config.seed);
            let store = init::store(&config, 2, &[])?;
            let mut d = Trainer::alone(&config, &data.train, store, "D")?;
            let mut pull = Pull::new(&config)?;
            for &moment in [0].iter().chain(&moments) {
                while d.steps() < moment {
                    d.step()?;
                    progress(i as u64 * last + d.steps(), total);
                }
                let pulled = pull.of(d.store())?;
                numbers.add([
                    Value::from(name),
                    (moment as f64).into(),
                    pulled.shown.into(),
                    pulled.of_params.into(),
                    pulled.of_samples.into(),
                ]);
            }
        }
        let mut summary = numbers.clone();
        let shown = [0.0, 16.0, 256.0, last as f64];
        let is_shown = |row: &Vec<Value>| shown.iter().any(|s| row[1] == Value::Number(*s));
        summary.rows.retain(is_shown);
        Ok(Outcome {
            plots: vec![(String::new(), plot(&numbers))],
            numbers,
            summary,
        })
    }
}

fn plot(numbers: &Table) -> Plot {
    let panel = |column: usize, title: &str, has_names: bool| {
        let games = GAMES.iter().zip(COLOURS).enumerate();
        let lines = games.map(|(i, ((name, _), colour))| {
            let rows = numbers
                .rows
                .iter()
                .filter(|row| row[0] == Value::from(*name));
            let points = rows.filter_map(|row| match (&row[1], &row[column]) {
                (Value::Number(step), Value::Number(y)) if *step > 0.0 && *y > 0.0 => {
                    Some([step.log10(), y.log10()])
                }
                _ => None,
            });
            let stroke = if i % 2 == 0 {
                Stroke::Solid
            } else {
                Stroke::Dashed
            };
            Mark::line(points, stroke, colour, if has_names { name } else { "" })
        });
        let steps = numbers.column(COLUMNS[1]).unwrap_or_default();
        let last = steps.into_iter().fold(1.0, f64::max);
        let marks: Vec<Mark> = lines.collect();
        let ys = marks.iter().flat_map(|mark| match mark {
            Mark::Line { points, .. } => points.iter().map(|p| p[1]).collect(),
            _ => Vec::new(),
        });
        let [lo, hi] = ys.fold([0.0_f64, 0.0_f64], |[lo, hi], y| [lo.min(y), hi.max(y)]);
        Panel {
            title: title.into(),
            x: Axis::powers("steps of D", [0.0, last.log10()]),
            y: Axis::powers("norm of the gradient", [lo.floor(), hi.ceil()]),
            marks,
            legend: Corner::LowerLeft,
            ..Panel::default()
        }
    };
    Plot {
        panel_size: [460, 400],
        columns: 2,
        panels: vec![
            panel(3, "of G's loss in G's parameters", true),
            panel(4, "of a sample's loss in the sample", false),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimax_vanishes_and_the_others_do_not() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let outcome = FarAhead.run(&options, &mut |_, _| {}).expect("runs");
        let text = outcome.numbers.text();
        let at = |name: &str, column: usize, is_last: bool| {
            let of_game = |row: &&Vec<Value>| row[0] == Value::from(name);
            let mut rows = outcome.numbers.rows.iter().filter(of_game);
            let row = if is_last {
                rows.next_back()
            } else {
                rows.next()
            };
            match row.expect("a row")[column] {
                Value::Number(n) => n,
                Value::Text(_) => f64::NAN,
            }
        };
        assert!(at("ns", 2, true) < 0.05, "D is ahead\n{text}");
        for column in [3, 4] {
            let [mm, ns] = ["mm", "ns"].map(|name| at(name, column, true));
            assert!(mm < ns / 10.0, "{text}");
            assert!(mm < at("mm", column, false) / 2.0, "{text}");
            assert!(ns > at("ns", column, false), "{text}");
        }
        // D is the same for mm and ns, whose losses of D are: only what G makes of it differs.
        assert_eq!(at("mm", 2, true), at("ns", 2, true), "{text}");
        let slope = at("wgan, gp", 4, true);
        assert!((0.7..1.5).contains(&slope), "{text}");
    }
}
