//! The pictures in a folder, in a tar or zip archive or in an LMDB database: their names, and their bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use crate::files::zip_read::{self, ZipReader};
use crate::files::{FileError, Input, check_regular, lmdb, read_regular};
use crate::hash;

/// Folders within folders that are looked into: more is a link that leads back.
const DEEPEST: usize = 16;
/// Endings of pictures that are not read.
const OTHER_PICTURES: [&str; 16] = [
    "apng", "avif", "bmp", "gif", "heic", "heif", "jfif", "jp2", "jpe", "jxl", "pgm", "ppm", "tga",
    "tif", "tiff", "webp",
];
/// The ending of an array that is a picture.
const ARRAY: &str = "npy";
/// The file of an LMDB database in its folder.
const DATABASE: &str = "data.mdb";
/// The unit of a tar archive.
const BLOCK: u64 = 512;

/// The pictures, sorted by name, folder by folder.
pub(crate) struct Members {
    /// The folder or the archive, as it was given.
    pub(crate) place: String,
    pub(crate) all: Vec<Member>,
    /// All folders, also those without a picture.
    pub(crate) folders: BTreeSet<String>,
    /// Pictures of formats that are not read: how many of each ending.
    others: BTreeMap<String, usize>,
    /// Whether .npy files are taken for pictures, too.
    arrays: bool,
    archive: Option<Mutex<Archived>>,
    /// Which archive or database it is: its SHA-256, or when it was last changed.
    sum: Option<String>,
}

/// What the members of an archive or a database are read from.
enum Archived {
    /// By their offsets.
    Plain(File),
    Zip(ZipReader),
}

/// A picture.
pub(crate) struct Member {
    /// Its name in the folder or archive, with `/` between the folders.
    pub(crate) name: String,
    size: u64,
    at: At,
}

enum At {
    /// A file, and when it was last changed, in nanoseconds since 1970.
    File(PathBuf, u128),
    /// So many bytes from the start of an archive or a database.
    Offset(u64),
    /// An entry of a zip archive.
    Entry(usize),
}

impl Members {
    /// What is in a folder, in the LMDB database that it is, or else in an archive.
    ///
    /// errors: what the system refuses; an archive or a database that is none, or that ends too early
    pub(crate) fn of(path: &Path) -> Result<Members, FileError> {
        Members::with_arrays(path, false)
    }

    /// The same, where `arrays` says so with .npy files among the pictures.
    ///
    /// errors: as [`Members::of`]
    pub(crate) fn with_arrays(path: &Path, arrays: bool) -> Result<Members, FileError> {
        let mut members = Members {
            place: path.display().to_string(),
            all: Vec::new(),
            folders: BTreeSet::new(),
            others: BTreeMap::new(),
            arrays,
            archive: None,
            sum: None,
        };
        if path.is_dir() {
            match path.join(DATABASE) {
                database if database.is_file() => members.read_database(&database)?,
                _ => members.read_folder(path, "", 0)?,
            }
        } else {
            check_regular(path)?;
            let input = Input::open(path)?;
            let start = input.start(64)?;
            let is_named = |kind: &str| ending(&members.place) == kind;
            if lmdb::is_one(&start) || is_named("mdb") {
                members.read_database(path)?;
            } else if is_compressed(&start) {
                return Err(FileError::malformed(&members.place, COMPRESSED));
            } else {
                if zip_read::is_one(&start) || is_named("zip") {
                    members.read_zip(&input)?;
                } else {
                    members.read_tar(path, input.size)?;
                }
                members.sum = Some(hash::of_file(path)?);
            }
        }
        let order = |a: &Member, b: &Member| a.name.split('/').cmp(b.name.split('/'));
        members.all.sort_by(order);
        Ok(members)
    }

    /// Which pictures these are: of an archive its bytes; of a database its size and when it was last changed; of files their
    /// names, sizes and when they were last changed.
    pub(crate) fn key(&self) -> String {
        if let Some(sum) = &self.sum {
            return sum.clone();
        }
        let mut sum = Sha256::new();
        for member in &self.all {
            let At::File(_, changed) = member.at else {
                unreachable!("an archive has a sum")
            };
            sum.update(format!("{:?} {} {changed}\n", member.name, member.size));
        }
        for folder in &self.folders {
            sum.update(format!("{folder:?}\n"));
        }
        hash::hex(sum)
    }

    /// The pictures of formats that are not read, for people.
    pub(crate) fn left_out(&self) -> Option<String> {
        let n: usize = self.others.values().sum();
        let each = self.others.iter().map(|(e, n)| format!("{n} .{e}"));
        let each: Vec<String> = each.collect();
        let s = if n == 1 { "" } else { "s" };
        let found = each.join(", ");
        (n > 0).then(|| format!("{n} picture{s} left out, expected .png, .jpg or .jpeg: {found}"))
    }

    pub(crate) fn is_archive(&self) -> bool {
        self.archive.is_some()
    }

    /// What messages call a picture.
    pub(crate) fn place(&self, member: &Member) -> String {
        match &member.at {
            At::File(path, _) => path.display().to_string(),
            At::Offset(_) | At::Entry(_) => format!("{}: {}", self.place, member.name),
        }
    }

    /// The bytes of a picture's file.
    pub(crate) fn read(&self, member: &Member) -> Result<Vec<u8>, FileError> {
        if let At::File(path, _) = &member.at {
            return read_regular(path);
        }
        let place = self.place(member);
        let archive = self.archive.as_ref().map(Mutex::lock);
        let mut archive = archive
            .expect("an archive")
            .unwrap_or_else(|e| e.into_inner());
        match (&mut *archive, &member.at) {
            (Archived::Plain(file), At::Offset(offset)) => {
                let mut bytes = vec![0; member.size as usize]; // no more than the archive has
                let read = file.seek(SeekFrom::Start(*offset));
                let read = read.and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|e| FileError::io(Path::new(&place), "read", e))?;
                Ok(bytes)
            }
            (Archived::Zip(zip), At::Entry(entry)) => {
                let entry = zip.entries()[*entry].clone();
                zip.read(&entry, &place, |content| {
                    let mut bytes = Vec::new();
                    let read = content.take(entry.size).read_to_end(&mut bytes);
                    read.map_err(|e| FileError::read(&place, e, "the picture", 0))?;
                    Ok(bytes)
                })
            }
            _ => unreachable!("a member of another archive"),
        }
    }

    /// Whether a picture is one of the .npy files.
    pub(crate) fn is_array(&self, member: &Member) -> bool {
        self.arrays && ending(&member.name) == ARRAY
    }

    /// Whether a file of this name is to be a picture.
    fn is_picture(&self, name: &str) -> bool {
        let ending = ending(name);
        matches!(&*ending, "png" | "jpg" | "jpeg") || self.arrays && ending == ARRAY
    }

    fn leave_out(&mut self, name: &str) {
        let ending = ending(name);
        if OTHER_PICTURES.contains(&&*ending) {
            *self.others.entry(ending).or_default() += 1;
        }
    }

    fn read_folder(&mut self, folder: &Path, name: &str, depth: usize) -> Result<(), FileError> {
        let fail = |path: &Path, reason| FileError::io(path, "read", reason);
        if depth > DEEPEST {
            let reason =
                format!("lies more than {DEEPEST} folders deep: does a link lead back to it?");
            return Err(FileError::malformed(&folder.display().to_string(), reason));
        }
        for entry in fs::read_dir(folder).map_err(|e| fail(folder, e))? {
            let entry = entry.map_err(|e| fail(folder, e))?;
            let own = entry.file_name().to_string_lossy().into_owned();
            if is_hidden(&own) {
                continue;
            }
            let path = entry.path();
            let name = match name {
                "" => own,
                name => format!("{name}/{own}"),
            };
            // Of a link what it leads to; one that leads nowhere is an error only where it is to be a picture.
            let found = match fs::metadata(&path) {
                Err(_) if !self.is_picture(&name) => continue,
                found => found.map_err(|e| fail(&path, e))?,
            };
            if found.is_dir() {
                self.read_folder(&path, &name, depth + 1)?;
                self.folders.insert(name);
            } else if self.is_picture(&name) {
                check_regular(&path)?;
                let changed = found.modified().ok();
                let changed = changed.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
                self.all.push(Member {
                    name,
                    size: found.len(),
                    at: At::File(path, changed.map_or(0, |t| t.as_nanos())),
                });
            } else {
                self.leave_out(&name);
            }
        }
        Ok(())
    }

    /// Notes the folders that the member `written` of an archive lies in; its name, if it is to be a picture and is not
    /// hidden.
    ///
    /// errors: a name that leads out of the archive
    fn note(&mut self, written: &str, is_folder: bool) -> Result<Option<String>, FileError> {
        let parts = written.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<&str> = parts.collect();
        if parts.contains(&"..") {
            let reason = "has \"..\" in its name: expected names within the archive";
            let place = format!("{}: {written}", self.place);
            return Err(FileError::malformed(&place, reason));
        }
        if parts.iter().any(|part| is_hidden(part)) {
            return Ok(None);
        }
        let folders = parts.len().saturating_sub(usize::from(!is_folder));
        for depth in 1..=folders {
            self.folders.insert(parts[..depth].join("/"));
        }
        let name = parts.join("/");
        if is_folder {
            return Ok(None);
        }
        if !self.is_picture(&name) {
            self.leave_out(&name);
            return Ok(None);
        }
        Ok(Some(name))
    }

    fn read_zip(&mut self, input: &Input) -> Result<(), FileError> {
        let zip = ZipReader::open(input, "a zip archive of pictures")?;
        for (i, entry) in zip.entries().iter().enumerate() {
            if let Some(name) = self.note(&entry.name, entry.name.ends_with('/'))? {
                self.all.push(Member {
                    name,
                    size: entry.size,
                    at: At::Entry(i),
                });
            }
        }
        self.archive = Some(Mutex::new(Archived::Zip(zip)));
        Ok(())
    }

    /// Takes every value of a database for a picture, named as its key.
    fn read_database(&mut self, path: &Path) -> Result<(), FileError> {
        let fail = |reason| FileError::io(path, "read", reason);
        let file = File::open(path).map_err(|e| FileError::io(path, "open", e))?;
        let found = file.metadata().map_err(fail)?;
        let changed = found.modified().map_err(fail)?;
        self.sum = Some(format!("{} {changed:?}", found.len()));
        for value in lmdb::values(path)? {
            self.all.push(Member {
                name: value.key,
                size: value.len,
                at: At::Offset(value.offset),
            });
        }
        self.archive = Some(Mutex::new(Archived::Plain(file)));
        Ok(())
    }

    fn read_tar(&mut self, path: &Path, size: u64) -> Result<(), FileError> {
        let file = File::open(path).map_err(|e| FileError::io(path, "open", e))?;
        let place = self.place.clone();
        let damaged = |reason: std::io::Error| {
            FileError::malformed(&place, format!("is not a readable tar archive: {reason}"))
        };
        let mut archive = Archive::new(&file);
        let mut end = 0;
        let mut places = HashMap::new();
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let written = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            let (offset, len) = (entry.raw_file_position(), entry.size());
            if offset.saturating_add(len) > size {
                let found = size.saturating_sub(offset);
                let announced = format!("{len} bytes");
                let file = format!("{place}: {written}");
                return Err(FileError::Truncated {
                    file,
                    announced,
                    found,
                });
            }
            end = offset + len.next_multiple_of(BLOCK);
            let Some(name) = self.note(&written, kind == EntryType::Directory)? else {
                continue;
            };
            if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
                let reason = "is a link or another special file, expected a regular file \
                              (GNU tar writes such as files with --dereference --hard-dereference)";
                return Err(FileError::malformed(&format!("{place}: {written}"), reason));
            }
            // A member that was added again takes the place of the one before it, as where an archive is unpacked.
            let at = *places.entry(name.clone()).or_insert(self.all.len());
            let member = Member {
                name,
                size: len,
                at: At::Offset(offset),
            };
            match self.all.get_mut(at) {
                Some(before) => *before = member,
                None => self.all.push(member),
            }
        }
        if end >= size {
            let reason = "truncated: expected two blocks of zeros at its end, which every tar archive has, got none";
            return Err(FileError::malformed(&place, reason));
        }
        self.archive = Some(Mutex::new(Archived::Plain(file)));
        Ok(())
    }
}

/// What is wrong with an archive that has to be unpacked first.
pub(crate) const COMPRESSED: &str =
    "is compressed: expected a .tar that is not (pictures are so already)";

/// Whether it begins as files of gzip, xz, zstd or bzip2 do.
fn is_compressed(start: &[u8]) -> bool {
    let begins: [&[u8]; 3] = [b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];
    let is_bzip2 = start.starts_with(b"BZh") && start.get(4..10) == Some(b"1AY&SY");
    is_bzip2 || begins.iter().any(|b| start.starts_with(b))
}

/// macOS leaves a `._a.png` beside each `a.png`, and a `__MACOSX` in archives.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// The ending of a name, in small letters.
fn ending(name: &str) -> String {
    let ending = Path::new(name).extension();
    ending.map_or(String::new(), |e| e.to_string_lossy().to_lowercase())
}
