//! Arrays that scripts of tests/fixtures made with PyTorch in f64.

use std::collections::HashMap;
use std::path::Path;

use ganforge_gan::files::{ArrayData, read_npz};

/// An array: its shape and its values.
pub(crate) type Array = (Vec<usize>, Vec<f64>);

/// The arrays of a file by name.
pub(crate) fn fixture(file: &str) -> HashMap<String, Array> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let arrays = read_npz(&folder.join(file)).expect("the file of a script");
    let values = arrays
        .into_iter()
        .filter_map(|(name, array)| match array.data {
            ArrayData::F64(values) => Some((name, (array.shape, values))),
            _ => None,
        });
    values.collect()
}

/// Refuses values that differ by more than 1e-12 of themselves, or of 1 where they are smaller.
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error < 1e-12, "{what}: {found}, expected {expected}");
    }
}
