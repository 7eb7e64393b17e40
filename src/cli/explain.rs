//! `ganforge explain`.

use std::path::{Path, PathBuf};

use ganforge::book;
use ganforge::gan::files::{check_writable, write_atomic};
use ganforge::gan::trainer::Trainer;
use ganforge::see::explain::Explained;

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::{HTML, Settings, Threads, file, index};
use super::output::{say, tell};
use super::run_folder::OpenRun;

const EXAMPLES: &str = "\
Examples:
  ganforge explain tiny                                  the first step: tiny-step-0.html
  ganforge explain mnist --step 500 --out inside.html    step 500, after training the 500 before it
  ganforge explain runs/mnist-001                        the step after the run's newest checkpoint
  ganforge explain dcgan28 --example 5                   feature maps of example 5 of each minibatch

The page is one self-contained file. The arrow keys walk through the step: each op of the forward pass, the gradients of
both losses and the updates, with the values, their gradients and the derivation of each. The key t starts a tour of the
most important stops. Of convolutional nets it shows feature maps and filters, and for each pixel which rectangle of
an earlier image it was computed from, or its gradient came through.";

/// Write a page that walks through a training step, op by op.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset, a configuration file or a run's folder
    #[arg(value_name = KINDS)]
    config: ConfigName,
    /// Step to show, from 0; the steps before it are trained first [default: 0; for a run, its next step]
    #[arg(long, value_name = "N", value_parser = index)]
    step: Option<u64>,
    /// The example of each minibatch whose feature maps are shown, from 0
    #[arg(long, value_name = "N", default_value = "0", value_parser = index)]
    example: u64,
    /// The file to write [default: NAME-step-N.html]
    #[arg(long, value_name = "FILE.html", value_parser = file(HTML))]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    args.threads.pool()?.install(|| {
        let asked = args.out.as_deref();
        check_writable(asked.unwrap_or(Path::new("explained.html")))?;
        let explained = match args.config.run() {
            Some(folder) => of_run(folder, args)?,
            None => of_config(args)?,
        };
        let explained = explained.of_example(args.example as usize)?;
        let default = format!("{}-step-{}.html", explained.name(), explained.step());
        let out = args.out.clone().unwrap_or_else(|| PathBuf::from(default));
        let page = explained.page(book::PAGES);
        write_atomic(&out, |w| w.write_all(page.as_bytes()))?;
        say(&out.display().to_string())
    })
}

fn of_config(args: &Args) -> Result<Explained, Failure> {
    let config = args.config.config(&args.settings.set, &[])?;
    let data = args.config.data(&config)?;
    let mut trainer = Trainer::new(&config, &data.train)?;
    trainer.load_pretrained()?;
    Ok(Explained::after(
        trainer,
        &data,
        args.step.unwrap_or(0),
        &mut progress,
    )?)
}

fn of_run(folder: &Path, args: &Args) -> Result<Explained, Failure> {
    if !args.settings.set.is_empty() {
        return Err(Failure::input(
            "--set: a run's configuration cannot be changed, only that of a preset or a file",
        ));
    }
    let open = OpenRun::open(folder)?;
    let data = open.data(false)?;
    let mut trainer = Trainer::new(&open.config, &data.train)?;
    if args.step.is_none() {
        open.run.check_checkpoints()?;
    }
    if open.run.last_checkpoint()?.is_none() {
        trainer.load_pretrained()?;
    }
    if let Some(path) = open.run.checkpoint_before(args.step.unwrap_or(u64::MAX))? {
        trainer.load(&path)?;
    }
    let step = args.step.unwrap_or(trainer.steps());
    Ok(Explained::after(trainer, &data, step, &mut progress)?)
}

/// Prints the progress of a long training.
fn progress(step: u64, of: u64) {
    if step.is_multiple_of(1000) && step > 0 {
        tell(&format!("step {step} of {of}"));
    }
}
