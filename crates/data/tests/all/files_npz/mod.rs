//! npy and npz files: what is written is read back, by NumPy too, and what is damaged is refused.

mod archives;
mod python;
mod refused;

use std::fs;
use std::path::{Path, PathBuf};

use ganforge_data::files::{
    Array, ArrayData, ArrayRef, DataRef, read_matrix_f32, read_npy, read_npz, write_npy, write_npz,
};
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
fn a_header_is_padded_to_64_bytes() {
    let folder = Folder::new();
    let path = folder.path("a.npy");
    for (shape, dict) in [
        (
            &[2, 2][..],
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, ), }",
        ),
        (
            &[],
            "{'descr': '<f8', 'fortran_order': False, 'shape': (), }",
        ),
    ] {
        let values = vec![1.0; shape.iter().product()];
        write_npy(&path, ArrayRef::f64(shape, &values)).unwrap();
        let bytes = fs::read(&path).unwrap();
        let expected = format!("{dict:117}\n");
        let start = [b"\x93NUMPY\x01\0\x76\0", expected.as_bytes()].concat();
        assert!(bytes.starts_with(&start) && bytes.len() == 128 + 8 * values.len());
    }
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
fn fortran_order_and_big_endian_numbers_are_read() {
    let folder = Folder::new();
    // a[i, j, k] = 100 i + 10 j + k, with i fastest in the file, as np.asfortranarray leaves it.
    let shape = [2, 3, 4];
    let value = |i: usize, j: usize, k: usize| (100 * i + 10 * j + k) as i32;
    let mut bytes = Vec::new();
    for k in 0..4 {
        for j in 0..3 {
            (0..2).for_each(|i| bytes.extend(value(i, j, k).to_be_bytes()));
        }
    }
    let text = header("'>i4'", "True", "(2, 3, 4)");
    let array = read_npy(&folder.with("a.npy", &npy(&text, &bytes))).unwrap();
    let each = |n: usize| value(n / 12, n / 4 % 3, n % 4);
    let expected: Vec<i32> = (0..24).map(each).collect();
    assert_eq!(
        (&array.shape[..], array.data),
        (&shape[..], ArrayData::I32(expected))
    );
    let none = npy(
        &header("'<f4'", "True", "(1099511627776, 1099511627776, 0)"),
        &[],
    );
    assert!(
        read_npy(&folder.with("a.npy", &none))
            .unwrap()
            .data
            .is_empty()
    );
    for (descr, bytes) in [
        ("'>f2'", &[0x3c, 0x00, 0xc0, 0x00][..]),
        ("'>f4'", &[0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]),
        (
            "'>f8'",
            &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        let path = folder.with("a.npy", &npy(&header(descr, "False", "(1, 2)"), bytes));
        assert_eq!(
            read_matrix_f32(&path).unwrap(),
            (1, 2, vec![1.0, -2.0]),
            "{descr}"
        );
    }
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
