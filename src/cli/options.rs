//! Options that several commands share.

use std::ffi::OsString;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::failure::Failure;

/// More threads than any machine has use for here.
const MAX_THREADS: usize = 1024;

/// `--threads N`.
#[derive(clap::Args)]
pub(super) struct Threads {
    /// Threads to compute with; results do not depend on it [default: RAYON_NUM_THREADS, else all cores]
    #[arg(long, value_name = "N", value_parser = parse)]
    threads: Option<usize>,
}

impl Threads {
    /// The number to use.
    pub(super) fn number(&self) -> Result<usize, Failure> {
        let asked = match self.threads {
            Some(n) => Some(n),
            None => from_env(std::env::var_os("RAYON_NUM_THREADS"))?,
        };
        Ok(asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)))
    }

    /// A pool of that many threads.
    pub(super) fn pool(&self) -> Result<ThreadPool, Failure> {
        let threads = self.number()?;
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|e| Failure::input(format!("--threads {threads}: cannot start them: {e}")))
    }
}

fn parse(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=MAX_THREADS) => Ok(n),
        _ => Err(format!("expected a whole number from 1 to {MAX_THREADS}")),
    }
}

/// What the environment asks for; nothing or 0 leave it to the machine, as rayon has it.
fn from_env(value: Option<OsString>) -> Result<Option<usize>, Failure> {
    let value = value.unwrap_or_default();
    let text = value.to_string_lossy();
    match text.trim() {
        "" | "0" => Ok(None),
        text => parse(text)
            .map(Some)
            .map_err(|expected| Failure::input(format!("RAYON_NUM_THREADS={text}: {expected}"))),
    }
}

/// `--set key=value`, any number of times.
#[derive(clap::Args)]
pub(super) struct Settings {
    /// Change a key of the configuration, as in --set train.batch=50; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1_000_000_000) => Ok(n),
        _ => Err("expected a whole number from 1 to 1000000000".to_string()),
    }
}

/// A key of random numbers; TOML holds no larger ones.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if n <= i64::MAX as u64 => Ok(n),
        _ => Err(format!("expected a whole number from 0 to {}", i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_numbers_of_threads_are_refused() {
        assert_eq!(parse("3"), Ok(3));
        for bad in ["0", "-1", "1025", "99999999999999999999", "two", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in ["-1", "1025", "two"] {
            assert!(from_env(Some(bad.into())).is_err(), "{bad}");
        }
        let asked = |text: &str| from_env(Some(text.into())).ok().flatten();
        assert_eq!((asked(" 2 "), asked("0"), asked("")), (Some(2), None, None));
    }
}
