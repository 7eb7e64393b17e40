//! The npz format: a zip archive with one npy file per array.

use std::collections::HashSet;
use std::path::Path;

use npyz::npz::{array_name_from_file_name, file_name_from_array_name};

use super::atomic::AtomicFile;
use super::zip_entry::Entry;
use super::zip_read::{Piecewise, ZipReader};
use super::zip_write::ZipWriter;
use super::{Array, ArrayRef, FileError, Input, listed, npy, shown};

/// Reads all arrays of an npz file, in the order they are stored.
///
/// Stored and compressed archives, from here or from `np.savez` and `np.savez_compressed`.
///
/// errors: a [`FileError`] that names the path and the array; a CRC-32 that does not match; two arrays of one name
pub fn read_npz(path: &Path) -> Result<Vec<(String, Array)>, FileError> {
    let mut reader = NpzReader::open(path)?;
    let names: Vec<String> = reader.names().map(str::to_string).collect();
    let mut arrays = Vec::new();
    for name in names {
        let array = reader.read(&name)?;
        arrays.push((name, array));
    }
    Ok(arrays)
}

/// Writes an npz file: stored, in the order given, with fixed dates, so that equal arrays give equal bytes.
///
/// See [`super::write_atomic`] for what happens on errors, [`NpzWriter`] for arrays that come one at a time.
///
/// errors: two arrays of one name; a shape whose product is not the number of values; what the system refuses
pub fn write_npz<'a>(
    path: &Path,
    entries: impl IntoIterator<Item = (String, ArrayRef<'a>)>,
) -> Result<(), FileError> {
    let mut writer = NpzWriter::create(path)?;
    for (name, array) in entries {
        writer.add(&name, array)?;
    }
    writer.finish()
}

/// An open npz file; arrays are read when asked for.
#[derive(Debug)]
pub struct NpzReader {
    zip: ZipReader,
    place: String,
}

impl NpzReader {
    /// Opens a file and checks its directory.
    ///
    /// errors: not an npz file, truncated, an entry that is not an array, two of one name
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::of(&Input::open(path)?)
    }

    /// Opens what is read so.
    ///
    /// errors: as [`NpzReader::open`]
    pub(crate) fn of(input: &Input) -> Result<Self, FileError> {
        Self::new(
            ZipReader::open(input, "an npz archive")?,
            input.place.clone(),
        )
    }

    /// Opens a file that is in memory; `place` names it in messages.
    ///
    /// errors: as [`NpzReader::open`]
    pub fn from_bytes(bytes: &'static [u8], place: &str) -> Result<Self, FileError> {
        Self::of(&Input::of_bytes(bytes, place.to_string()))
    }

    fn new(zip: ZipReader, place: String) -> Result<Self, FileError> {
        for entry in zip.entries() {
            if array_name_from_file_name(&entry.name)
                .is_none_or(|name| name.len() + 4 != entry.name.len())
            {
                let name = shown(&entry.name);
                return Err(FileError::malformed(
                    &place,
                    format!("entry `{name}` is not an array: expected NAME.npy"),
                ));
            }
        }
        Ok(Self { zip, place })
    }

    /// The names of the arrays, in the order they are stored.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.zip
            .entries()
            .iter()
            .filter_map(|entry| array_name_from_file_name(&entry.name))
    }

    /// Reads one array and checks its CRC-32.
    ///
    /// errors: no array of this name; anything wrong with it
    pub fn read(&mut self, name: &str) -> Result<Array, FileError> {
        let entry = self.entry(name)?;
        let place = self.place_of(name);
        self.zip.read(&entry, &place, |source| {
            npy::read_array(source, entry.size, &place)
        })
    }

    /// The file of one array, to be read piece by piece.
    ///
    /// errors: no array of this name
    pub(crate) fn into_array(self, name: &str) -> Result<Piecewise, FileError> {
        let entry = self.entry(name)?;
        let place = self.place_of(name);
        self.zip.into_entry(&entry, &place)
    }

    /// The name of the only array.
    ///
    /// errors: no array; several, with their names
    pub(crate) fn only(&self) -> Result<String, FileError> {
        let place = &self.place;
        let names: Vec<&str> = self.names().collect();
        match names[..] {
            [] => Err(FileError::Empty {
                file: place.clone(),
                what: "arrays",
            }),
            [name] => Ok(name.to_string()),
            _ => {
                let names = listed(names);
                let reason =
                    format!("contains several arrays: choose one as {place}:NAME, from {names}");
                Err(FileError::malformed(place, reason))
            }
        }
    }

    fn place_of(&self, name: &str) -> String {
        format!("{}:{}", self.place, shown(name))
    }

    fn entry(&self, name: &str) -> Result<Entry, FileError> {
        let wanted = file_name_from_array_name(name);
        let mut entries = self.zip.entries().iter();
        match entries.find(|entry| entry.name == wanted) {
            Some(entry) => Ok(entry.clone()),
            None => Err(FileError::MissingName {
                file: self.place.clone(),
                name: name.to_string(),
                present: listed(self.names()),
            }),
        }
    }
}

/// Writes an npz file one array at a time; nothing is kept in memory but the directory.
///
/// The file has its name only after [`NpzWriter::finish`]; a writer that is dropped before leaves nothing behind.
#[derive(Debug)]
pub struct NpzWriter {
    zip: ZipWriter<AtomicFile>,
    names: HashSet<String>,
    target: std::path::PathBuf,
}

impl NpzWriter {
    /// Begins a file.
    ///
    /// errors: [`FileError::Io`] where no file can be made beside `path`
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let file = AtomicFile::create(path)?;
        Ok(Self {
            zip: ZipWriter::new(file),
            names: HashSet::new(),
            target: path.to_path_buf(),
        })
    }

    /// Adds an array.
    ///
    /// errors: a name that is there already; a shape whose product is not the number of values; a full disk
    pub fn add(&mut self, name: &str, array: ArrayRef<'_>) -> Result<(), FileError> {
        let place = || format!("{}:{name}", self.target.display());
        let header = npy::header_of(&array, &place())?;
        if name.contains('\0') {
            return Err(FileError::malformed(
                &place(),
                "a name with a null character",
            ));
        }
        if !self.names.insert(name.to_string()) {
            let file = self.target.display().to_string();
            return Err(FileError::DuplicateName {
                file,
                name: name.to_string(),
            });
        }
        let added = self.zip.add(
            &file_name_from_array_name(name),
            &[&header, array.data.bytes()],
        );
        added.map_err(|reason| FileError::io(&self.target, "write", reason))
    }

    /// Adds text as a uint8 array of its UTF-8 bytes: `bytes(npz["config"]).decode()` in Python.
    ///
    /// errors: as [`NpzWriter::add`]
    pub fn add_text(&mut self, name: &str, text: &str) -> Result<(), FileError> {
        self.add(name, ArrayRef::u8(&[text.len()], text.as_bytes()))
    }

    /// Writes the directory, syncs, and gives the file its name.
    ///
    /// errors: [`FileError::Io`]; the old file, if there was one, is as it was
    pub fn finish(self) -> Result<(), FileError> {
        let file = self
            .zip
            .finish()
            .map_err(|reason| FileError::io(&self.target, "write", reason))?;
        file.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zip64_archives_read_as_the_plain_ones_do() {
        let folder = tempfile::tempdir().unwrap();
        let values = [1.0_f32, 2.0, 3.0];
        for limit in [1, 100, 150, 300, u64::from(u32::MAX)] {
            let mut zip = ZipWriter::with_zip64_from(Vec::new(), limit);
            for name in ["a.npy", "b.npy", "c.npy"] {
                let array = ArrayRef::f32(&[3], &values);
                let header = npy::header_of(&array, name).unwrap();
                zip.add(name, &[&header, array.data.bytes()]).unwrap();
            }
            let path = folder.path().join(format!("{limit}.npz"));
            std::fs::write(&path, zip.finish().unwrap()).unwrap();
            let arrays = read_npz(&path).unwrap();
            assert_eq!(arrays.len(), 3, "zip64 from {limit}");
            assert!(
                arrays
                    .iter()
                    .all(|(_, array)| array.as_ref() == ArrayRef::f32(&[3], &values))
            );
        }
    }

    #[test]
    fn more_entries_than_sixteen_bits_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("many.npz");
        let mut writer = NpzWriter::create(&path).unwrap();
        for index in 0..65_540_u64 {
            writer
                .add(&index.to_string(), ArrayRef::u64(&[], &[index]))
                .unwrap();
        }
        writer.finish().unwrap();
        let mut reader = NpzReader::open(&path).unwrap();
        assert_eq!(reader.names().count(), 65_540);
        assert_eq!(
            reader.read("65539").unwrap().as_ref(),
            ArrayRef::u64(&[], &[65_539])
        );
    }
}
