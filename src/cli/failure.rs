//! Why a command did not do what it was asked, and its exit code.

use std::process::ExitCode;

use ganforge::gan;

use super::output;

/// The end of a command that went wrong.
pub(super) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The caller gave something that cannot be used: exit code 2.
    pub(super) fn input(message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure { message, code: 2 }
    }

    /// The work was done and found something wrong: exit code 1.
    pub(super) fn work(message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure { message, code: 1 }
    }

    /// Somebody stopped the work, which was told: exit code 130, as shells have it for Ctrl-C.
    pub(super) fn stopped() -> Failure {
        let message = String::new();
        Failure { message, code: 130 }
    }

    /// Nobody reads our output any more: nothing to say, and no fault.
    pub(super) fn silent() -> Failure {
        let message = String::new();
        Failure { message, code: 0 }
    }

    /// Prints the message, gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            output::tell(&format!("error: {}", self.message));
        }
        ExitCode::from(self.code)
    }
}

impl From<gan::Error> for Failure {
    fn from(error: gan::Error) -> Failure {
        Failure {
            code: if error.is_bad_input() { 2 } else { 1 },
            message: error.to_string(),
        }
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
