//! What networks saw of reference images, in files beside the data.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::data::Cache;
use crate::files::{ArrayData, ArrayRef, FileError, NpzReader, NpzWriter, found};
use crate::metrics::Seen;

/// The version of what is kept. Raise it with each change that may move what a network says of the same images by a bit (kernels,
/// resizing, batch norm, the order of images in a set): files of an older version are not read any more.
pub(super) const FORMAT: u64 = 2;

/// The most bytes of values in one file.
const LARGEST: u64 = 1 << 30;
/// The most bytes of all files together.
const ALL: u64 = 4 << 30;

/// The folder of such files: `features` in the cache. A file is called after the start of its key, and has the whole key inside.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) fn of(cache: &Cache) -> Kept {
        Kept {
            folder: cache.root().join("features"),
        }
    }

    /// The file of `key`, which is hexadecimal.
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key:.32}.npz"))
    }

    /// What is kept under `key`: of n images d features and a logit for each class; nothing where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or has another key or other sizes.
    pub(super) fn read(
        &self,
        key: &str,
        [n, d, classes]: [usize; 3],
    ) -> Result<Option<Seen>, FileError> {
        let path = self.path(key);
        if found(&path)?.is_none() {
            return Ok(None);
        }
        let refuse = |reason: &str| FileError::malformed(&path.display().to_string(), reason);
        let mut npz = NpzReader::open(&path)?;
        if npz.read("key")?.as_text() != Some(key) {
            return Err(refuse("is of other images or of another network"));
        }
        let mut values = |name: &str, width: usize| {
            let array = npz.read(name)?;
            match array.data {
                ArrayData::F32(values) if array.shape == [n, width] => Ok(values),
                _ => Err(refuse("has features of another size")),
            }
        };
        Ok(Some(Seen {
            features: values("features", d)?,
            d,
            logits: values("logits", classes)?,
            classes,
        }))
    }

    /// Keeps `seen` under `key` and removes the oldest files where all together would be too large; whether it was kept, which it
    /// is not where it is too large by itself.
    ///
    /// # Errors
    /// What the system refuses.
    pub(super) fn write(&self, key: &str, seen: &Seen) -> Result<bool, FileError> {
        let bytes = 4 * (seen.features.len() + seen.logits.len()) as u64;
        if bytes > LARGEST {
            return Ok(false);
        }
        fs::create_dir_all(&self.folder).map_err(|e| FileError::io(&self.folder, "create", e))?;
        self.make_room(ALL - bytes)?;
        let mut npz = NpzWriter::create(&self.path(key))?;
        npz.add_text("key", key)?;
        let n = seen.n();
        npz.add("features", ArrayRef::f32(&[n, seen.d], &seen.features))?;
        npz.add("logits", ArrayRef::f32(&[n, seen.classes], &seen.logits))?;
        npz.finish()?;
        Ok(true)
    }

    /// Removes the oldest files until all together have at most `most` bytes.
    fn make_room(&self, most: u64) -> Result<(), FileError> {
        let read = |e| FileError::io(&self.folder, "read", e);
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            // Another process may have removed it meanwhile.
            if let Some(about) = found(&path)?.filter(fs::Metadata::is_file) {
                let age = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                files.push((age, about.len(), path));
            }
        }
        files.sort();
        let mut all: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if all <= most {
                break;
            }
            remove(&path)?;
            all -= bytes;
        }
        Ok(())
    }
}

/// Removes a file, which another process may have removed meanwhile.
fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(FileError::io(path, "remove", e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: f32) -> Seen {
        Seen {
            features: vec![value; 6],
            d: 3,
            logits: vec![value, 1.0],
            classes: 1,
        }
    }

    #[test]
    fn what_is_kept_is_found_by_the_whole_key_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(&Cache::at(folder.path()));
        let [key, like] = ["ab", "cd"].map(|end| "0".repeat(62) + end);
        assert_eq!(kept.read(&key, [2, 3, 1]).expect("read"), None);
        assert!(kept.write(&key, &seen(0.5)).expect("written"));
        assert_eq!(kept.read(&key, [2, 3, 1]).expect("read"), Some(seen(0.5)));
        let reason = |key: &str, sizes| kept.read(key, sizes).expect_err("refused").to_string();
        let error = reason(&like, [2, 3, 1]);
        assert!(
            error.ends_with("is of other images or of another network"),
            "{error}"
        );
        let error = reason(&key, [3, 2, 1]);
        assert!(error.ends_with("has features of another size"), "{error}");
        let bytes = fs::read(kept.path(&key)).expect("there");
        fs::write(kept.path(&key), &bytes[..bytes.len() - 40]).expect("written");
        assert!(!reason(&key, [2, 3, 1]).is_empty());
    }

    #[test]
    fn the_oldest_files_make_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(&Cache::at(folder.path()));
        let keys: Vec<String> = (0..3).map(|i| i.to_string().repeat(64)).collect();
        for (i, key) in keys.iter().enumerate() {
            kept.write(key, &seen(i as f32)).expect("written");
            let file = fs::File::options().append(true).open(kept.path(key));
            let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64);
            file.expect("there").set_modified(then).expect("set");
        }
        let size = fs::metadata(kept.path(&keys[0])).expect("there").len();
        kept.make_room(2 * size).expect("made");
        let there: Vec<bool> = keys.iter().map(|key| kept.path(key).is_file()).collect();
        assert_eq!(there, [false, true, true]);
    }
}
