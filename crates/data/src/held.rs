//! How many examples are held out from training.

use crate::arrays::SHARE;
use crate::files::FileError;

/// How many of the last examples test, and of those before them validate, where neither folders nor files say which do:
/// a seventh each unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldOut {
    /// How many validate.
    pub valid: Option<usize>,
    /// How many test.
    pub test: Option<usize>,
}

impl HeldOut {
    /// The setting that says something, if one does.
    pub(super) fn key(self) -> Option<&'static str> {
        match (self.valid, self.test) {
            (None, None) => None,
            (Some(_), _) => Some("data.valid"),
            (None, Some(_)) => Some("data.test"),
        }
    }

    /// Refuses to be said of what `has` parts of its own.
    pub(super) fn refuse(self, place: &str, has: &str) -> Result<(), FileError> {
        match self.key() {
            None => Ok(()),
            Some(key) => Err(FileError::malformed(
                place,
                format!("{key} is for examples without parts, and this has {has}"),
            )),
        }
    }

    /// Of `n` examples, how many validate and how many test.
    ///
    /// errors: none left to train on, or none to validate or test; without a setting it is the caller who must look
    pub(super) fn of(self, n: usize, place: &str) -> Result<[usize; 2], FileError> {
        let share = n / SHARE;
        let [valid, test] = [self.valid, self.test].map(|count| count.unwrap_or(share));
        if self.key().is_some() && (valid == 0 || test == 0 || valid.saturating_add(test) >= n) {
            let reason = format!(
                "data.valid and data.test hold out {valid} and {test} of {n} images: expected at least one each, and one \
                 left to train on"
            );
            return Err(FileError::malformed(place, reason));
        }
        Ok([valid, test])
    }
}
