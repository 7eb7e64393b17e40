//! Sets of images by their pixels alone.

use rayon::prelude::*;

use super::ImageSet;
use crate::data::{ImageSize, Images};
use crate::error::{Error, Result};
use crate::metrics;
use crate::metrics::nearest::nearest;
use crate::metrics::sets::Features;
use crate::metrics::sets::ms_ssim::{Diversity, whole_scales};

/// Queries that are compared with a batch at once.
const QUERIES: usize = 32;

/// How alike images of a set are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alike {
    /// The mean of MS-SSIM over the pairs of each batch.
    pub mean: f64,
    /// Scales.
    pub scales: usize,
    /// Images that were compared.
    pub images: usize,
}

impl ImageSet {
    /// The size of all images.
    ///
    /// # Errors
    /// That there are several.
    pub fn one_size(&self) -> Result<ImageSize> {
        let refuse = || Error::Mismatch(format!("{}: images of several sizes", self.name()));
        self.size().ok_or_else(refuse)
    }

    /// The mean similarity of pairs of the images `among`, in 5 batches of 64 evenly spaced ones, or as many batches as there are
    /// images for.
    ///
    /// # Errors
    /// Fewer than 64 images; as [`ImageSet::units`].
    pub fn alike(&mut self, among: &[usize]) -> Result<Alike> {
        let size = self.one_size()?;
        let whole = Diversity::default();
        let diversity = Diversity {
            batches: whole.batches.min(among.len() / whole.size).max(1),
            scales: whole_scales(size.height, size.width),
            ..whole
        };
        let images = among.len().min(diversity.batches * diversity.size);
        let rows: Vec<usize> = (0..images)
            .map(|i| among[i * among.len() / images])
            .collect();
        let mut values = self.units(&rows)?;
        values.iter_mut().for_each(|x| *x *= 255.0);
        let shape = [size.height, size.width, size.channels];
        let features = Features::new(self.name(), &values, shape.iter().product());
        let mean = features.and_then(|features| diversity.score(features, shape));
        Ok(Alike {
            mean: mean.map_err(metrics::Error::from)?,
            scales: diversity.scales,
            images,
        })
    }

    /// The Euclidean distance of each of `queries` [m, d], images of the same size with pixels from 0 to 1, to the nearest of all
    /// images.
    ///
    /// # Errors
    /// As [`ImageSet::each`]; queries of another size.
    pub fn nearest(&mut self, queries: &[f32]) -> Result<Vec<f64>> {
        let d = self.one_size()?.values().unwrap_or(0);
        if d == 0 || !queries.len().is_multiple_of(d) {
            let name = self.name();
            return Err(Error::Mismatch(format!("{name}: images of another size")));
        }
        let mut best = vec![f64::INFINITY; queries.len() / d];
        let rows = self.rows(None);
        self.each(&rows, &mut |_, _, pixels| {
            let images = Images::from_values(d, &*pixels.units());
            let queries = queries.par_chunks(QUERIES * d);
            let found = queries.map(|queries| nearest(queries, &images));
            let found: Vec<_> = found.collect::<Result<_, _>>()?;
            for (best, found) in best.iter_mut().zip(found.into_iter().flatten()) {
                *best = best.min(f64::from(found.squared_distance).sqrt());
            }
            Ok(())
        })?;
        Ok(best)
    }
}
