//! Floats that begin on a line of the cache.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Floats of a cache line.
const LINE: usize = 16;

/// The floats of whole cache lines that hold `len`: what follows begins on a line, too.
pub(super) const fn lines(len: usize) -> usize {
    len.next_multiple_of(LINE)
}

/// Asks Linux for huge pages in the place of small ones, where there is room for one. Down the columns of a large matrix each row
/// is a page of its own, and a processor remembers where some hundreds of them are. A system that has none gives small ones.
fn ask_for_huge_pages(memory: &[f32]) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        const PAGE: usize = 1 << 12;
        const HUGE_PAGE: usize = 1 << 21;
        let before = memory.as_ptr().addr().wrapping_neg() % PAGE;
        if size_of_val(memory) >= HUGE_PAGE + before {
            let first = memory.as_ptr().wrapping_byte_add(before).cast_mut();
            let len = size_of_val(memory) - before;
            // SAFETY: advice, which changes nothing that the program sees; its refusal neither. The pages begin within the memory.
            unsafe { libc::madvise(first.cast(), len, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = memory;
}

/// A fixed number of floats, the first one at the beginning of a cache line.
///
/// What the system gives for long arrays begins 16 bytes behind one, so that every second vector of AVX2, and every one of
/// AVX-512, lies on two lines.
#[derive(Default)]
pub struct Floats {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl Floats {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Floats {
        let memory = match len {
            0 => Vec::new(),
            _ => vec![0.0; len + LINE - 1],
        };
        ask_for_huge_pages(&memory);
        let start = memory.as_ptr().align_offset(size_of::<f32>() * LINE);
        Floats {
            // Where there is no such beginning in reach, as for an interpreter, any one serves.
            start: start.min(memory.len() - len),
            memory,
            len,
        }
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl AsRef<[f32]> for Floats {
    fn as_ref(&self) -> &[f32] {
        self
    }
}

impl From<&[f32]> for Floats {
    fn from(values: &[f32]) -> Floats {
        let mut floats = Floats::zeros(values.len());
        floats.copy_from_slice(values);
        floats
    }
}

impl From<Vec<f32>> for Floats {
    fn from(values: Vec<f32>) -> Floats {
        Floats::from(&values[..])
    }
}

impl<'a> IntoIterator for &'a Floats {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Clone for Floats {
    /// The same values, on lines of their own.
    fn clone(&self) -> Floats {
        Floats::from(&self[..])
    }
}

impl<T: AsRef<[f32]>> PartialEq<T> for Floats {
    fn eq(&self, other: &T) -> bool {
        self[..] == *other.as_ref()
    }
}

impl fmt::Debug for Floats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_and_their_clones_begin_on_a_line() {
        for len in [0, 1, 15, 16, 17, 1000, 1 << 20] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let floats = Floats::from(values.clone());
            let moved = vec![floats.clone(), floats];
            for floats in moved {
                assert_eq!(floats, values);
                let is_on_line = (floats.as_ptr() as usize).is_multiple_of(64);
                assert!(is_on_line || len == 0 || cfg!(miri), "{len}");
            }
        }
        assert_eq!(Floats::zeros(3), [0.0; 3]);
    }
}
