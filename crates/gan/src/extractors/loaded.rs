//! Networks of a run, and what they saw of reference images.

use std::cell::RefCell;
use std::collections::BTreeMap;
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
use crate::metrics::{self, Extraction, MetricKind, Seen, Task};

/// Looking that takes longer is worth a word.
const LONG: Duration = Duration::from_secs(2);

/// Networks that are loaded once they are asked for, and what they saw of reference images, which is looked at once.
pub struct Loaded {
    device: Device,
    networks: RefCell<Vec<(Extraction, Extractor)>>,
    /// By their keys.
    references: RefCell<BTreeMap<String, Arc<Seen>>>,
    /// The last samples that were looked at, with their key: they may be compared with several sets of images.
    samples: RefCell<Option<(String, Seen)>>,
    kept: Option<Kept>,
    notes: RefCell<Notes>,
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
        let asked = Extraction {
            images: Extraction::default().images,
            ..extraction.clone()
        };
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
    fn refer(&self, extraction: &Extraction, data: &Dataset, images: &[f32]) -> Result<Arc<Seen>> {
        let key = self.key(extraction, data.image(), images)?;
        if let Some(found) = self.references.borrow().get(&key) {
            return Ok(Arc::clone(found));
        }
        let n = images.len() / data.test.d().max(1);
        let sizes = self.with(extraction, |network| {
            Ok([n, network.n_features(), network.n_classes()])
        })?;
        let found = self.kept.as_ref().map(|kept| kept.read(&key, sizes));
        let found = found.transpose().unwrap_or_else(|error| {
            self.note(format!("{error}: what is in it is made anew"));
            None
        });
        let seen = match found.flatten() {
            Some(seen) => Arc::new(seen),
            None => self.look_once(&key, extraction, data, images)?,
        };
        self.references.borrow_mut().insert(key, Arc::clone(&seen));
        Ok(seen)
    }

    /// Looks, and keeps what was seen under `key`.
    fn look_once(
        &self,
        key: &str,
        extraction: &Extraction,
        data: &Dataset,
        images: &[f32],
    ) -> Result<Arc<Seen>> {
        let start = Instant::now();
        let seen = Arc::new(self.see(extraction, data.image(), images)?);
        let is_kept = self.kept.as_ref().map(|kept| kept.write(key, &seen));
        let is_kept = is_kept.transpose().unwrap_or_else(|error| {
            self.note(format!(
                "features of reference images are not kept: {error}"
            ));
            None
        });
        if start.elapsed() > LONG {
            self.note(format!(
                "{} looked at {} of {} for {:.0} s, which {}",
                extraction.words(),
                counted(seen.n(), "image"),
                data.name,
                start.elapsed().as_secs_f64(),
                match is_kept {
                    Some(true) => "is kept for other runs",
                    _ => "this run needs not do again",
                }
            ));
        }
        Ok(seen)
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
        data: &Dataset,
        images: &Images,
        rows: &[usize],
    ) -> Result<Arc<Seen>, metrics::Error> {
        let floats = rows.len().saturating_mul(images.d());
        room_for("reference images", 2 * floats as u64).map_err(refused)?;
        let mut pixels = vec![0.0; floats];
        images.rows_f32_into(rows, &mut pixels)?;
        self.refer(extraction, data, &pixels).map_err(refused)
    }
}
