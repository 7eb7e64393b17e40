//! `ganforge gradcheck`.

use std::path::Path;

use ganforge::gan::gradcheck::{Row, Target};
use ganforge::tensor::words::counted;
use serde_json::json;

use super::config_name::ConfigName;
use super::failure::Failure;
use super::options::{Threads, seed};
use super::output::{say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge gradcheck maxout softplus          by name
  ganforge gradcheck mnist --order 2          the nets and losses of a preset, second derivatives
  ganforge gradcheck loss ns                  a loss, as a function of D's outputs
  ganforge gradcheck --all                    everything but the presets study-.., whose nets are those of others

Compares the recorded gradients with central differences in f64 (step 1e-6 max(1, |x|); where they differ, also a smaller and two
larger ones, and the best counts, for rounding and kinks depend on the step), on the same graph that trains. At
most 40 coordinates of each input (for an op: in each of its samples) are varied one by one, spread over all of them; the
table lists how many of how many, and the worst. The row of input \"all\" varies all elements of all inputs at once along a
random direction, and so finds a wrong gradient in coordinates that were not varied singly (JSON: \"at\" is null). Errors
are relative to the larger of both values and to the gradient's root mean square (direction v: to the root of the sum of
(gradient x v) squared); first order passes below 1e-6, second order (differences of the first gradient) below 1e-5.
Presets, files and runs are checked at reduced width; of a net that takes long fewer coordinates are varied, at least one
of each input. Presets with the nets of resnet128 take up to 15 s of one core at first order and 30 s at second, others a few
seconds at most.
Exit code 1 if anything fails.";

/// Check gradients against finite differences: of ops, losses and whole configurations.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Ops, losses, presets, configuration files and runs' folders
    #[arg(
        value_name = "OP|loss NAME|PRESET|FILE.toml|RUN",
        required_unless_present = "all"
    )]
    names: Vec<String>,
    /// Only first or only second derivatives [default: both]
    #[arg(long, value_name = "1|2", value_parser = order)]
    order: Option<u8>,
    /// All ops, losses and presets
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Seed of the points at which gradients are checked
    #[arg(long, value_name = "S", default_value = "11", value_parser = seed)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

fn order(text: &str) -> Result<u8, String> {
    match text {
        "1" => Ok(1),
        "2" => Ok(2),
        _ => Err("expected 1 or 2".to_string()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    args.threads.pool()?.install(|| check(args))
}

fn check(args: &Args) -> Result<(), Failure> {
    let targets = targets(args)?;
    let orders = args.order.map_or(vec![1, 2], |order| vec![order]);
    let mut rows = Vec::new();
    for target in &targets {
        for &order in &orders {
            rows.extend(target.check(order, args.seed)?);
        }
    }
    match args.json {
        true => say(&json!(rows).to_string())?,
        false => say(&table(&rows))?,
    }
    let failed = rows.iter().filter(|r| !r.passes).count();
    let summary = format!("{}, {failed} failed", checked(&rows));
    match failed {
        0 => tell(&summary),
        _ => return Err(Failure::work(summary)),
    }
    Ok(())
}

/// `loss` and the word after it form one name.
fn targets(args: &Args) -> Result<Vec<Target>, Failure> {
    if args.all {
        return Ok(Target::all()?);
    }
    let mut targets = Vec::new();
    let mut names = args.names.iter();
    while let Some(name) = names.next() {
        let name = match name.as_str() {
            "loss" => match names.next() {
                Some(loss) => format!("loss {loss}"),
                None => return Err(Failure::input("loss: which? as in: gradcheck loss ns")),
            },
            name => name.to_string(),
        };
        targets.push(match (Target::find(&name), Path::new(&name).exists()) {
            (Err(_), true) => Target::of_config(ConfigName::new(&name).config(&[], &[])?),
            (found, _) => found?,
        });
    }
    Ok(targets)
}

/// `3 inputs checked: 87 of 2056 coordinates one by one, all along a random direction`.
fn checked(rows: &[Row]) -> String {
    let inputs: Vec<&Row> = rows.iter().filter(|r| r.at.is_some()).collect();
    let sum = |of: fn(&Row) -> usize| inputs.iter().map(|r| of(r)).sum::<usize>();
    format!(
        "{} checked: {} of {} coordinates one by one, all along a random direction",
        counted(inputs.len(), "input"),
        sum(|r| r.varied),
        sum(|r| r.of)
    )
}

fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0).max(6);
    let (what, input) = (width(|r| r.what.len()), width(|r| r.input.len()));
    let count = width(|r| varied(r).len());
    let mut lines = vec![format!(
        "{:<what$}  {:<input$}  order  {:>count$}  worst error         at   chain rule  differences",
        "what", "input", "varied"
    )];
    for r in rows {
        let verdict = if r.passes { "" } else { "  FAILED" };
        let varied = varied(r);
        let at = r.at.map_or("direction".to_string(), |at| at.to_string());
        lines.push(format!(
            "{:<what$}  {:<input$}  {:>5}  {varied:>count$}  {:>11.1e}  {at:>9}  {:>11.4e}  {:>11.4e}{verdict}",
            r.what, r.input, r.order, r.error, r.analytic, r.numeric
        ));
    }
    lines.join("\n")
}

fn varied(row: &Row) -> String {
    format!("{} of {}", row.varied, row.of)
}
