//! `ganforge figure 1`.

use std::path::PathBuf;

use ganforge::gan::config::Config;
use ganforge::plots;
use ganforge::see::figures::figure1;
use indicatif::ProgressBar;

use crate::cli::failure::Failure;
use crate::cli::options::{Threads, seed};
use crate::cli::output::{make_folder, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  ganforge figure 1
  ganforge figure 1 --out pictures --seed 3

Trains preset fig1, which takes some seconds: G maps z, uniform on [0, 1], to a Gaussian. Each panel shows p_data
(dotted), p_g (solid, a histogram of 20,000 samples), D (dashed) and the optimal D for both, D* (thin), on one
scale; below, arrows from evenly spaced z to x = G(z). The table lists the divergence of p_g from p_data in nats, and the
mean error of D against D*.";

/// Figure 1.
#[derive(clap::Args)]
pub(in crate::cli) struct One {
    /// Seed of all random numbers [default: the preset's]
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// Folder for figure-1.png, figure-1.svg and figure-1.gif
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &One) -> Result<(), Failure> {
    make_folder(&args.out)?;
    args.threads.pool()?.install(|| draw(args))
}

fn draw(args: &One) -> Result<(), Failure> {
    let seed = args.seed.map(|s| format!("seed={s}"));
    let config = Config::load_with("fig1", seed.as_slice())?;
    let bar = ProgressBar::new(0); // hidden where there is no terminal
    let figure = figure1::train(&config, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let figure = figure?;
    say("panel  iteration       JSD     C(G)     mean |D - D*|  mean D(G(z))")?;
    let start = figure.panels[0].iteration;
    for (panel, look) in ["a", "b", "c", "d"].iter().zip(&figure.panels) {
        let s = &look.score;
        // (b) and (c) branch off at (a): there one network learns alone.
        let when = match *panel {
            "b" => format!("{start} + {} of D", look.iteration - start),
            "c" => format!(
                "{start} + {} of G",
                look.iteration - figure.panels[1].iteration
            ),
            _ => look.iteration.to_string(),
        };
        let row = format!(
            "{panel:<5}  {when:<14}  {:.4}  {:.4}  {:<13.3}  {:.3}",
            s.jsd, s.cost, s.d_error, look.fake
        );
        say(&row)?;
    }
    let stem = args.out.join("figure-1");
    figure.plot().save(&stem)?;
    plots::animate(&figure.animation(), &stem.with_extension("gif"))?;
    say(&format!("figure 1: {}.png, .svg and .gif", stem.display()))
}
