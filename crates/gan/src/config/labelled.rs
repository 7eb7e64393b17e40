//! Which examples a step takes, and constraints where D learns from a few with labels beside others without.

use ganforge_settings::Reader;

use super::{Config, Update};
use crate::data::Images;

impl Config {
    /// Whether D learns the classes of examples with labels, and is shown others without.
    pub fn is_semi_supervised(&self) -> bool {
        self.is_gan() && self.classifies() && self.loss.kind.learns_from_labelled()
    }

    /// The minibatches of labelled examples in a step: one for each update of D, where it learns from such.
    pub(crate) fn labelled_minibatches(&self) -> usize {
        match self.is_semi_supervised() {
            true => self.train.updates_of_d(),
            false => 0,
        }
    }

    /// Whether G's update sees real examples after those of D's updates.
    pub(crate) fn g_sees_other_examples(&self) -> bool {
        let is_apart = self.train.update == Update::Alternating;
        is_apart && self.is_gan() && self.loss.kind.g_sees_other_examples()
    }

    /// Examples of the epoch that one step takes: a minibatch, or in alternating mode one for each update of D, and one for G where
    /// its loss is of others.
    pub fn examples_per_step(&self) -> usize {
        let of_g = usize::from(self.g_sees_other_examples());
        (self.train.updates_of_d() + of_g) * self.train.batch
    }

    /// The places in `images` of those whose labels D learns; none where it learns from none, or from all alike.
    ///
    /// # Errors
    /// Images without labels, too few of a class.
    pub fn labelled_rows(&self, images: &Images) -> Result<Option<Vec<usize>>, String> {
        let Some(classes) = self.classes().filter(|_| self.is_semi_supervised()) else {
            return Ok(None);
        };
        match self.data.labelled {
            None => Ok(Some((0..images.n()).collect())),
            Some(n) => {
                let rows = images.labelled(n, classes, self.data.labelled_seed);
                rows.map(Some)
                    .map_err(|reason| format!("data.labelled {reason}"))
            }
        }
    }

    /// Whether the keys fit that belong to such a run.
    pub(super) fn check_labelled(&mut self, table: &Reader<'_>) {
        if !self.is_semi_supervised() && self.data.labelled.is_some() {
            let data = table.section("data");
            let with = "loss.kind = \"semi-supervised\"";
            data.iter().for_each(|data| data.refuse("labelled", with));
            self.data.labelled = None;
        }
        if let (Some(labelled), Some(classes)) = (self.data.labelled, self.classes())
            && (classes == 0 || !labelled.is_multiple_of(classes))
        {
            let message =
                format!("must be a multiple of {classes}, the number of classes, got {labelled}");
            table.fault("data.labelled", &message);
        }
    }
}
