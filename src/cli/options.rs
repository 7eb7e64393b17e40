//! Options that several commands share.

use ganforge::tensor::words::counted;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::{PathBufValueParser, TypedValueParser};
use ganforge::gan::config::{ConfigError, origin};
use ganforge::kernels::cpu::conv::Algorithm;
use ganforge::kernels::cuda::{self, Precision};
use ganforge::ptxvm::Interpreter;
use ganforge::tensor::Device;
use ganforge::{gan, tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::failure::Failure;
use super::output::tell;

/// What is said before an interpreter begins.
const SLOW: &str = "\
--device ptxvm interprets the GPU kernels on the CPU, about a thousand times slower than --device cpu: a training step takes
a second with preset tiny, five seconds with ring, one to two minutes with mnist";

/// More threads than any machine needs here.
const MAX_THREADS: usize = 1024;

/// `--threads N`.
#[derive(Clone, clap::Args)]
pub(super) struct Threads {
    /// Number of threads; results do not depend on it [default: RAYON_NUM_THREADS, else all cores; of several ranks each one's share]
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

    /// The same, `n` of them unless asked for.
    pub(super) fn or(&self, n: usize) -> Result<Threads, Failure> {
        let is_asked = from_env(std::env::var_os("RAYON_NUM_THREADS"))?.is_some();
        Ok(Threads {
            threads: match self.threads {
                None if !is_asked => Some(n),
                asked => asked,
            },
        })
    }

    /// A pool with that many threads.
    pub(super) fn pool(&self) -> Result<ThreadPool, Failure> {
        let threads = self.number()?;
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|e| {
            Failure::system(format!(
                "--threads {threads}: cannot start the threads: {e}"
            ))
        })
    }
}

fn parse(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=MAX_THREADS) => Ok(n),
        _ => Err(format!("expected a whole number from 1 to {MAX_THREADS}")),
    }
}

/// The environment's setting; unset, empty or 0 means one thread per core, as in rayon.
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

/// `--device` and `--precision`.
#[derive(Clone, clap::Args)]
pub(super) struct Compute {
    /// Device to compute on: cpu; cuda or cuda:N, a GPU; ptxvm, a slow interpreter of the GPU kernels, for study
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu", value_parser = device)]
    device: Named,
    /// f32; strict: f32, convolutions on the CPU without Winograd, slower and with a smaller error; tf32 or bf16: matrix products
    /// on a GPU's tensor cores
    #[arg(long, default_value = "f32", value_parser = ["f32", "strict", "tf32", "bf16"])]
    precision: String,
}

/// A device as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Named {
    Cpu,
    Cuda(usize),
    Interpreter,
}

impl Named {
    /// The device of that name.
    pub(super) fn device(self, precision: Precision) -> Result<Device, Failure> {
        let device = match self {
            Named::Cpu => return Ok(Device::CPU),
            Named::Cuda(index) => cuda::open(index),
            Named::Interpreter => Ok(cuda::Device::new(interpreter())),
        };
        let device = device.and_then(|d| d.check_precision(precision).map(|()| d));
        let device = device.map_err(|e| gan::Error::from(tensor::Error::from(e)))?;
        Ok(Device::Cuda(device, precision))
    }
}

/// Time between two progress lines of the interpreter.
const SILENCE: Duration = Duration::from_secs(10);

/// The interpreter; prints how slow it is, and then its progress.
fn interpreter() -> Interpreter {
    tell(SLOW);
    let begin = Instant::now();
    let (mut last, mut kernels) = (begin, 0_u64);
    Interpreter::default().watched(move |kernel| {
        kernels += 1;
        let now = Instant::now();
        if now.saturating_duration_since(last) >= SILENCE {
            last = now;
            let seconds = now.saturating_duration_since(begin).as_secs();
            tell(&format!(
                "ptxvm: {seconds} s, {} launched, running {kernel}",
                counted(kernels, "kernel")
            ));
        }
    })
}

/// As it was written, but `cuda` is `cuda:0`.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Cpu => f.write_str("cpu"),
            Named::Cuda(index) => write!(f, "cuda:{index}"),
            Named::Interpreter => f.write_str("ptxvm"),
        }
    }
}

pub(super) fn device(text: &str) -> Result<Named, String> {
    let expected = "expected cpu, cuda, cuda:N with a whole number N, or ptxvm";
    match (text, text.strip_prefix("cuda:")) {
        ("cpu", _) => Ok(Named::Cpu),
        ("cuda", _) => Ok(Named::Cuda(0)),
        ("ptxvm", _) => Ok(Named::Interpreter),
        (_, Some(index)) if index.bytes().all(|b| b.is_ascii_digit()) => {
            index.parse().map(Named::Cuda).map_err(|_| expected.into())
        }
        _ => Err(expected.into()),
    }
}

impl Compute {
    /// A device, in f32.
    pub(super) fn on(device: Named) -> Compute {
        Compute {
            device,
            precision: "f32".to_owned(),
        }
    }

    /// The device that was asked for.
    pub(super) fn device(&self) -> Result<Device, Failure> {
        let precision = match (self.precision.as_str(), self.device) {
            ("strict", Named::Cpu) => return Ok(Device::Cpu(Algorithm::Direct)),
            ("tf32" | "bf16", Named::Cpu) => {
                let asked = &self.precision;
                let message = format!("--precision {asked}: only with --device cuda or ptxvm");
                return Err(Failure::input(message));
            }
            ("tf32", _) => Precision::Tf32,
            ("bf16", _) => Precision::Bf16,
            // There is no Winograd on a device.
            _ => Precision::F32,
        };
        self.device.device(precision)
    }
}

/// `--set key=value`, any number of times.
#[derive(Clone, Default, clap::Args)]
pub(super) struct Settings {
    /// Override a configuration key, for example --set train.batch=50; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

/// A setting and the option that it was typed as: `train.epochs=3` and `--epochs 3`.
pub(super) type Typed = (String, String);

/// Makes an error in a setting name the option that was typed.
pub(super) fn as_typed(mut error: ConfigError, typed: &[Typed]) -> ConfigError {
    for fault in &mut error.faults {
        let is_at_fault = |(setting, _): &&Typed| fault.origin == origin(setting);
        if let Some((_, option)) = typed.iter().find(is_at_fault) {
            fault.origin.clone_from(option);
        }
    }
    error
}

/// A whole number for a configuration key, as TOML writes it; the key checks its range.
pub(super) fn whole(text: &str) -> Result<String, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("expected a whole number".to_string());
    }
    match digits.trim_start_matches('0') {
        "" => Ok("0".to_string()),
        digits => Ok(format!("{sign}{digits}")),
    }
}

/// A count, at least 1.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1_000_000_000) => Ok(n),
        _ => Err("expected a whole number from 1 to 1000000000".to_string()),
    }
}

/// An index, from 0.
pub(super) fn index(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a whole number, at least 0".to_string())
}

/// The most classes in a list of some.
const MOST_CLASSES: usize = 100_000;

/// Classes of samples, in turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Classes(pub(super) Vec<usize>);

/// `7`, `0..9` (inclusive) or `3,1,4`.
pub(super) fn classes(text: &str) -> Result<Classes, String> {
    let expected =
        || "expected a number from 0, a range as 0..9 (inclusive) or a list as 3,1,4".to_string();
    let class = |text: &str| text.parse::<usize>().map_err(|_| expected());
    let classes = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (class(first)?, class(last)?);
            if last < first || last - first >= MOST_CLASSES {
                return Err(expected());
            }
            (first..=last).collect()
        }
        None => text.split(',').map(class).collect::<Result<Vec<_>, _>>()?,
    };
    Ok(Classes(classes))
}

/// Two classes, `3:8`.
pub(super) fn two_classes(text: &str) -> Result<[usize; 2], String> {
    let expected = "expected two classes, numbers from 0, as 3:8";
    let (from, to) = text.split_once(':').ok_or(expected)?;
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) => Ok([from, to]),
        _ => Err(expected.to_string()),
    }
}

/// Images on the way from one end to the other, both included.
pub(super) fn steps(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 2..=100) => Ok(n),
        _ => Err("expected a whole number from 2 to 100".to_string()),
    }
}

/// An integer factor of enlargement.
pub(super) fn scale(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=32) => Ok(n),
        _ => Err("expected a whole number from 1 to 32".to_string()),
    }
}

/// A seed; TOML cannot hold larger integers.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if n <= i64::MAX as u64 => Ok(n),
        _ => Err(format!("expected a whole number from 0 to {}", i64::MAX)),
    }
}

/// File endings of HTML pages.
pub(super) const HTML: &[&str] = &["html", "htm"];

/// A file to write, whose name must end in one of `endings`, since that is the format written.
pub(super) fn file(endings: &'static [&'static str]) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or("");
        match endings.iter().any(|e| e.eq_ignore_ascii_case(ending)) {
            true => Ok(path),
            false => Err(format!(
                "expected a name that ends in .{}",
                endings.join(", .")
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_by_kind_and_number() {
        assert_eq!(device("cpu"), Ok(Named::Cpu));
        assert_eq!(device("cuda"), Ok(Named::Cuda(0)));
        assert_eq!(device("cuda:12"), Ok(Named::Cuda(12)));
        assert_eq!(device("ptxvm"), Ok(Named::Interpreter));
        for bad in [
            "",
            "gpu",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:x",
            "cuda:99999999999999999999",
        ] {
            assert!(device(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn classes_are_a_number_a_range_or_a_list() {
        let read = |text: &str| classes(text).ok().map(|c| c.0);
        assert_eq!(read("7"), Some(vec![7]));
        assert_eq!(read("2..5"), Some(vec![2, 3, 4, 5]));
        assert_eq!(read("3,1,3"), Some(vec![3, 1, 3]));
        for bad in [
            "",
            "-1",
            "1.5",
            "5..2",
            "1..",
            "..",
            "1,,2",
            "a",
            "0..99999999999",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(two_classes("3:8"), Ok([3, 8]));
        for bad in ["", "3", "3:", ":8", "3:8:1", "3:-8", "a:b"] {
            assert!(two_classes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_whole_number_comes_through_as_toml_writes_it() {
        assert_eq!(whole("12").as_deref(), Ok("12"));
        assert_eq!(whole("007").as_deref(), Ok("7"));
        assert_eq!(whole("0").as_deref(), Ok("0"));
        assert_eq!(whole("-03").as_deref(), Ok("-3"));
        let huge = "99999999999999999999999";
        assert_eq!(whole(huge).as_deref(), Ok(huge));
        for bad in ["", "-", "+1", "1.5", "two", " 1", "--1"] {
            assert!(whole(bad).is_err(), "{bad}");
        }
    }

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
