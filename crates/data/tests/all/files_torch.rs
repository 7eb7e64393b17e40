//! Files of torch.save, of both forms. fixtures/make_torch.py makes them.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge_data::files::{Array, ArrayData, read_torch};
use half::f16;
use proptest::prelude::*;
use tempfile::TempDir;

/// Bytes of the storages of kinds.stream.pth, each with its count.
const STORAGES: usize = 9 * 8 + 24 + 96 + 6 + 6 + 24 + 3 + 12 + 8;
const FORMS: [&str; 2] = ["stream", "zip"];

fn fixture(name: &str, form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/torch/{name}.{form}.pth"))
}

/// A file to write and read again.
struct Scratch {
    _folder: TempDir,
    path: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pth");
        Self {
            _folder: folder,
            path,
        }
    }

    /// The tensors of a file of these bytes, or what is said of them.
    fn read(&self, bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
        fs::write(&self.path, bytes).unwrap();
        read_torch(&self.path).map_err(|error| {
            let (error, place) = (error.to_string(), self.path.display().to_string());
            let is_clear = error.starts_with(&place) && !error.contains('\n');
            assert!(is_clear, "{error}");
            error[place.len()..].to_string()
        })
    }
}

/// What is refused.
fn refused(bytes: &[u8]) -> String {
    Scratch::new().read(bytes).expect_err("refused")
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(from));
    let at = at.unwrap_or_else(|| panic!("no {}", from.escape_ascii()));
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn f32s(shape: &[usize], values: impl IntoIterator<Item = u16>) -> Array {
    Array {
        shape: shape.to_vec(),
        data: ArrayData::F32(values.into_iter().map(f32::from).collect()),
    }
}

#[test]
fn both_forms_hold_the_same_tensors_of_all_kinds() {
    let of_3 = |data: ArrayData| Array {
        shape: vec![3],
        data,
    };
    let expected = [
        ("a", f32s(&[2, 3], 0..6)),
        ("turned", f32s(&[3, 2], [0, 3, 1, 4, 2, 5])),
        ("part", f32s(&[2, 4], 8..16)),
        ("column", f32s(&[6], [1, 5, 9, 13, 17, 21])),
        (
            "half",
            of_3(ArrayData::F16([0.0, 1.0, 2.0].map(f16::from_f32).to_vec())),
        ),
        ("brain", f32s(&[3], 0..3)),
        ("double", of_3(ArrayData::F64(vec![0.0, 1.0, 2.0]))),
        ("byte", of_3(ArrayData::U8(vec![0, 1, 2]))),
        ("int", of_3(ArrayData::I32(vec![0, 1, 2]))),
        (
            "count",
            Array {
                shape: vec![],
                data: ArrayData::I64(vec![7]),
            },
        ),
        ("empty", f32s(&[0, 3], [])),
    ];
    let expected = expected.map(|(name, array)| (name.to_string(), array));
    for (name, form) in [
        ("kinds", "stream"),
        ("kinds", "zip"),
        ("protocol4", "stream"),
    ] {
        let found = read_torch(&fixture(name, form)).unwrap();
        assert_eq!(found, expected, "{name}, {form}");
    }
}

#[test]
fn modules_and_parameters_are_read() {
    let parameters = [
        ("0.weight", f32s(&[2, 1, 1, 1], 0..2)),
        ("0.bias", f32s(&[2], 0..2)),
        ("1.weight", f32s(&[2], 0..2)),
        ("1.bias", f32s(&[2], 0..2)),
    ];
    let parameters = parameters.map(|(name, array)| (name.to_string(), array));
    for form in FORMS {
        let module = read_torch(&fixture("module", form)).unwrap();
        let names: Vec<&str> = module[4..].iter().map(|(name, _)| &**name).collect();
        assert_eq!(module[..4], parameters, "{form}");
        assert_eq!(
            names,
            ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
        );
        assert_eq!(module[6].1.data, ArrayData::I64(vec![0]));
        let found = read_torch(&fixture("parameters", form)).unwrap();
        assert_eq!(found, parameters, "{form}");
    }
}

#[test]
fn foreign_objects_are_refused_by_their_names() {
    for form in FORMS {
        let message = refused(&fs::read(fixture("foreign", form)).unwrap());
        assert!(
            message.contains("refers to fractions.Fraction"),
            "{message}"
        );
        let message = refused(&fs::read(fixture("mask", form)).unwrap());
        assert!(
            message.starts_with(":keep: unsupported dtype Bool"),
            "{message}"
        );
    }
    // In each of the pickles of a stream.
    let good = fs::read(fixture("kinds", "stream")).unwrap();
    for (before, which) in [
        (&b""[..], "magic number"),
        (b"\x50\x19.", "version"),
        (b"\x4d\xe9\x03.", "machine"),
        (b"uu.", "tensors"),
        (b"qau.", "storages"),
    ] {
        let evil = [before, b"\x80\x02cos\nsystem\n"].concat();
        let message = refused(&replaced(&good, before, &evil));
        let expected = format!(": its pickle of the {which}: refers to os.system");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn what_is_no_such_file_says_why() {
    let good = fs::read(fixture("kinds", "stream")).unwrap();
    let with = |from: &[u8], to: &[u8]| refused(&replaced(&good, from, to));
    let mut count = good.clone();
    count[good.len() - STORAGES] += 1;
    for (message, part) in [
        (
            refused(b""),
            "not a file of torch.save: it starts with nothing",
        ),
        (
            refused(b"\x93NUMPY"),
            "not a file of torch.save: it starts with 93 4e",
        ),
        (
            refused(b"\x80\x02K\x01."),
            "is a pickle, but not a file of torch.save",
        ),
        (
            with(b"M\xe9\x03.", b"M\xea\x03."),
            "its pickle of the version: is not 1001",
        ),
        (
            with(b"q\x02\x88", b"q\x02\x89"),
            "its numbers are big-endian",
        ),
        (with(b"byte", b"half"), "array `half` occurs twice"),
        (
            with(b"K\x08K\x02K\x04\x86", b"K\x20K\x02K\x04\x86"),
            ":part: shape [2, 4], strides [4, 1] from 32 on, of 24 elements",
        ),
        (with(b"K\x06Nt", b"K\x07Nt"), ":turned: describes storage "),
        (
            with(b"K\x03Nt", b"J\xff\xff\xff\x7fNt"),
            "9 storages that end at byte 4294968931, but there are 1643 bytes",
        ),
        (refused(&count), "elements has "),
        (
            refused(&[&good[..], b"\0\0"].concat()),
            "2 bytes too many after the 1640 bytes its header announces",
        ),
        (
            refused(&good[..good.len() - 1]),
            "storages that end at byte 1640, but there are 1639 bytes",
        ),
    ] {
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(form in 0..2_usize, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut bytes = fs::read(fixture("kinds", FORMS[form])).unwrap();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(tensors) = Scratch::new().read(&bytes) {
            let size: usize = tensors.iter().map(|(_, array)| array.data.len()).sum();
            prop_assert!(size <= bytes.len());
            for (name, array) in tensors {
                prop_assert_eq!(array.shape.iter().product::<usize>(), array.data.len(), "{}", name);
            }
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let file = Scratch::new();
    for (name, form) in [
        ("kinds", "stream"),
        ("kinds", "zip"),
        ("protocol4", "stream"),
    ] {
        let bytes = fs::read(fixture(name, form)).unwrap();
        for cut in 0..bytes.len() {
            assert!(file.read(&bytes[..cut]).is_err(), "{name}, {form}, {cut}");
        }
    }
}
