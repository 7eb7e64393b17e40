//! Why a command did not do what it was asked, and its exit code.

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
  1    the work failed: a loss that is not finite, a gradient that is wrong
  2    bad input: arguments, files, folders, data
  3    the system refused: disk full, no permission, no network, no driver, too little memory
  130  stopped before the end, by Ctrl-C, SIGTERM or SIGHUP";

/// That of a command that was stopped, as shells have it for Ctrl-C.
pub(super) const STOPPED: u8 = 130;

/// That of work that came to nothing.
pub(super) const WORK: u8 = 1;

/// The last line of a program that gets no more memory; Rust has said how much it asked for.
const NO_MEMORY: &str = "\
error: the system gives no more memory: there is none, or a limit (ulimit -v) forbids it; ask for less, as by a smaller batch
";

/// Lets the process end with a message and its exit code where an allocation fails.
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

/// The end of a command that went wrong.
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

    /// The work was done and found something wrong.
    pub(super) fn work(message: impl Into<String>) -> Failure {
        Failure::of(Kind::Work, message)
    }

    /// The system refused something that is no file.
    pub(super) fn system(message: impl Into<String>) -> Failure {
        Failure::of(Kind::System, message)
    }

    /// The operating system's answer to doing `action` to `path`.
    pub(super) fn io(path: &Path, action: &'static str, reason: io::Error) -> Failure {
        let file = path.display().to_string();
        let error = FileError::Io {
            file,
            action,
            reason,
        };
        error.into()
    }

    /// Somebody stopped the work, which was told.
    pub(super) fn stopped() -> Failure {
        Failure {
            message: String::new(),
            code: STOPPED,
        }
    }

    /// Nobody reads our output any more: nothing to say, and no fault.
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

    /// The same failure, with more to say.
    pub(super) fn and(mut self, more: &str) -> Failure {
        self.message += more;
        self
    }

    /// Prints the message, gives the exit code.
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
