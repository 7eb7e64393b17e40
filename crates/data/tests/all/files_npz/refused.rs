//! What is malformed, damaged or unfit: an error each, and never a panic.

use std::fs;
use std::path::Path;

use ganforge_data::files::{
    Array, ArrayRef, NpzReader, read_matrix_f32, read_npy, read_npz, write_npy,
};
use proptest::prelude::*;

use super::{Folder, header, npy, sample};

fn message_of(path: &Path) -> String {
    let message = read_npy(path).unwrap_err().to_string();
    assert!(
        message.starts_with(&path.display().to_string()),
        "{message}"
    );
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "{message}"
    );
    message
}

#[test]
fn a_missing_array_is_named_with_those_there_are() {
    let folder = Folder::new();
    let path = folder.path("a.npz");
    sample(&path);
    let error = NpzReader::open(&path)
        .unwrap()
        .read("w")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("has no array `w`; it has G.h0.w, 0/loss/d"),
        "{error}"
    );
}

#[test]
fn each_malformed_npy_has_its_message() {
    let folder = Folder::new();
    let good = npy(&header("'<f4'", "False", "(2, 3)"), &[0; 24]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            vec![],
            "not an npy array: it starts with nothing: it is empty",
        ),
        (
            b"hello world".to_vec(),
            "not an npy array: it starts with 68 65 6c",
        ),
        (b"\x93NUMPY\x09\x00abc".to_vec(), "npy version 9"),
        (
            good[..good.len() - 4].to_vec(),
            "truncated or wrong header: it announces shape [2, 3] of <f4, but there are 20 bytes",
        ),
        (good[..30].to_vec(), "it announces a header of"),
        ([&good[..], b"xy"].concat(), "2 bytes too many"),
        (
            npy(&header("'|b1'", "False", "(2,)"), &[0; 2]),
            "unsupported dtype bool",
        ),
        (
            npy(&header("'<c8'", "False", "(2,)"), &[0; 16]),
            "unsupported dtype complex64",
        ),
        (
            npy(&header("'|O'", "False", "(2,)"), &[0; 16]),
            "unsupported dtype object",
        ),
        (
            npy(&header("'<f16'", "False", "(2,)"), &[0; 32]),
            "unsupported dtype float128",
        ),
        (
            npy(&header("'<U3'", "False", "(2,)"), &[0; 24]),
            "unsupported dtype `<U3`",
        ),
        (
            npy(
                &header(
                    "[('a', '<f4', (2,)), ('b', [('c', '<i4')])]",
                    "False",
                    "(2,)",
                ),
                &[0; 8],
            ),
            "structured records",
        ),
        (
            npy(&header("'nonsense'", "False", "(2,)"), &[0; 8]),
            "unsupported dtype `nonsense`",
        ),
        (
            npy(
                &header("'<f4'", "False", "(1152921504606846976,)"),
                &[0; 24],
            ),
            "shape [1152921504606846976] of <f4, but there are 24",
        ),
        (
            npy(
                &header("'<f4'", "False", "(4294967296, 4294967296, 4)"),
                &[0; 24],
            ),
            "wrong header",
        ),
        (
            npy(
                &header("'<f4'", "False", "(99999999999999999999,)"),
                &[0; 24],
            ),
            "not a number below 2^64",
        ),
        (
            npy(&header("'<f4'", "False", "(-1,)"), &[0; 24]),
            "not a number",
        ),
        (
            npy(&header("'<f4'", "maybe", "(2,)"), &[0; 8]),
            "neither True nor False",
        ),
        (
            npy("{'descr': '<f4', 'shape': (2,)}", &[0; 8]),
            "no key 'fortran_order'",
        ),
        (
            npy("{'descr': '<f4', 'shape': (2,), 'x': 1}", &[0; 8]),
            "unknown key 'x'",
        ),
        (
            npy("{'descr': '<f4', 'descr': '<f4'}", &[0; 8]),
            "occurs twice",
        ),
        (npy(&"(".repeat(9000), &[]), "expected `{`"),
        (
            npy(
                &format!("{}{}", header("'<f4'", "False", "(2,)"), " ".repeat(20_000)),
                &[0; 8],
            ),
            "at most 10000",
        ),
    ];
    for (bytes, part) in cases {
        let message = message_of(&folder.with("a.npy", &bytes));
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    assert!(message_of(&folder.path("missing.npy")).contains("cannot open: No such file"));
}

#[test]
fn an_unfit_matrix_is_refused() {
    let folder = Folder::new();
    let path = folder.path("a.npy");
    let cases: [(ArrayRef<'_>, &str); 6] = [
        (
            ArrayRef::f32(&[2, 2], &[0.0, 1.0, 2.0, f32::NAN]),
            "value NaN at row 1, column 1: expected finite numbers",
        ),
        (
            ArrayRef::f64(&[1, 2], &[0.0, 1e300]),
            "value 1e300 at row 0, column 1: expected numbers that are not too large for float32",
        ),
        (ArrayRef::f32(&[0, 784], &[]), "contains no rows"),
        (ArrayRef::f32(&[3, 0], &[]), "contains no columns"),
        (
            ArrayRef::f32(&[3], &[0.0; 3]),
            "expected shape [N, d], [N, h, w] or [N, h, w, c], got [3]",
        ),
        (
            ArrayRef::u64(&[1, 1], &[0]),
            "unsupported dtype uint64: expected float16, float32, float64 or uint8, as images",
        ),
    ];
    for (array, part) in cases {
        write_npy(&path, array).unwrap();
        let message = read_matrix_f32(&path).unwrap_err().to_string();
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    let npz = folder.path("a.npz");
    sample(&npz);
    let message = read_matrix_f32(&npz).unwrap_err().to_string();
    assert!(
        message.contains("contains several arrays: choose one as"),
        "{message}"
    );
    let message = read_matrix_f32(&folder.with("b.npy", b"\x00\x00\x08\x03"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("not an npy or npz file: it starts with 00 00 08 03"),
        "{message}"
    );
}

#[test]
fn a_shape_that_does_not_fit_the_values_is_not_written() {
    let folder = Folder::new();
    let path = folder.path("a.npy");
    let error = write_npy(&path, ArrayRef::f32(&[2, 2], &[0.0; 3]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected shape of 3 values, got [2, 2]"),
        "{error}"
    );
    assert!(!path.exists());
}

/// Whether the archives hold the same arrays, bit for bit.
fn same(a: &[(String, Array)], b: &[(String, Array)]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

#[test]
fn any_flipped_bit_is_an_error_or_changes_nothing() {
    let folder = Folder::new();
    let path = folder.path("a.npz");
    sample(&path);
    let (good, arrays) = (fs::read(&path).unwrap(), read_npz(&path).unwrap());
    let directory = good
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    // Every 11th bit: all positions in a byte, and every field of every record, in a second.
    for bit in (0..good.len() * 8).step_by(11) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bad).unwrap();
        match read_npz(&path) {
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            Ok(read) => {
                let harmless = same(&read, &arrays);
                assert!(harmless, "bit {bit} changed the content unnoticed");
                // Only fields that carry nothing: times, versions, flags, attributes.
                let in_record = bit / 8 >= directory
                    || good[..=bit / 8]
                        .windows(4)
                        .rev()
                        .take(30)
                        .any(|b| b == b"PK\x03\x04");
                assert!(in_record, "bit {bit} lies in an array's bytes");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn truncated_archives_are_errors(cut in 0.0..1.0_f64) {
        let folder = Folder::new();
        let path = folder.path("a.npz");
        sample(&path);
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..(cut * good.len() as f64) as usize]).unwrap();
        prop_assert!(read_npz(&path).is_err());
    }

    #[test]
    fn overwritten_archives_never_panic(at in 0.0..1.0_f64, from_end: bool, bytes in prop::collection::vec(any::<u8>(), 1..12)) {
        let folder = Folder::new();
        let path = folder.path("a.npz");
        sample(&path);
        let mut archive = fs::read(&path).unwrap();
        // The last kilobyte is the directory: worth half of the cases.
        let span = if from_end { 1000 } else { archive.len() } - bytes.len();
        let at = archive.len() - bytes.len() - (at * span as f64) as usize;
        archive[at..at + bytes.len()].copy_from_slice(&bytes);
        fs::write(&path, &archive).unwrap();
        let _ = read_npz(&path);
    }

    #[test]
    fn damaged_npy_files_never_panic(at in 0_usize..150, byte: u8, cut in 0_usize..200) {
        let folder = Folder::new();
        let mut bytes = npy(&header("'<f4'", "False", "(2, 3)"), &[0; 24]);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1));
        let _ = read_npy(&folder.with("a.npy", &bytes));
        let _ = read_matrix_f32(&folder.path("a.npy"));
    }

    #[test]
    fn any_header_text_is_survived(text in "[{}()\\[\\]':,<f48|u1O TrueFalsdhpcotn_0-9]{0,80}") {
        let folder = Folder::new();
        let _ = read_npy(&folder.with("a.npy", &npy(&text, &[0; 24])));
    }

    #[test]
    fn any_shape_is_allocated_only_if_it_is_there(dims in prop::collection::vec(prop_oneof![0..9_u64, (0..64_u32).prop_map(|b| 1 << b)], 0..5)) {
        let folder = Folder::new();
        let shape: String = dims.iter().map(|dim| format!("{dim}, ")).collect();
        let bytes = npy(&header("'<f8'", "False", &format!("({shape})")), &[0; 64]);
        let product = dims.iter().map(|&dim| u128::from(dim)).fold(1_u128, u128::saturating_mul);
        let empty = dims.contains(&0);
        let read = read_npy(&folder.with("a.npy", &bytes));
        prop_assert_eq!(read.is_ok(), !empty && product == 8);
    }
}
