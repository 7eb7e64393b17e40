//! Errors of devices and their drivers.

/// An error of a device or its driver.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no device to compute on.
    #[error("no CUDA device: {reason}")]
    NoDevice {
        /// Why, and what would help.
        reason: String,
    },
    /// The device cannot do what was asked.
    #[error("{device}: {reason}")]
    Unsupported {
        /// Its name.
        device: String,
        /// What it lacks.
        reason: String,
    },
    /// The device's memory is exhausted.
    #[error("device memory exhausted: asked for {asked} bytes ({:.1} MiB), {free} bytes ({:.1} MiB) are free", mib(.asked), mib(.free))]
    Memory {
        /// Bytes asked for.
        asked: usize,
        /// Bytes that are free.
        free: usize,
    },
    /// A kernel that cannot be launched, or that failed.
    #[error("kernel {name}: {reason}")]
    Kernel {
        /// Its name; if several kernels ran since the host last waited, the candidates.
        name: String,
        /// What went wrong.
        reason: String,
    },
    /// A data set that a captured loop cannot read.
    #[error("captured loop: {what}")]
    Examples {
        /// What was expected and what came.
        what: String,
    },
    /// Another call of the driver that failed.
    #[error("{call}: {reason}")]
    Driver {
        /// What was called.
        call: &'static str,
        /// The driver's message.
        reason: String,
    },
}

crate::debug_as_display!(Error);

/// This module's result.
pub type Result<T> = std::result::Result<T, Error>;

fn mib(bytes: &usize) -> f64 {
    *bytes as f64 / 1048576.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::IsaError;

    /// `fn main() -> Result<(), Error>` prints an error's `Debug`.
    #[test]
    fn main_prints_the_message() {
        let memory = Error::Memory {
            asked: 1 << 20,
            free: 0,
        };
        let asked = "device memory exhausted: asked for 1048576 bytes (1.0 MiB), 0 bytes (0.0 MiB) are free";
        assert_eq!(format!("{memory:?}"), asked);
        let isa = IsaError::Unknown("mmx".into());
        assert_eq!(format!("{isa:?}"), isa.to_string());
    }
}
