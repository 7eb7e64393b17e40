//! Minibatches.

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::plan::Shards;
use ganforge_tensor::{Feed, stream_number};

use crate::config::Config;
use crate::data::augment::MAX_DRAWS;
use crate::data::{Augment, ImageSize, Images};
use crate::error::{Error, Result};
use crate::game::LABELS;

use super::labelled::Labelled;

/// The minibatch of a step and the order it is drawn in.
pub(super) struct Batch {
    /// What the random order is called.
    stream: &'static str,
    /// The examples of the epoch `epoch`, shuffled.
    pub(super) order: Vec<u32>,
    pub(super) epoch: usize,
    pub(super) rows: Vec<usize>,
    /// The place of each in the step's part of the order, shard by shard.
    places: Vec<usize>,
    /// [k · batch, data].
    pub(super) x: Vec<f32>,
    /// [k · batch], of a step that asks for labels.
    pub(super) labels: Option<Vec<f32>>,
    /// Examples of a step that are drawn from the order: the others are `labelled`, and D is not told the labels of these.
    drawn: usize,
    /// So many of those in a step, of all ranks together.
    each: usize,
    labelled: Option<Labelled>,
    changes: Option<Changes>,
    /// Whether steps read the examples.
    is_read: bool,
}

/// Random changes of the examples: those of an example follow from the run's seed, the epoch and its place in the order.
struct Changes {
    key: u64,
    size: ImageSize,
    /// Each with the number of its stream.
    kinds: Vec<(Augment, u32)>,
    /// Room for an image.
    free: Vec<f32>,
}

impl Changes {
    /// Those of `config`, drawn from streams whose names begin with that of the order; none where there are none.
    fn of(config: &Config, order: &str) -> Option<Changes> {
        let size = config.image().filter(|_| !config.data.augment.is_empty())?;
        let stream = |kind: &Augment| stream_number(&format!("{order}/augment/{}", kind.name()));
        let kinds = config.data.augment.iter().map(|term| &term.kind);
        Some(Changes {
            key: config.seed,
            size,
            kinds: kinds.map(|kind| (kind.clone(), stream(kind))).collect(),
            free: vec![0.0; size.values()?],
        })
    }

    /// Changes the images `x`, which have these numbers in `epoch`.
    fn apply(&mut self, epoch: usize, numbers: impl Iterator<Item = usize>, x: &mut [f32]) {
        let mut drawn = [0.0; MAX_DRAWS];
        for (number, image) in numbers.zip(x.chunks_exact_mut(self.free.len())) {
            for (kind, stream) in &self.kinds {
                let stream = RandomStream {
                    key: self.key,
                    stream: *stream,
                    counter: epoch as u64,
                };
                let drawn = &mut drawn[..kind.draws()];
                rng::uniform(stream, number * kind.draws(), 0.0, 1.0, drawn);
                kind.apply(drawn, self.size, image, &mut self.free);
            }
        }
    }
}

impl Batch {
    /// Room for the shards `own` of minibatches of `rows` examples of `images`, in the order `stream`, with their labels where
    /// `config` asks for them; behind them `labelled` minibatches, where D learns from labelled examples.
    ///
    /// # Errors
    /// Fewer labelled examples than the configuration asks for.
    pub(super) fn new(
        stream: &'static str,
        config: &Config,
        images: &Images,
        [rows, labelled]: [usize; 2],
        own: &Shards,
    ) -> Result<Batch> {
        let known = config.labelled_rows(images).map_err(Error::Mismatch)?;
        let (drawn, rows) = (rows, rows + labelled * config.train.batch);
        let (batch, b) = (config.train.batch, config.train.examples_per_shard());
        let of_shard = |shard: usize| {
            let minibatches = (0..rows).step_by(batch);
            minibatches.flat_map(move |at| at + shard * b..at + (shard + 1) * b)
        };
        let places: Vec<usize> = own.own.clone().flat_map(of_shard).collect();
        let rows = places.len();
        Ok(Batch {
            places,
            drawn,
            each: labelled * batch,
            labelled: known.map(|known| Labelled::new(known, config.seed, stream)),
            stream,
            order: vec![0; images.n()],
            epoch: 0,
            rows: vec![0; rows],
            x: vec![0.0; rows * images.d()],
            labels: config.asks_for_labels().then(|| vec![0.0; rows]),
            changes: Changes::of(config, stream),
            is_read: config.reads_examples(),
        })
    }

    /// Whether steps take other examples than those of the data set in its order: changed ones, or labelled ones beside them.
    pub(super) fn changes_examples(&self) -> bool {
        self.changes.is_some() || self.labelled.is_some()
    }

    /// Puts the examples in the order of an epoch: without replacement, from (seed, epoch) alone.
    pub(super) fn shuffle(&mut self, seed: u64, epoch: usize) {
        if self.epoch != epoch {
            let stream = RandomStream {
                key: seed,
                stream: stream_number(self.stream),
                counter: epoch as u64,
            };
            rng::permutation(stream, self.order.len(), &mut self.order);
            self.epoch = epoch;
        }
    }

    /// Hands the inputs of a step to `run`.
    pub(super) fn feed<T>(&self, run: impl FnOnce(&[Feed<'_>]) -> T) -> T {
        if !self.is_read {
            return run(&[]);
        }
        let n = self.rows.len();
        let x = Feed::new("x", [n, self.x.len() / n], &self.x);
        match &self.labels {
            None => run(&[x]),
            Some(labels) => run(&[x, Feed::new(LABELS, [n], labels)]),
        }
    }

    /// Gathers the minibatches of a step that begins at `first` of the order.
    pub(super) fn fill(&mut self, images: &Images, first: usize) -> Result<()> {
        // Labelled examples of the steps before: as many in each step.
        let steps = (self.order.len() / self.drawn) * self.epoch.saturating_sub(1);
        let each = self.each;
        let before = (steps + first / self.drawn) as u64 * each as u64;
        for (row, &place) in self.rows.iter_mut().zip(&self.places) {
            *row = match (&mut self.labelled, place.checked_sub(self.drawn)) {
                (Some(labelled), Some(place)) => labelled.row(before + place as u64),
                _ => self.order[first + place] as usize,
            };
        }
        if let (Some(labels), Some(all)) = (&mut self.labels, images.labels()) {
            let is_told = |place: usize| self.labelled.is_none() || place >= self.drawn;
            for ((label, &row), &place) in labels.iter_mut().zip(&self.rows).zip(&self.places) {
                *label = match is_told(place) {
                    true => f32::from(all[row]),
                    false => 0.0,
                };
            }
        }
        images.rows_f32_into(&self.rows, &mut self.x)?;
        if let Some(changes) = &mut self.changes {
            // That of a labelled example comes after those of all others.
            let (drawn, n) = (self.drawn, self.order.len());
            let number = |place: usize| match place.checked_sub(drawn) {
                None => first + place,
                Some(place) => n + first / drawn * each + place,
            };
            let numbers = self.places.iter().map(|&place| number(place));
            changes.apply(self.epoch, numbers, &mut self.x);
        }
        Ok(())
    }
}
