//! The keys of an LMDB database, and where their values lie in the file `data.mdb`.
//!
//! Written here because nothing but a walk over the pages is needed, and a value can then be read like a member of a tar
//! archive, by offset and length. The crates that bind LMDB (heed, lmdb-rkv) compile its C library, map the user's file into
//! memory and trust what its pages say; here they are read one by one, and every place in them is checked.
//!
//! Databases of 64-bit little-endian machines, format 1 (LMDB 0.9), one unnamed database, one value to a key.
//!
//! | page | after its header of 16 bytes: number, flags, bounds of its free space |
//! |---|---|
//! | meta, the first two | magic, version, the two trees (free pages, the data), the number of the transaction |
//! | branch | keys, each with the page below it |
//! | leaf | keys, each with its value, or with the number of the overflow page that it begins on |
//! | overflow | a value of more than about half a page, contiguous |
//!
//! source: lmdb.h and the structures of mdb.c, LMDB 0.9

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::FileError;

const HEADER: usize = 16;
const MAGIC: u32 = 0xbeef_c0de;
const VERSION: u32 = 1;
/// In a meta page: the trees, 48 bytes each, and what follows them.
const FREE: usize = HEADER + 24;
const MAIN: usize = FREE + 48;
const LAST_PAGE: usize = MAIN + 48;
const TRANSACTION: usize = LAST_PAGE + 8;
const META_END: usize = TRANSACTION + 8;
/// Flags of pages.
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const KINDS: u16 = 0x6f;
/// Flags of entries in leaves: the value lies on pages of its own; it is a database; there are several.
const BIG: u16 = 1;
const SUB: u16 = 2;
const DUPLICATES: u16 = 4;
/// The root of a tree without pages.
const NONE: u64 = u64::MAX;
/// LMDB's own limit.
const DEEPEST: usize = 32;

/// Where a value lies.
#[derive(Debug, PartialEq)]
pub(crate) struct Value {
    /// The key in text, or in hex where it is none.
    pub(crate) key: String,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// The values of the database in the file `path`, in the order of their keys.
///
/// errors: what is no such database; pages or values that do not lie in the file; fewer or more entries than it says
pub(crate) fn values(path: &Path) -> Result<Vec<Value>, FileError> {
    let file = File::open(path).map_err(|e| FileError::io(path, "open", e))?;
    let size = file
        .metadata()
        .map_err(|e| FileError::io(path, "read", e))?;
    let mut tree = Tree::of(path, &file, size.len())?;
    let mut found = Vec::new();
    if tree.root != NONE {
        tree.walk(tree.root, DEEPEST, &mut found)?;
    }
    if found.len() as u64 != tree.entries {
        let (n, of) = (found.len(), tree.entries);
        return Err(tree.damaged(format!("announces {of} entries, has {n}")));
    }
    Ok(found)
}

/// Whether a file that begins with `start` is an LMDB database.
pub(crate) fn is_one(start: &[u8]) -> bool {
    u32_at(start, HEADER) == Some(MAGIC)
}

/// A database, and how many of its pages were looked at.
struct Tree<'f> {
    path: &'f Path,
    file: &'f File,
    /// Bytes of the file.
    size: u64,
    /// Bytes of a page.
    page: usize,
    root: u64,
    entries: u64,
    last_page: u64,
    seen: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

impl<'f> Tree<'f> {
    fn of(path: &'f Path, file: &'f File, size: u64) -> Result<Tree<'f>, FileError> {
        let place = path.display().to_string();
        let malformed = |reason: String| FileError::malformed(&place, reason);
        let start = bytes(path, file, 0, META_END.min(size as usize))?;
        if !is_one(&start) {
            let expected = "an LMDB database of a 64-bit little-endian machine";
            let start = &start[..start.len().min(HEADER + 4)];
            return Err(FileError::magic(&place, expected, start));
        }
        let page = u32_at(&start, FREE).unwrap_or(0) as usize;
        if !page.is_power_of_two() || !(256..=1 << 16).contains(&page) {
            let reason =
                format!("has pages of {page} bytes: expected a power of two from 256 to 65536");
            return Err(malformed(reason));
        }
        if size < 2 * page as u64 {
            return Err(FileError::Truncated {
                file: place,
                announced: format!("two pages of {page} bytes at its beginning"),
                found: size,
            });
        }
        // The one of the later transaction counts.
        let second = bytes(path, file, page as u64, META_END)?;
        let is_later = |a: &[u8], b: &[u8]| u64_at(a, TRANSACTION) > u64_at(b, TRANSACTION);
        let meta = match is_one(&second) && is_later(&second, &start) {
            true => second,
            false => start,
        };
        let version = u32_at(&meta, HEADER + 4);
        if version != Some(VERSION) {
            let version = version.unwrap_or(0);
            let reason = format!("is an LMDB database of format {version}: expected {VERSION}");
            return Err(malformed(reason));
        }
        let flags = u16_at(&meta, MAIN + 4).expect("in the page");
        if flags & DUPLICATES != 0 {
            let reason = "is an LMDB database of several values to a key: expected one";
            return Err(malformed(reason.to_string()));
        }
        let number = |at: usize| u64_at(&meta, at).expect("in the page");
        Ok(Tree {
            path,
            file,
            size,
            page,
            root: number(MAIN + 40),
            entries: number(MAIN + 32),
            last_page: number(LAST_PAGE),
            seen: 0,
        })
    }

    fn damaged(&self, what: String) -> FileError {
        let place = self.path.display().to_string();
        FileError::malformed(&place, format!("damaged LMDB database: {what}"))
    }

    /// Appends the values below page `number`, which is less than `depth` pages above the leaves.
    fn walk(&mut self, number: u64, depth: usize, found: &mut Vec<Value>) -> Result<(), FileError> {
        self.seen += 1;
        if depth == 0 || self.seen > self.last_page {
            return Err(self.damaged(format!("page {number} is reached more than once")));
        }
        let start = number.checked_mul(self.page as u64);
        let is_there = |start: &u64| {
            let end = start.checked_add(self.page as u64);
            end.is_some_and(|end| end <= self.size)
        };
        let Some(start) = start.filter(is_there) else {
            let size = self.size;
            return Err(self.damaged(format!("page {number} is not in its {size} bytes")));
        };
        let page = bytes(self.path, self.file, start, self.page)?;
        let flags = u16_at(&page, 10).expect("in the page");
        let lower = usize::from(u16_at(&page, 12).expect("in the page"));
        let places = page.get(HEADER..lower);
        let (Some(places), BRANCH | LEAF) = (places, flags & KINDS) else {
            return Err(self.damaged(format!("page {number} is not as it must be")));
        };
        for (i, place) in places.chunks_exact(2).enumerate() {
            let damaged = |tree: &Self| {
                tree.damaged(format!("entry {i} of page {number} is not as it must be"))
            };
            let at = usize::from(u16_at(place, 0).expect("two bytes"));
            let entry = Entry::of(&page, at).ok_or_else(|| damaged(self))?;
            match flags & KINDS {
                BRANCH => self.walk(entry.child(), depth - 1, found)?,
                _ => {
                    let value = self.value(&entry, &page, start)?;
                    found.push(value.ok_or_else(|| damaged(self))?);
                }
            }
        }
        Ok(())
    }

    /// The value of an entry of the leaf `page`, which begins at `start`; none where it does not lie in the file.
    fn value(
        &self,
        entry: &Entry<'_>,
        page: &[u8],
        start: u64,
    ) -> Result<Option<Value>, FileError> {
        let key = match std::str::from_utf8(entry.key) {
            Ok(text) if !text.contains(char::is_control) => text.to_string(),
            _ => crate::hash::hex_of(entry.key),
        };
        if entry.flags & (SUB | DUPLICATES) != 0 {
            let key = super::shown(&key);
            let reason = format!("holds the database `{key}` within it: expected values alone");
            let place = self.path.display().to_string();
            return Err(FileError::malformed(&place, reason));
        }
        let len = u64::from(entry.low);
        let (offset, most) = match entry.flags & BIG {
            0 => (Some(start + entry.data as u64), start + self.page as u64),
            _ => {
                let first = u64_at(page, entry.data).unwrap_or(u64::MAX);
                let offset = first.checked_mul(self.page as u64);
                (offset.and_then(|o| o.checked_add(HEADER as u64)), self.size)
            }
        };
        let fits = |offset: &u64| offset.checked_add(len).is_some_and(|end| end <= most);
        let offset = offset.filter(fits);
        Ok(offset.map(|offset| Value { key, offset, len }))
    }
}

/// `len` bytes of the file at `path` from `offset` on, which has as many.
fn bytes(path: &Path, mut file: &File, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = vec![0; len];
    let read = file.seek(SeekFrom::Start(offset));
    let read = read.and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|e| FileError::io(path, "read", e))?;
    Ok(bytes)
}

/// An entry of a page.
struct Entry<'p> {
    /// Of a leaf the length of the value; of a branch the lower bits of the page.
    low: u32,
    flags: u16,
    key: &'p [u8],
    /// Where in the page what follows the key is.
    data: usize,
}

impl<'p> Entry<'p> {
    /// The one at `at`; none where it does not lie in the page.
    fn of(page: &'p [u8], at: usize) -> Option<Entry<'p>> {
        let key = at.checked_add(8)?;
        let data = key + usize::from(u16_at(page, at + 6)?);
        Some(Entry {
            low: u32_at(page, at)?,
            flags: u16_at(page, at + 4)?,
            key: page.get(key..data)?,
            data,
        })
    }

    fn child(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}
