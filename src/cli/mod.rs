//! The command line: subcommands and exit codes.

mod about;
mod bench;
mod config_name;
mod data;
mod eval;
mod explain;
mod export;
mod failure;
mod features;
mod figure;
mod gradcheck;
mod graph;
mod images;
mod import;
mod info;
mod inpaint;
mod invert;
mod kernels;
mod looks;
mod model;
mod options;
mod output;
mod presets;
mod profile;
mod progress;
mod report;
mod run_folder;
mod sample;
mod study;
mod table1;
mod trace;
mod train;
mod trained;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use failure::EXIT_CODES;

const EXAMPLES: &str = "\
Examples:
  ganforge train tiny                          a small GAN on MNIST, a minute or less
  ganforge train mnist --epochs 10             the 2014 paper's MNIST experiment, shorter
  ganforge train --resume runs/mnist-001       continue a run that was stopped
  ganforge sample --pretrained mnist           digits at once, from the bundled generator
  ganforge sample runs/mnist-001 -n 64         draw new digits
  ganforge eval runs/mnist-001                 score them
  ganforge report runs/mnist-001 runs/mnist-002    a page that compares runs
  ganforge help train                          all options of a command

A run is a folder: config.toml holds every setting, samples/ a picture per epoch, metrics.csv the losses,
checkpoints/ the state of training; report.html shows them. MNIST is fetched when it is first needed.

Environment:
  GANFORGE_DATA      cache folder of data sets
  GANFORGE_OFFLINE   1: never use the network
  GANFORGE_ISA       avx512, avx2 or portable: instruction set of the CPU kernels [default: the widest supported]
  RAYON_NUM_THREADS  number of threads if --threads is not given";

/// Generative adversarial nets (Goodfellow et al. 2014) on a tensor engine written from scratch.
///
/// Two networks play a game: the generator G turns noise into pictures, the discriminator D tells them from real ones,
/// and each learns from the other's mistakes.
#[derive(Parser)]
#[command(name = "ganforge", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a GAN, write a run folder and score the result
    Train(train::Args),
    /// Draw samples from a trained generator
    Sample(sample::Args),
    /// Score a run, a generator or any samples
    Eval(Box<eval::Args>),
    /// Keep what a network sees in images of any program: features, or their mean and covariance
    Features(features::Args),
    /// Draw the figures of the paper, and classic results of others
    #[command(subcommand)]
    Figure(figure::Command),
    /// Show images beside what a generator makes of the noise that an encoder finds for them
    Invert(invert::Args),
    /// Complete images of which a part is missing
    Inpaint(inpaint::Args),
    /// Write an HTML report on one or more runs: curves, samples, settings
    Report(report::Args),
    /// Export a run's generator to a single file
    Export(export::Args),
    /// Import a generator that another program wrote
    Import(import::Args),
    /// Print the paper's Table 1 with rows for your runs
    Table1(table1::Args),
    /// Write all values of a few training steps to a file, to recompute them elsewhere
    Trace(trace::Args),
    /// Show a model's layers: output shapes, parameters, work
    Model(model::Args),
    /// Show a training step's graph, gradients and plan
    Graph(graph::Args),
    /// Write a page that walks through a training step, op by op
    Explain(explain::Args),
    /// Check gradients against finite differences
    Gradcheck(gradcheck::Args),
    /// Show where the time of a training step goes
    Profile(profile::Args),
    /// Measure how fast this machine trains
    #[command(subcommand)]
    Bench(bench::Command),
    /// Train with many settings, here or on a cluster, and report which are best
    #[command(subcommand)]
    Study(study::Command),
    /// List and print the bundled configurations
    #[command(subcommand)]
    Presets(presets::Command),
    /// Fetch data sets, list the cache, show what is in a set
    #[command(subcommand)]
    Data(data::Command),
    /// List the GPU kernels; interpret one on the CPU and count its instructions and memory traffic
    #[command(subcommand)]
    Kernels(kernels::Command),
    /// Print version, processor, threads, data and devices
    Info(info::Args),
}

/// The process's arguments; an invalid one ends the process.
fn parsed() -> Cli {
    let matches = negative_numbers_are_values(Cli::command()).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit())
}

/// Accepts negative numbers as values of options, so that the option itself rejects them and says what it expects.
fn negative_numbers_are_values(command: clap::Command) -> clap::Command {
    let options = command.mut_args(|arg| {
        let takes_value = !arg.is_positional() && arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_value)
    });
    options.mut_subcommands(negative_numbers_are_values)
}

/// Runs the program with the process's arguments.
pub(crate) fn main() -> ExitCode {
    failure::end_where_memory_ends();
    let command = parsed().command;
    if let Err(error) = ganforge::kernels::cpu::chosen_isa() {
        return failure::Failure::input(error.to_string()).report();
    }
    let done = match command {
        Command::Train(args) => train::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Figure(command) => figure::run(&command),
        Command::Invert(args) => invert::run(&args),
        Command::Inpaint(args) => inpaint::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Table1(args) => table1::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Graph(args) => graph::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Gradcheck(args) => gradcheck::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Study(command) => study::run(&command),
        Command::Presets(command) => presets::run(&command),
        Command::Data(command) => data::run(&command),
        Command::Kernels(command) => kernels::run(&command),
        Command::Info(args) => info::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
