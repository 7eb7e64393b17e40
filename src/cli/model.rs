//! `ganforge model`.

use ganforge::see::model;

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::Settings;
use super::output::{print, say};

const EXAMPLES: &str = "\
Examples:
  ganforge model dcgan28
  ganforge model runs/dcgan28-001
  ganforge model mnist --set generator.layer.h0.units=600
  ganforge model dcgan28 --json | jq .G.parameters

GFLOP are 10^9 floating-point operations of a forward pass of one example. \"GFLOP\" counts a layer as it is written,
\"executed\" as it runs: a convolution after zeros were inserted, or before a mean pool, runs as a smaller equal one.";

/// Show a model's layers: output shapes, parameters, work
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset, a configuration file or a run's folder
    #[arg(value_name = KINDS)]
    config: ConfigName,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.config(&args.settings.set, &[])?;
    let model = model::model(&config)?;
    match args.json {
        true => say(&model.json().to_string()),
        false => print(&model.text()),
    }
}
