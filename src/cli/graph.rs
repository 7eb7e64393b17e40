//! `ganforge graph`.

use std::path::PathBuf;

use ganforge::gan::files::write_atomic;
use ganforge::see::diagram::{Diagram, Part};

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::Settings;
use super::output::{ending, print, say};

const EXAMPLES: &str = "\
Examples:
  ganforge graph tiny                                     forward pass, backward pass and plan
  ganforge graph mnist --stage plan                       kernels, buffers, bytes and FLOP of each kernel call
  ganforge graph mnist --out mnist.svg                    a drawing; no other program is needed
  ganforge graph mnist --stage plan --out plan.svg        lifetimes of the values in each buffer
  ganforge graph mnist --set train.update=alternating --out mnist.dot
  ganforge graph mnist --format json | jq .plan.flops

A penalty that only every n-th step has (discriminator.penalty.KIND.every) is shown; --set discriminator.penalty-=KIND shows a step
without it. docs/graph.md describes the JSON.";

/// Show a training step's graph, gradients and plan.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset, a configuration file or a run's folder
    #[arg(value_name = KINDS)]
    config: ConfigName,
    /// Show only the forward pass, the backward pass or the plan [default: all; in a drawing, all but the plan]
    #[arg(long, value_name = "STAGE", value_parser = ["forward", "backward", "plan"])]
    stage: Option<String>,
    /// Output format [default: by the ending of --out, else text]
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "dot", "svg", "json"])]
    format: Option<String>,
    /// The file to write [default: print it]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.config(&args.settings.set, &[])?;
    let diagram = Diagram::of(&config)?;
    let part = match args.stage.as_deref() {
        Some("forward") => Part::Forward,
        Some("backward") => Part::Backward,
        Some("plan") => Part::Plan,
        _ => Part::All,
    };
    let format = args.format.as_deref();
    let text = match format.or(ending(args.out.as_deref())).unwrap_or("text") {
        "dot" => diagram.dot(part),
        "svg" => diagram.svg(part),
        "json" => format!("{:#}\n", diagram.json(part)),
        _ => diagram.text(part),
    };
    match &args.out {
        None => print(&text),
        Some(out) => {
            write_atomic(out, |w| w.write_all(text.as_bytes()))?;
            say(&out.display().to_string())
        }
    }
}
