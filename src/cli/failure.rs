//! Why a command failed, and its exit code.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use ganforge::gan;
use ganforge::gan::error::Kind;
use ganforge::gan::files::FileError;

use super::output;

/// The exit codes, as `ganforge --help` lists them.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the work failed: a non-finite loss, a wrong gradient
  2    bad input: arguments, files, folders, data
  3    system error: disk full, no permission, no network, no driver, out of memory
  130  interrupted by Ctrl-C, SIGTERM or SIGHUP";

/// That of an interrupted command, the shells' convention for Ctrl-C.
pub(super) const STOPPED: u8 = 130;

/// That of work that failed.
pub(super) const WORK: u8 = 1;

/// The last line of a program that runs out of memory; Rust has printed how much it asked for.
const NO_MEMORY: &str = "\
error: out of memory: none is left, or a limit (ulimit -v) was reached; use less, for example with a smaller batch
";

/// Makes a failed allocation end the process with a message and its exit code.
pub(super) fn end_where_memory_ends() {
    ganforge::kernels::signals::end_at_abort(NO_MEMORY, code(Kind::System).into());
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Work => WORK,
        Kind::Input => 2,
        Kind::System => 3,
    }
}

/// Why a command failed, and its exit code.
pub(super) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn of(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            code: code(kind),
        }
    }

    /// The caller gave something that cannot be used.
    pub(super) fn input(message: impl Into<String>) -> Failure {
        Failure::of(Kind::Input, message)
    }

    /// The work ran and failed.
    pub(super) fn work(message: impl Into<String>) -> Failure {
        Failure::of(Kind::Work, message)
    }

    /// The system refused something other than a file operation.
    pub(super) fn system(message: impl Into<String>) -> Failure {
        Failure::of(Kind::System, message)
    }

    /// The operating system's error from doing `action` to `path`.
    pub(super) fn io(path: &Path, action: &'static str, reason: io::Error) -> Failure {
        let file = path.display().to_string();
        let error = FileError::Io {
            file,
            action,
            reason,
        };
        error.into()
    }

    /// The work was interrupted, which has been reported.
    pub(super) fn stopped() -> Failure {
        Failure {
            message: String::new(),
            code: STOPPED,
        }
    }

    /// The work of several ranks ended, which has been reported.
    pub(super) fn ended(code: u8) -> Failure {
        Failure {
            message: String::new(),
            code,
        }
    }

    /// Whether the work was interrupted.
    pub(super) fn is_stopped(&self) -> bool {
        self.code == STOPPED
    }

    /// The same, as that of one of several ranks.
    pub(super) fn of_rank(mut self, rank: usize) -> Failure {
        if !self.message.is_empty() {
            self.message = format!("rank {rank}: {}", self.message);
        }
        self
    }

    /// The reader closed the pipe: nothing to say, and no error.
    pub(super) fn silent() -> Failure {
        Failure {
            message: String::new(),
            code: 0,
        }
    }

    /// What went wrong, in words.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Its exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// The same failure, with `more` appended to its message.
    pub(super) fn and(mut self, more: &str) -> Failure {
        self.message += more;
        self
    }

    /// Prints the message and returns the exit code.
    pub(super) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            output::tell(&format!("error: {self}"));
        }
        ExitCode::from(self.code)
    }
}

/// The message.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&output::indented(&self.message))
    }
}

impl From<gan::Error> for Failure {
    fn from(error: gan::Error) -> Failure {
        Failure::of(error.kind(), error.to_string())
    }
}

impl From<ganforge::plots::Error> for Failure {
    fn from(error: ganforge::plots::Error) -> Failure {
        gan::Error::from(error).into()
    }
}

impl From<gan::config::ConfigError> for Failure {
    fn from(error: gan::config::ConfigError) -> Failure {
        gan::Error::from(error).into()
    }
}

impl From<gan::data::DataError> for Failure {
    fn from(error: gan::data::DataError) -> Failure {
        gan::Error::from(error).into()
    }
}

impl From<gan::files::FileError> for Failure {
    fn from(error: gan::files::FileError) -> Failure {
        gan::Error::from(error).into()
    }
}
