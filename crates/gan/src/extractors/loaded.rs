//! Networks of a run, and what they saw of reference images.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ganforge_kernels::cpu;
use ganforge_tensor::Device;
use ganforge_tensor::words::counted;
use serde::{Deserialize, Serialize};

use super::kept::{FORMAT, Kept};
use super::network::{Extractor, Pixels};
use crate::data::{Cache, Dataset, ImageSize, Images, hash};
use crate::error::{Error, Result, room_for};
use crate::metrics::sets::FewRows;
use crate::metrics::{self, Extraction, MetricKind, Reference, Seen, Task};

/// Looking that takes longer is worth a word.
const LONG: Duration = Duration::from_secs(2);

/// Networks that are loaded once they are asked for, and what they saw of reference images, which is looked at once.
pub struct Loaded {
    device: Device,
    networks: RefCell<Vec<(Extraction, Extractor)>>,
    references: RefCell<Vec<Referred>>,
    /// The last samples that were looked at, with their key: they may be compared with several sets of images.
    samples: RefCell<Option<(String, Seen)>>,
    kept: Option<Kept>,
    notes: RefCell<Notes>,
}

/// What a network saw of reference images.
struct Referred {
    /// The network, see [`of_network`].
    asked: Extraction,
    size: ImageSize,
    /// The part that they are of, whose pixels stay in memory with it: no others come to lie in their place.
    images: Images,
    rows: Vec<usize>,
    seen: Arc<Seen>,
}

/// What must be said, each once.
#[derive(Default)]
struct Notes {
    all: Vec<String>,
    /// How many of them were handed out.
    told: usize,
}

/// Which network looks at images: what a run records, since numbers of different networks do not compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name or path, as it was asked for.
    pub extractor: String,
    /// The file of its weights, where it has one beside it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub weights: Option<String>,
    /// As [`Extractor::sha256`].
    pub sha256: String,
}

impl Loaded {
    /// None yet; they will compute on `device`. What they see of reference images is kept as long as this is.
    pub fn at(device: &Device) -> Loaded {
        Loaded {
            device: device.clone(),
            networks: RefCell::default(),
            references: RefCell::default(),
            samples: RefCell::default(),
            kept: None,
            notes: RefCell::default(),
        }
    }

    /// The same, and what they see of reference images is kept in files of the folder `features` of a cache, for other runs: of a
    /// set at most 1 GiB, 4 GiB in all, for which the oldest are removed.
    pub fn kept_in(self, cache: &Cache) -> Loaded {
        Loaded {
            kept: Some(Kept::of(cache)),
            ..self
        }
    }

    /// Where the networks compute.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Loads what `task` asks for.
    ///
    /// # Errors
    /// As [`Extractor::find`]; images of another size than a network takes; what a metric [needs](crate::metrics::Metric::suits)
    /// of the test images and the network.
    pub fn prepare(&self, task: &Task<'_>, data: &Dataset) -> Result<()> {
        for (kind, extraction) in task.extractions() {
            let notes = self
                .with(extraction, |network| {
                    let few = few_rows(kind, extraction, data, network.n_features());
                    let grey = network.takes(data.image())?;
                    let suits = kind.suits(data, network.n_classes());
                    suits.map_err(|needs| Error::Mismatch(format!("needs {needs}")))?;
                    Ok([network.note(), grey, few])
                })
                .map_err(|e| Error::Mismatch(format!("eval.metrics: {}: {e}", kind.name())))?;
            notes.into_iter().flatten().for_each(|note| self.note(note));
        }
        Ok(())
    }

    /// What must be said of the networks and the images that they were shown, of what was not said before.
    pub fn notes(&self) -> Vec<String> {
        let Notes { all, told } = &mut *self.notes.borrow_mut();
        all[std::mem::replace(told, all.len())..].to_vec()
    }

    fn note(&self, note: String) {
        let all = &mut self.notes.borrow_mut().all;
        if !all.contains(&note) {
            all.push(note);
        }
    }

    /// The networks that are loaded.
    pub fn networks(&self) -> Vec<Identity> {
        let mut found: Vec<Identity> = Vec::new();
        for (asked, network) in &*self.networks.borrow() {
            let identity = Identity {
                extractor: asked.extractor.clone(),
                weights: asked.weights.clone(),
                sha256: network.sha256().to_owned(),
            };
            // Under two protocols it is one network.
            if !found.contains(&identity) {
                found.push(identity);
            }
        }
        found
    }

    /// Hands out a network, whatever number of images is asked for.
    fn with<T>(
        &self,
        extraction: &Extraction,
        run: impl FnOnce(&mut Extractor) -> Result<T>,
    ) -> Result<T> {
        let asked = of_network(extraction);
        let mut all = self.networks.borrow_mut();
        let at = match all.iter().position(|(of, _)| *of == asked) {
            Some(at) => at,
            None => {
                let mut network = Extractor::find(&asked)?;
                network.move_to(&self.device)?;
                all.push((asked, network));
                all.len() - 1
            }
        };
        run(&mut all[at].1)
    }

    /// What tells apart whatever could change what a network says of images: the images themselves with their size, the network's
    /// SHA-256, the protocol, the device, its instructions, the version of the program, and that of what is kept ([`FORMAT`]).
    fn key(&self, extraction: &Extraction, size: ImageSize, images: &[f32]) -> Result<String> {
        let sha256 = self.with(extraction, |network| Ok(network.sha256().to_owned()))?;
        let protocol = extraction.protocol.map_or("none", |p| p.name());
        let (device, isa) = (self.device.name(), cpu::isa().name());
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("{version} {FORMAT}\n{device}\n{isa}\n{sha256}\n{protocol}\n{size}\n");
        Ok(hash::of_values(&text, images))
    }

    /// As [`metrics::Extractors::look`], of images that were not looked at before.
    fn see(&self, extraction: &Extraction, size: ImageSize, images: &[f32]) -> Result<Seen> {
        self.with(extraction, |network| {
            network.look(size, Pixels::Units(images))
        })
    }

    /// What a network says of reference images: what is known of them already, in memory or in a file, or a look.
    fn refer(&self, extraction: &Extraction, reference: &Reference<'_>) -> Result<Arc<Seen>> {
        let (asked, size) = (of_network(extraction), reference.data.image());
        let is_it = |of: &&Referred| {
            of.asked == asked
                && of.size == size
                && of.images.is_same(reference.images)
                && of.rows == reference.rows
        };
        if let Some(found) = self.references.borrow().iter().find(is_it) {
            return Ok(Arc::clone(&found.seen));
        }
        let n = reference.rows.len();
        let floats = n.saturating_mul(reference.images.d());
        room_for("reference images", floats as u64)?;
        let pixels = reference.pixels()?;
        let seen = match &self.kept {
            Some(kept) => self.keep(kept, extraction, reference.data, &pixels)?,
            None => self.look_once(extraction, reference.data, &pixels, |_| false)?,
        };
        let seen = Arc::new(seen);
        self.references.borrow_mut().push(Referred {
            asked,
            size,
            images: reference.images.clone(),
            rows: reference.rows.to_vec(),
            seen: Arc::clone(&seen),
        });
        Ok(seen)
    }

    /// What a file has of these images, or else a look, which a file then has.
    fn keep(
        &self,
        kept: &Kept,
        extraction: &Extraction,
        data: &Dataset,
        images: &[f32],
    ) -> Result<Seen> {
        let key = self.key(extraction, data.image(), images)?;
        let n = images.len() / data.test.d().max(1);
        let sizes = self.with(extraction, |network| {
            Ok([n, network.n_features(), network.n_classes()])
        })?;
        let found = kept.read(&key, sizes).unwrap_or_else(|error| {
            self.note(format!("{error}: what is in it is made anew"));
            None
        });
        match found {
            Some(seen) => Ok(seen),
            None => self.look_once(extraction, data, images, |seen| {
                kept.write(&key, seen).unwrap_or_else(|error| {
                    self.note(format!(
                        "features of reference images are not kept: {error}"
                    ));
                    false
                })
            }),
        }
    }

    /// Looks, keeps what was seen, and says so where it took long; `keep` tells whether it is for other runs, too.
    fn look_once(
        &self,
        extraction: &Extraction,
        data: &Dataset,
        images: &[f32],
        keep: impl FnOnce(&Seen) -> bool,
    ) -> Result<Seen> {
        let start = Instant::now();
        let seen = self.see(extraction, data.image(), images)?;
        let is_kept = keep(&seen);
        if start.elapsed() > LONG {
            self.note(format!(
                "{} looked at {} of {} for {:.0} s, which {}",
                extraction.words(),
                counted(seen.n(), "image"),
                data.name,
                start.elapsed().as_secs_f64(),
                match is_kept {
                    true => "is kept for other runs",
                    false => "this run needs not do again",
                }
            ));
        }
        Ok(seen)
    }
}

/// What is asked for without the number of images, which makes no other network.
fn of_network(extraction: &Extraction) -> Extraction {
    Extraction {
        images: Extraction::default().images,
        ..extraction.clone()
    }
}

/// What must be said of a Fréchet distance of fewer images than features.
fn few_rows(
    kind: &MetricKind,
    extraction: &Extraction,
    data: &Dataset,
    d: usize,
) -> Option<String> {
    let n = extraction.images.min(data.test.n());
    let is_few = matches!(kind, MetricKind::Fid(_)) && n <= d;
    is_few.then(|| {
        let name = format!("FID-{}", extraction.words());
        FewRows { name, n, d }.to_string()
    })
}

fn refused(error: Error) -> metrics::Error {
    metrics::Error::Other(error.to_string())
}

impl metrics::Extractors for Loaded {
    fn look(
        &self,
        extraction: &Extraction,
        size: ImageSize,
        images: &[f32],
    ) -> Result<Seen, metrics::Error> {
        let key = self.key(extraction, size, images).map_err(refused)?;
        if let Some((of, seen)) = &*self.samples.borrow()
            && *of == key
        {
            return Ok(seen.clone());
        }
        let seen = self.see(extraction, size, images).map_err(refused)?;
        *self.samples.borrow_mut() = Some((key, seen.clone()));
        Ok(seen)
    }

    fn reference(
        &self,
        extraction: &Extraction,
        reference: &Reference<'_>,
    ) -> Result<Arc<Seen>, metrics::Error> {
        self.refer(extraction, reference).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::bundled_sample;
    use crate::metrics::Extractors;

    #[test]
    fn what_was_seen_of_reference_images_is_found_without_their_pixels() {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, asked) = (bundled_sample().expect("bundled"), Extraction::default());
        for loaded in [
            Loaded::at(&Device::CPU),
            Loaded::at(&Device::CPU).kept_in(&Cache::at(folder.path())),
        ] {
            let look = |asked: &Extraction, data: &Dataset, images: &Images, rows: &[usize]| {
                let reference = Reference { data, images, rows };
                loaded.reference(asked, &reference).expect("features")
            };
            let first = look(&asked, &data, &data.test, &[0, 3]);
            // A key of pixels has that of the network in it.
            loaded.networks.borrow_mut().clear();
            let clone = data.clone();
            let more = Extraction {
                images: 3,
                ..asked.clone()
            };
            for asked in [&asked, &more] {
                let again = look(asked, &clone, &clone.test, &[0, 3]);
                assert!(Arc::ptr_eq(&again, &first));
            }
            assert!(loaded.networks().is_empty());
            // Other rows, and other images in the same data set, are looked at.
            assert_ne!(look(&asked, &data, &data.test, &[0, 4]), first);
            let other = data.test.to_f32(1..5).expect("rows");
            let other = Dataset {
                test: Images::from_values(784, other),
                ..data.clone()
            };
            assert_ne!(look(&asked, &other, &other.test, &[0, 3]), first);
            assert_ne!(look(&asked, &other, &other.valid, &[0, 3]), first);
        }
    }
}
