//! Files mapped into memory: their bytes as a slice, read by the system when they are looked at.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

/// The bytes of a file, mapped.
///
/// For files that this program has written and that nothing changes afterwards: those that are replaced by renaming another
/// one over them, never written in place. A map keeps the bytes of the file that was opened, whatever its name becomes.
/// Somebody who shortens such a file in place while it is mapped ends the process (SIGBUS) at the next look beyond its end.
pub struct Map(Mmap);

impl Map {
    /// Maps all of `file`.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn of(file: &File) -> io::Result<Map> {
        // SAFETY: the map is read-only and is handed out as `&[u8]` alone, of which every value is valid, with the lifetime
        // of `self`, which keeps it mapped. It is a file of the program's own, by the contract above not written in place, so
        // that the bytes behind the slice stay as they are.
        unsafe { Mmap::map(file) }.map(Map)
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map of {} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_map_keeps_its_bytes_when_the_name_is_gone() {
        let path = std::env::temp_dir().join(format!("ganforge-map-{}", std::process::id()));
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"pixels").unwrap();
        let map = Map::of(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        drop(file);
        assert_eq!(&map[..], b"pixels");
    }
}
