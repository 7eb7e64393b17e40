//! What Python and NumPy make of our archives, and we of theirs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ganforge_data::files::{ArrayRef, NpzWriter, read_npz};

use super::{Folder, sample};

/// Runs Python with `path` as argument; `None` where there is no Python, or none that can import `module`.
fn python(module: &str, script: &str, path: &Path) -> Option<String> {
    if !testkit::has_python(module) {
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
