//! What the tests of the program share: a folder of their own, runs without network, a small preset.

#[cfg(unix)]
pub mod slurm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ganforge::gan::data::Picture;
use ganforge::gan::files::{Array, ArrayData, NpzReader};

/// Preset tiny made smaller still: 40 steps per epoch on the bundled sample.
pub const SMALL: [&str; 9] = [
    "tiny",
    "--set",
    "train.batch=100",
    "--set",
    "eval.samples=50",
    "--set",
    "eval.valid=20",
    "--set",
    "output.log_every=7",
];

/// A folder to work in, with an empty data cache, gone when dropped.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path as text, for arguments.
    pub fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The program, to run in this folder without network and with the bundled sample.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.within(env!("CARGO_BIN_EXE_ganforge"), arguments)
    }

    /// Any program in the same surroundings.
    pub fn within(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        self.surround(command.args(arguments));
        command
    }

    /// Makes a command run in this folder without network and with the bundled sample.
    pub fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.0.path())
            .env("GANFORGE_OFFLINE", "1")
            .env("GANFORGE_DATA", self.path("no-data"))
            .env_remove("RAYON_NUM_THREADS")
            .stdin(Stdio::null());
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().expect("the program runs"))
    }

    /// Runs the program, which must succeed; its stdout.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.err);
        done.out
    }

    /// Runs the program, which must refuse: exit code 2, one message without a panic; its stderr.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        done.assert_refused(&format!("{arguments:?}"));
        done.err
    }

    /// `train SMALL... more --out out`.
    pub fn train(&self, out: &str, more: &[&str]) -> String {
        self.ok(&small(out, more))
    }

    /// Runs the program, to which the system must refuse something: exit code 3, one message without a panic; its stderr.
    pub fn refused_by_system(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        done.assert_refused_by_system(&format!("{arguments:?}"));
        done.err
    }

    pub fn text(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The picture in a file.
    pub fn picture(&self, name: &str) -> Picture {
        let read = Picture::decode(&self.bytes(name));
        read.unwrap_or_else(|e| panic!("{name}: {e}")).picture
    }

    /// The names of a run's checkpoints, oldest first.
    pub fn checkpoints(&self, run: &str) -> Vec<String> {
        let folder = self.path(run).join("checkpoints");
        let entries = fs::read_dir(folder).expect("a folder of checkpoints");
        let names = entries.map(|e| e.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    /// The newest checkpoint of a run, relative to this folder.
    pub fn last_checkpoint(&self, run: &str) -> String {
        let last = self.checkpoints(run).pop().expect("a checkpoint");
        format!("{run}/checkpoints/{last}")
    }
}

/// The arguments of `train SMALL... more --out out`.
pub fn small<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["train"];
    arguments.extend(SMALL);
    arguments.extend(more);
    arguments.extend(["--out", out]);
    arguments
}

/// How a program ended.
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: Output) -> Done {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Done {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Bad input: exit code 2.
    pub fn assert_refused(&self, what: &str) {
        self.assert_failed(2, what);
    }

    /// Disk full, no permission, no network, no driver, out of memory: exit code 3.
    pub fn assert_refused_by_system(&self, what: &str) {
        self.assert_failed(3, what);
    }

    /// This exit code and one message, without a panic.
    pub fn assert_failed(&self, code: i32, what: &str) {
        assert_eq!(self.code, Some(code), "{what}: {}{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{what}: {}", self.err);
        let messages = self.err.lines().filter(|l| l.starts_with("error: "));
        assert_eq!(messages.count(), 1, "{what}: {}", self.err);
    }
}

/// Numbers for choices that differ from test to test but not from day to day.
pub struct Choices(pub u64);

impl Choices {
    /// A number in 0..n (SplitMix64).
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// An array of an npz file with its shape, as f32; masks and counts are converted.
pub fn array(npz: &mut NpzReader, name: &str) -> (Vec<usize>, Vec<f32>) {
    let Array { shape, data } = npz.read(name).unwrap_or_else(|e| panic!("{e}"));
    let values = match data {
        ArrayData::F32(values) => values,
        ArrayData::U8(values) => values.into_iter().map(f32::from).collect(),
        other => panic!("{name} is {}", other.dtype()),
    };
    (shape, values)
}

/// Opens an npz file.
pub fn npz(path: &Path) -> NpzReader {
    NpzReader::open(path).unwrap_or_else(|e| panic!("{e}"))
}
