//! Writing a file leaves the old one or the new one, and nothing else.

use std::fs;
use std::io;

use ganforge_data::files::{ArrayRef, NpzWriter, write_atomic};

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_new_content_replaces_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    for text in ["old", "new"] {
        write_atomic(&path, |file| file.write_all(text.as_bytes())).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

/// Who has the old file open goes on reading the old bytes, and what was written is what takes the name: nothing is copied
/// over the file that a crash could then leave half old, half new.
#[cfg(unix)]
#[test]
fn the_temporary_file_itself_takes_the_name() {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    for (old, new) in [(None, "first"), (Some("first"), "second, longer")] {
        let mut open = old.map(|_| fs::File::open(&path).unwrap());
        let mut written = None;
        write_atomic(&path, |file| {
            let all = names(folder.path());
            let part = all.iter().find(|name| name.ends_with(".part")).unwrap();
            written = Some(fs::metadata(folder.path().join(part)).unwrap().ino());
            file.write_all(new.as_bytes())
        })
        .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), written.unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), new);
        if let (Some(open), Some(old)) = (&mut open, old) {
            let mut text = String::new();
            open.read_to_string(&mut text).unwrap();
            assert_eq!(text, old);
        }
    }
}

#[test]
fn a_failing_writer_leaves_the_old_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    fs::write(&path, "old").unwrap();
    let error = write_atomic(&path, |file| {
        file.write_all(&[0; 1 << 20])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{}: cannot write: ", path.display())),
        "{message}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn an_unfinished_archive_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    fs::write(&path, "old").unwrap();
    let mut writer = NpzWriter::create(&path).unwrap();
    writer
        .add("w", ArrayRef::f32(&[100_000], &vec![0.0; 100_000]))
        .unwrap();
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.path()), ["a.npz"]);
}

#[test]
fn a_missing_folder_and_a_folder_in_the_way_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none").join("a.txt");
    let message = write_atomic(&path, |_| Ok(())).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "{}: cannot write: No such file or directory (os error 2)",
            path.display()
        )
    );
    let message = write_atomic(folder.path(), |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(
        message.ends_with("exists and is not a regular file"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    if testkit::is_roots(folder.path()) {
        return testkit::run_as_nobody("files_atomic::a_read_only_folder_is_named", folder.path());
    }
    let path = folder.path().join("a.txt");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let result = write_atomic(&path, |file| file.write_all(b"new"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("a.txt: cannot write: Permission denied"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_others_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    write_atomic(&file, |file| file.write_all(b"old")).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    write_atomic(&link, |file| file.write_all(b"new")).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&file), mode(&plain));
}
