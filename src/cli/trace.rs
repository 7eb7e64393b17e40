//! `ganforge trace`.

use ganforge::tensor::words::counted;
use std::path::PathBuf;

use ganforge::gan::files::check_writable;
use ganforge::see::trace::Trace;

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::{Compute, Settings, Threads, count, file, seed};
use super::output::{say, tell};
use super::progress::stop_flag;

const EXAMPLES: &str = "\
Example:
  ganforge trace tiny --steps 2 --seed 1 --out trace.npz
  python3 -c 'import numpy; t = numpy.load(\"trace.npz\"); print(t[\"0/loss_d\"], t[\"0/grad/D.h0.w\"].shape)'

Entries: init/<param>; for each step i, from 0: i/x, i/z (alternating updates: i/z_d, i/z_g),
i/mask/<pass>/<layer> (1 where an input is kept; passes real and fake, or real, fake_d and fake_g),
i/pre/<pass>/<layer> (what its activation is taken of), i/noise/<penalty> (random numbers of a penalty),
i/loss_d, i/loss_g, i/d_real, i/d_fake, i/grad/<param>, i/lr, i/momentum, i/after/<param>.
With train.k > 1, names of D's second and later steps within step i end in .1, .2 and so on: i/loss_d.1, i/grad/D.out.w.1,
i/pre/real.1/D.out.
Buffers, such as running means, are among the parameters. Weights are [in, out], filters [height, width, in, out],
of deconvolutions [height, width, out, in].
The steps are bit for bit those of `ganforge train` on the same device.";

/// Bytes above which --force is required.
const LARGE: u64 = 1_000_000_000;

/// Write all values of a few training steps to a file, to recompute them elsewhere.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset, a configuration file or a run's folder
    #[arg(value_name = KINDS)]
    config: ConfigName,
    /// Training steps from initialisation
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    steps: usize,
    /// Seed of all random numbers [default: the configuration's]
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// The file to write
    #[arg(long, value_name = "FILE.npz", value_parser = file(&["npz"]))]
    out: PathBuf,
    /// Write it even if it takes more than a gigabyte
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    check_writable(&args.out)?;
    args.threads.pool()?.install(|| {
        let seed = args
            .seed
            .map(|s| (format!("seed={s}"), format!("--seed {s}")));
        let config = args.config.config(&args.settings.set, seed.as_slice())?;
        let data = args.config.data(&config)?;
        let device = args.compute.device()?;
        let stop =
            stop_flag("stopping: the file ends with this step; a second signal stops at once")?;
        let trace = Trace::new(&device, &config, &data.train, args.steps)?;
        check_size(args, trace.bytes())?;
        let steps = trace.write(&args.out, &stop)?;
        say(&format!(
            "{} of {}, seed {}: {}",
            counted(steps, "step"),
            config.name,
            config.seed,
            args.out.display()
        ))?;
        match steps < args.steps {
            true => Err(Failure::stopped()),
            false => Ok(()),
        }
    })
}

/// Prints the size of the file; a very large one needs --force.
fn check_size(args: &Args, bytes: u64) -> Result<(), Failure> {
    let size = format!("{}: {:.1} MB", args.out.display(), bytes as f64 / 1e6);
    if bytes > LARGE && !args.force {
        let reason = format!(
            "for {}: ask for fewer, or add --force",
            counted(args.steps, "step")
        );
        return Err(Failure::input(format!("{size} {reason}")));
    }
    tell(&size);
    Ok(())
}
