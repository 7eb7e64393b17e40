//! File formats: reading and writing of NumPy arrays, with atomic writes.
//!
//! Files are untrusted: a header's claims are compared with the number of bytes before anything is
//! allocated, and every npz entry is checked against its CRC-32. Files are written under a temporary name, synced and
//! renamed, so that a crash or a full disk leaves the old file unchanged.
//!
//! ```
//! use ganforge_data::files::{ArrayRef, read_npz, write_npz};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("pair.npz");
//! let weights = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
//! write_npz(&path, [
//!     ("w".to_string(), ArrayRef::f32(&[2, 3], &weights)),
//!     ("step".to_string(), ArrayRef::u64(&[], &[7])),
//! ])?;
//! let entries = read_npz(&path)?;
//! assert_eq!(entries[0].0, "w");
//! assert_eq!(entries[0].1.shape, [2, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
pub(crate) mod atomic;
pub mod durable;
mod error;
pub(crate) mod gunzip;
mod input;
pub(crate) mod lmdb;
pub(crate) mod mat;
pub(crate) mod matrix;
pub(crate) mod npy;
mod npy_header;
mod npz;
mod pickle;
mod safetensors;
mod torch;
mod zip_entry;
pub(crate) mod zip_read;
mod zip_write;

pub use array::{Array, ArrayData, ArrayRef, DataRef, strided};
pub use atomic::{check_writable, write_atomic};
pub use error::{FileError, listed, shown};
pub use input::found;
pub use matrix::{beyond_f32, read_matrix_f32, read_matrix_f32_noting};
pub use npy::{read_npy, write_npy};
pub use npz::{NpzReader, NpzWriter, read_npz, write_npz};
pub use safetensors::{Safetensors, write_safetensors};
pub use torch::read_torch;

pub(crate) use input::{Input, check_regular, read_regular};

/// No deflate stream grows by more than this: two bits may stand for 258 bytes.
pub(crate) const MOST_COMPRESSION: u64 = 1032;
