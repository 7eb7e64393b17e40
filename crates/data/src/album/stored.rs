//! Decoded pictures in the cache, as a file that is mapped.
//!
//! | bytes | |
//! |---|---|
//! | 64 | `ganforge pictures 1`, zeros |
//! | n · height · width · channels | the images, those of train, of valid, of test |
//! | n, or 0 | their labels |
//! | | what [`Head`] says, as JSON |
//! | 8 | length of the JSON, little-endian |
//! | 32 | SHA-256 of the JSON |
//!
//! It is written under another name and renamed, and never changed in place.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use ganforge_kernels::map::Map;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::words;
use crate::files::FileError;
use crate::files::atomic::AtomicFile;
use crate::images::Shared;
use crate::{ImageSize, hash};

/// The first bytes of the file.
const START: [u8; 64] = {
    let mut start = [0; 64];
    let magic = b"ganforge pictures 1\n";
    let mut i = 0;
    while i < magic.len() {
        start[i] = magic[i];
        i += 1;
    }
    start
};
/// The length of the JSON and its sum.
const END: usize = 8 + 32;

/// What is said of the pictures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    /// Of which pictures, in which form.
    pub(super) key: String,
    pub(super) size: ImageSize,
    /// How many train, validate, test.
    pub(super) counts: [usize; 3],
    pub(super) classes: Vec<String>,
    /// Whether counts and labels are part of the sum of the data.
    pub(super) is_plain: bool,
    /// What the user must know of them.
    pub(super) notices: Vec<String>,
    /// [`Head::sum_with`].
    pub(super) sha256: String,
}

/// Decoded pictures.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) head: Head,
    pub(super) pixels: Shared,
    pub(super) labels: Vec<u8>,
}

impl Head {
    fn n(&self) -> Option<usize> {
        let [a, b, c] = self.counts;
        a.checked_add(b)?.checked_add(c)
    }

    fn to_json(&self) -> Value {
        let ImageSize {
            height,
            width,
            channels,
        } = self.size;
        json!({
            "key": self.key, "size": [height, width, channels], "counts": self.counts, "classes": self.classes,
            "is_plain": self.is_plain, "notices": self.notices, "sha256": self.sha256,
        })
    }

    fn of_json(json: &Value) -> Option<Head> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let texts = |key: &str| -> Option<Vec<String>> {
            json.get(key)?.as_array()?.iter().map(text).collect()
        };
        let three = |key: &str| -> Option<[usize; 3]> {
            let numbers = json.get(key)?.as_array()?.iter();
            let numbers = numbers.map(|v| Some(v.as_u64()? as usize));
            numbers.collect::<Option<Vec<usize>>>()?.try_into().ok()
        };
        let [height, width, channels] = three("size")?;
        Some(Head {
            key: text(json.get("key")?)?,
            size: ImageSize {
                height,
                width,
                channels,
            },
            counts: three("counts")?,
            classes: texts("classes")?,
            is_plain: json.get("is_plain")?.as_bool()?,
            notices: texts("notices")?,
            sha256: text(json.get("sha256")?)?,
        })
    }

    /// SHA-256 of what is learnt from, but for its end: the size, to which the pixels are to be added.
    pub(super) fn sum_of_pixels(&self) -> Sha256 {
        let ImageSize {
            height,
            width,
            channels,
        } = self.size;
        let mut sum = Sha256::new();
        for side in [channels, height, width] {
            sum.update((side as u64).to_le_bytes());
        }
        sum
    }

    /// The sum of the size and all pixels with what follows: where there are parts or labels, which image is in which part and
    /// of which class.
    pub(super) fn sum_with(&self, mut sum: Sha256, labels: &[u8]) -> String {
        if !self.is_plain {
            for count in self.counts {
                sum.update((count as u64).to_le_bytes());
            }
            sum.update(labels);
            sum.update(self.classes.join("\n"));
        }
        hash::hex(sum)
    }
}

/// What follows the pixels of a file.
pub(super) fn finish(file: &mut AtomicFile, head: &Head, labels: &[u8]) -> std::io::Result<()> {
    let json = head.to_json().to_string();
    file.write_all(labels)?;
    file.write_all(json.as_bytes())?;
    file.write_all(&(json.len() as u64).to_le_bytes())?;
    file.write_all(&Sha256::digest(json.as_bytes()))
}

/// A file to be written, its pixels next.
pub(super) fn start(path: &Path) -> Result<AtomicFile, FileError> {
    if let Some(folder) = path.parent() {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|reason| FileError::io(folder, "create", reason))?;
    }
    let mut file = AtomicFile::create(path)?;
    let written = file.write_all(&START);
    written.map_err(|reason| FileError::io(path, "write", reason))?;
    Ok(file)
}

/// What a file of the cache is.
pub(super) enum Found {
    /// What was asked for, all of it checked.
    Stored(Box<Stored>),
    /// There is none.
    Nothing,
    /// Of pictures that have changed, or of other settings.
    Stale,
    /// Not as it was written, and why.
    Damaged(String),
}

/// Opens a file of the cache that is to be of the pictures `key`.
pub(super) fn open(path: &Path, key: &str) -> Found {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Found::Nothing,
        Err(e) => return Found::Damaged(format!("cannot open: {e}")),
    };
    let map = match Map::of(&file) {
        Ok(map) => map,
        Err(e) => return Found::Damaged(format!("cannot map: {e}")),
    };
    match read(map, key) {
        Ok(Some(stored)) => Found::Stored(Box::new(stored)),
        Ok(None) => Found::Stale,
        Err(reason) => Found::Damaged(reason),
    }
}

fn read(map: Map, key: &str) -> Result<Option<Stored>, String> {
    let short = || format!("{} bytes are not as many as were written", map.len());
    let head_end = map.len().checked_sub(END).ok_or_else(short)?;
    let (len, sum) = map[head_end..].split_at(8);
    let len = u64::from_le_bytes(len.try_into().expect("8 bytes"));
    let head_start = usize::try_from(len).ok();
    let head_start = head_start.and_then(|len| head_end.checked_sub(len));
    let head_start = head_start.filter(|start| *start >= START.len());
    let head_start = head_start.ok_or_else(short)?;
    let json = &map[head_start..head_end];
    if !map.starts_with(&START) || Sha256::digest(json).as_slice() != sum {
        return Err("its head is not as it was written".to_string());
    }
    let json: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let head = Head::of_json(&json).ok_or("its head lacks an entry")?;
    if head.key != key {
        return Ok(None);
    }
    let sizes = head.n().zip(head.size.values());
    let n_labels = if head.classes.is_empty() {
        Some(0)
    } else {
        head.n()
    };
    let pixels_end = sizes
        .and_then(|(n, d)| n.checked_mul(d)?.checked_add(START.len()))
        .filter(|end| end.checked_add(n_labels.unwrap_or(0)) == Some(head_start));
    let pixels_end = pixels_end.ok_or_else(|| {
        let counts = head.counts;
        let size = words(head.size);
        format!("{head_start} bytes do not fit {counts:?} images, {size}")
    })?;
    let labels = map[pixels_end..head_start].to_vec();
    let mut sum = head.sum_of_pixels();
    sum.update(&map[START.len()..pixels_end]);
    if head.sum_with(sum, &labels) != head.sha256 {
        return Err("its pixels or labels are not as they were written".to_string());
    }
    let pixels = Shared::mapped(Arc::new(map), START.len()..pixels_end);
    Ok(Some(Stored {
        head,
        pixels,
        labels,
    }))
}
