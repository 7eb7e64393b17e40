//! `ganforge figure theory`.

use ganforge::tensor::words::counted;
use std::path::PathBuf;

use ganforge::gan::data::RING;
use ganforge::plots::Plot;
use ganforge::see::figures::theory;
use ganforge::see::theory::helvetica;

use crate::cli::failure::Failure;
use crate::cli::options::{Threads, seed};
use crate::cli::output::{make_folder, say, tell};

pub(super) const EXAMPLES: &str = "\
Examples:
  ganforge figure theory
  ganforge figure theory --out pictures --seed 3

Four plots, each as PNG and SVG: G's two losses and where they saturate; a D trained alone beside the optimal one; the
Dirac-GAN with simultaneous and alternating steps and with a gradient penalty; and the Helvetica scenario: eight
Gaussians, trained with one step of G per step of D, and with twenty.";

/// Steps of G after which the ring is scored: with one step of G per step of D, and with many.
const BALANCED: [usize; 1] = [4000];
const TOO_MANY: usize = 20;
const CROWDED: [usize; 2] = [2000, 4000];

/// Plots of the theory.
#[derive(clap::Args)]
pub(in crate::cli) struct Theory {
    /// Seed of the ring's training
    #[arg(long, value_name = "S", default_value = "1", value_parser = seed)]
    seed: u64,
    /// Folder for the plots
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Theory) -> Result<(), Failure> {
    make_folder(&args.out)?;
    args.threads.pool()?.install(|| draw(args))
}

fn draw(args: &Theory) -> Result<(), Failure> {
    let save = |name: &str, plot: Plot| {
        let stem = args.out.join(name);
        plot.save(&stem)?;
        say(&format!("{}.png and .svg", stem.display()))
    };
    save("theory-saturation", theory::saturation()?)?;
    save("theory-best-d", theory::trained_d()?)?;
    save("theory-dirac", theory::spirals()?)?;
    tell("training two GANs on the ring, which takes some seconds");
    let config = helvetica::small_ring(args.seed)?;
    let mut moments = helvetica::train(&config, 1, &BALANCED)?;
    moments.extend(helvetica::train(&config, TOO_MANY, &CROWDED)?);
    for m in &moments {
        let (score, crowd) = (&m.score, 100.0 * m.crowd);
        let modes = format!("{} of {} modes covered", score.covered, score.modes);
        say(&format!(
            "{:>8} of G per step of D, {} in all: {modes}, {crowd:.0} % of the samples nearest to the same mode",
            counted(m.per_d, "step"),
            m.steps
        ))?;
    }
    save(
        "theory-helvetica",
        theory::helvetica(&moments, &RING.mixture()),
    )
}
