//! The list of parts that is published with CelebA: `list_eval_partition.txt`, a line `000001.jpg 0` for each picture, 0 to
//! train, 1 to validate, 2 to test.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::files::{FileError, read_regular, shown};
use crate::hash;

/// The name of the list.
pub(super) const NAME: &str = "list_eval_partition.txt";

/// Which part each picture is of.
pub(super) struct Partition {
    place: String,
    parts: HashMap<String, usize>,
    /// SHA-256 of the file.
    pub(super) sum: String,
}

impl Partition {
    /// The list in the folder `path`, or else in the folder that the folder or archive `path` lies in; `None` where there is
    /// none.
    ///
    /// errors: a list that cannot be read
    pub(super) fn of(path: &Path) -> Result<Option<Partition>, FileError> {
        let around = path.canonicalize().ok();
        let around = around.as_deref().and_then(Path::parent);
        let folders = [Some(path), around].into_iter().flatten();
        let mut lists = folders.map(|folder| folder.join(NAME));
        let list = lists.find(|list| list.exists());
        list.map(|list| Partition::read(&list)).transpose()
    }

    fn read(path: &Path) -> Result<Partition, FileError> {
        let place = path.display().to_string();
        let bytes = read_regular(path)?;
        let sum = hash::hex(Sha256::new_with_prefix(&bytes));
        let text = String::from_utf8_lossy(&bytes);
        let mut parts = HashMap::new();
        for (i, line) in text.lines().enumerate() {
            let refuse = |reason: String| {
                let reason = format!("line {}: {reason}", i + 1);
                Err(FileError::malformed(&place, reason))
            };
            let (name, part) = match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] => continue,
                [name, "0"] => (name, 0),
                [name, "1"] => (name, 1),
                [name, "2"] => (name, 2),
                _ => {
                    let line = shown(line);
                    return refuse(format!(
                        "expected the name of a picture and 0, 1 or 2, got `{line}`"
                    ));
                }
            };
            if parts.insert(name.to_string(), part).is_some() {
                return refuse(format!("{} is listed twice", shown(name)));
            }
        }
        Ok(Partition { place, parts, sum })
    }

    /// The part of the picture `name`, of which the last part, after its folders, is listed.
    ///
    /// errors: one that is not
    pub(super) fn part(&self, name: &str) -> Result<usize, FileError> {
        let own = name.rsplit('/').next().unwrap_or(name);
        self.parts.get(own).copied().ok_or_else(|| {
            let reason = format!("does not list {}", shown(own));
            FileError::malformed(&self.place, reason)
        })
    }

    /// How many pictures are listed.
    pub(super) fn n(&self) -> usize {
        self.parts.len()
    }
}
