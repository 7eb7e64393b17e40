//! npy and npz files: what is written is read back, by NumPy too, and what is damaged is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ganforge_gan::files::{
    Array, ArrayData, ArrayRef, DataRef, NpzReader, NpzWriter, read_matrix_f32, read_npy, read_npz,
    write_npy, write_npz,
};
use proptest::prelude::*;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// An npy file with any header text.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

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

fn sample(path: &Path) {
    let f32s = [1.5_f32, -2.0, f32::NAN, 4.0, 5.0, 6.0];
    write_npz(
        path,
        [
            ("G.h0.w".to_string(), ArrayRef::f32(&[2, 3], &f32s)),
            ("0/loss/d".to_string(), ArrayRef::f64(&[], &[0.25])),
            ("step".to_string(), ArrayRef::u64(&[], &[1 << 63])),
            (
                "ints".to_string(),
                ArrayRef {
                    shape: &[2],
                    data: DataRef::I32(&[-1, 7]),
                },
            ),
            (
                "longs".to_string(),
                ArrayRef {
                    shape: &[1],
                    data: DataRef::I64(&[i64::MIN]),
                },
            ),
            (
                "words".to_string(),
                ArrayRef {
                    shape: &[1],
                    data: DataRef::U32(&[u32::MAX]),
                },
            ),
            ("config".to_string(), ArrayRef::u8(&[4], b"a=\xc3\xa4")),
            ("none".to_string(), ArrayRef::f32(&[0, 7], &[])),
        ],
    )
    .unwrap();
}

#[test]
fn every_type_comes_back_in_order() {
    let folder = Folder::new();
    let path = folder.path("all.npz");
    sample(&path);
    let arrays = read_npz(&path).unwrap();
    let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "G.h0.w", "0/loss/d", "step", "ints", "longs", "words", "config", "none"
        ]
    );
    let ArrayData::F32(values) = &arrays[0].1.data else {
        panic!("not f32")
    };
    assert!(values[2].is_nan() && values[5] == 6.0 && arrays[0].1.shape == [2, 3]);
    assert_eq!(
        arrays[1].1,
        Array {
            shape: vec![],
            data: ArrayData::F64(vec![0.25])
        }
    );
    assert_eq!(arrays[2].1.data, ArrayData::U64(vec![1 << 63]));
    assert_eq!(arrays[3].1.data, ArrayData::I32(vec![-1, 7]));
    assert_eq!(arrays[4].1.data, ArrayData::I64(vec![i64::MIN]));
    assert_eq!(arrays[5].1.data, ArrayData::U32(vec![u32::MAX]));
    assert_eq!(arrays[6].1.as_text(), Some("a=ä"));
    assert_eq!(arrays[7].1.shape, [0, 7]);
    assert!(arrays[7].1.data.is_empty());
}

#[test]
fn equal_content_gives_equal_bytes() {
    let folder = Folder::new();
    let (a, b) = (folder.path("a.npz"), folder.path("b.npz"));
    sample(&a);
    sample(&b);
    assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
}

#[test]
fn npyz_reads_what_we_write() {
    let folder = Folder::new();
    let path = folder.path("a.npy");
    write_npy(&path, ArrayRef::f64(&[2, 2], &[1.0, 2.0, 3.0, 4.0])).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!(file.shape(), [2, 2]);
    assert_eq!(file.into_vec::<f64>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

/// Runs Python with `path` as argument; `None` where there is no Python, or none that can import `module`.
fn python(module: &str, script: &str, path: &Path) -> Option<String> {
    let import = Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .output();
    if !import.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 cannot import {module}");
        return None;
    }
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn numpy_opens_our_archives() {
    let folder = Folder::new();
    let path = folder.path("all.npz");
    sample(&path);
    let script = "import sys, numpy as np\nz = np.load(sys.argv[1])\nassert len(z.files) == 8\n\
                  assert z['G.h0.w'].dtype == np.float32 and z['G.h0.w'][1, 2] == 6\n\
                  assert z['0/loss/d'].shape == () and z['step'] == 2**63\nprint(bytes(z['config']).decode())";
    if let Some(text) = python("numpy", script, &path) {
        assert_eq!(text, "a=ä\n");
    }
}

#[test]
fn we_open_archives_of_numpy() {
    let folder = Folder::new();
    let path = folder.path("np.npz");
    let script = "import sys, numpy as np\nnp.savez_compressed(sys.argv[1], a=np.arange(6.0).reshape(2, 3), b=np.uint8(3))";
    if python("numpy", script, &path).is_some() {
        let arrays = read_npz(&path).unwrap();
        assert_eq!(
            arrays[0].1.as_ref(),
            ArrayRef::f64(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        );
        assert_eq!(arrays[1].1.as_ref(), ArrayRef::u8(&[], &[3]));
    }
}

#[test]
fn python_zipfile_finds_nothing_wrong() {
    let folder = Folder::new();
    let path = folder.path("all.npz");
    sample(&path);
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nprint(z.testzip(), len(z.namelist()))";
    if let Some(text) = python("zipfile", script, &path) {
        assert_eq!(text, "None 8\n");
    }
}

/// A compressed archive made by Python's zipfile: `entries` is Python source of (name, bytes) pairs.
fn zipped(folder: &Folder, entries: &str) -> Option<PathBuf> {
    let path = folder.path("py.npz");
    let script = format!(
        "import sys, zipfile, warnings\nwarnings.simplefilter('ignore')\n\
         head = lambda shape: (lambda h: b'\\x93NUMPY\\x01\\x00' + len(h).to_bytes(2, 'little') + h)(\
         (\"{{'descr': '|u1', 'fortran_order': False, 'shape': %r}}\\n\" % (shape,)).encode())\n\
         with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n    for n, b in {entries}: z.writestr(n, b)"
    );
    python("zipfile", &script, &path).map(|_| path)
}

#[test]
fn compressed_entries_are_read() {
    let folder = Folder::new();
    let Some(path) = zipped(&folder, "[('a.npy', head((3,)) + bytes([1, 2, 3]))]") else {
        return;
    };
    assert_eq!(
        read_npz(&path).unwrap()[0].1.as_ref(),
        ArrayRef::u8(&[3], &[1, 2, 3])
    );
}

#[test]
fn zip_bombs_are_refused() {
    let folder = Folder::new();
    let size = 65 << 20;
    let Some(path) = zipped(
        &folder,
        &format!("[('a.npy', head(({size},)) + bytes({size}))]"),
    ) else {
        return;
    };
    let message = read_npz(&path).unwrap_err().to_string();
    assert!(message.contains("at most 100 times"), "{message}");
}

#[test]
fn two_arrays_of_one_name_are_refused() {
    let folder = Folder::new();
    let path = folder.path("a.npz");
    let mut writer = NpzWriter::create(&path).unwrap();
    writer.add("w", ArrayRef::u8(&[1], &[0])).unwrap();
    let error = writer
        .add("w", ArrayRef::u8(&[1], &[0]))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("a.npz: array `w` occurs twice"), "{error}");
    drop(writer);
    assert_eq!(
        fs::read_dir(folder.0.path()).unwrap().count(),
        0,
        "nothing is left of an unfinished archive"
    );
    let Some(path) = zipped(
        &folder,
        "[('w.npy', head((1,)) + b'1'), ('w.npy', head((1,)) + b'2')]",
    ) else {
        return;
    };
    let error = read_npz(&path).unwrap_err().to_string();
    assert!(error.contains("occurs twice"), "{error}");
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
            "truncated or lying header: it announces shape [2, 3] of <f4, but 20 bytes",
        ),
        (good[..30].to_vec(), "it announces a header of"),
        ([&good[..], b"xy"].concat(), "2 bytes too many"),
        (
            npy(&header("'>f4'", "False", "(2,)"), &[0; 8]),
            "big-endian float32",
        ),
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
            npy(&header("'<f4'", "True", "(2, 3)"), &[0; 24]),
            "fortran order is not supported: save it with np.ascontig",
        ),
        (
            npy(
                &header("'<f4'", "False", "(1152921504606846976,)"),
                &[0; 24],
            ),
            "shape [1152921504606846976] of <f4, but 24",
        ),
        (
            npy(
                &header("'<f4'", "False", "(4294967296, 4294967296, 4)"),
                &[0; 24],
            ),
            "lying header",
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
fn harmless_variants_are_read() {
    let folder = Folder::new();
    let two = [0, 0, 128, 63, 0, 0, 0, 64];
    for text in [
        "{'shape':(2L,),'fortran_order':False,\"descr\":\"<f4\"}",
        "{ 'descr' : '<f4' , 'fortran_order' : True , 'shape' : ( 2 , ) }  \n",
    ] {
        let array = read_npy(&folder.with("a.npy", &npy(text, &two))).unwrap();
        assert_eq!(array.as_ref(), ArrayRef::f32(&[2], &[1.0, 2.0]));
    }
    let claims_much_of_nothing = npy(&header("'<f4'", "False", "(1152921504606846976, 0)"), &[]);
    assert!(
        read_npy(&folder.with("a.npy", &claims_much_of_nothing))
            .unwrap()
            .data
            .is_empty()
    );
}

#[test]
fn a_matrix_comes_from_any_of_the_forms() {
    let folder = Folder::new();
    let npy = folder.path("a.npy");
    write_npy(
        &npy,
        ArrayRef::f64(&[2, 1, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
    )
    .unwrap();
    let expected = (2, 3, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(read_matrix_f32(&npy).unwrap(), expected);
    let npz = folder.path("a.npz");
    write_npz(&npz, [("x".to_string(), ArrayRef::u8(&[1, 2], &[0, 255]))]).unwrap();
    assert_eq!(read_matrix_f32(&npz).unwrap(), (1, 2, vec![0.0, 1.0]));
    assert_eq!(
        read_matrix_f32(&folder.path("a.npz:x")).unwrap(),
        (1, 2, vec![0.0, 1.0])
    );
    let missing = read_matrix_f32(&folder.path("a.npz:y"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("has no array `y`; it has x"), "{missing}");
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
            "value inf at row 0, column 1",
        ),
        (ArrayRef::f32(&[0, 784], &[]), "holds no rows"),
        (ArrayRef::f32(&[3, 0], &[]), "holds no columns"),
        (
            ArrayRef::f32(&[3], &[0.0; 3]),
            "expected shape [N, d], [N, h, w] or [N, c, h, w], got [3]",
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
        message.contains("holds several arrays: name one as"),
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
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

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
