//! Networks that look at images: one interface for all of them.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use ganforge_tensor::{Device, Store};

use rayon::prelude::*;

use super::{BUNDLED, INCEPTION, check};
use crate::classifier::{Classifier, Forward, size_of};
use crate::config::Config;
use crate::data::{ImageSize, hash};
use crate::error::{Error, Result, room_for};
use crate::inception::Inception;
use crate::metrics::sets::protocol::Protocol;
use crate::metrics::{Extraction, Seen};
use crate::run::Run;

/// Images of one size, [n, height, width, channels].
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// From 0 to 255.
    Bytes(&'a [u8]),
    /// From 0 to 1.
    Units(&'a [f32]),
}

impl<'a> Pixels<'a> {
    /// All values of all images.
    pub(super) fn len(self) -> usize {
        match self {
            Pixels::Bytes(bytes) => bytes.len(),
            Pixels::Units(units) => units.len(),
        }
    }

    /// Some of them.
    fn part(self, range: Range<usize>) -> Pixels<'a> {
        match self {
            Pixels::Bytes(bytes) => Pixels::Bytes(&bytes[range]),
            Pixels::Units(units) => Pixels::Units(&units[range]),
        }
    }

    /// All from 0 to 1.
    pub(super) fn units(self) -> Cow<'a, [f32]> {
        match self {
            Pixels::Bytes(bytes) => bytes.iter().map(|b| f32::from(*b) / 255.0).collect(),
            Pixels::Units(units) => units.into(),
        }
    }
}

/// A network that looks at images, by the rules of a protocol.
pub struct Extractor {
    /// As it was asked for.
    name: String,
    protocol: Option<Protocol>,
    sha256: String,
    network: Kind,
}

enum Kind {
    Classifier(Box<Classifier>),
    Discriminator(Box<Discriminator>),
    Inception(Box<Inception>),
}

/// Images that are prepared for the Inception network at once.
const PREPARED: usize = 64;

/// The discriminator of a run: its features alone.
struct Discriminator {
    config: Config,
    image: ImageSize,
    store: Store,
    forward: Forward,
}

impl Extractor {
    /// The network of `extraction`: one that comes with the program, by its name; the classifier or the discriminator of the run in
    /// a folder, as its newest checkpoint has it; a classifier in a file; with weights that of a configuration (.toml), or
    /// "inception".
    ///
    /// # Errors
    /// An unknown name; no run or no file of that path; weights that are missing, that nothing asks for, or of another network;
    /// a file that changes while it is read.
    pub fn find(extraction: &Extraction) -> Result<Extractor> {
        let name = &extraction.extractor;
        let made = |sha256: String, network: Kind| Extractor {
            name: name.clone(),
            protocol: extraction.protocol,
            sha256,
            network,
        };
        check(extraction, None).map_err(|reason| {
            let reason = reason.strip_prefix("asks for ").unwrap_or(&reason);
            Error::Mismatch(reason.to_owned())
        })?;
        if let Some(bundled) = BUNDLED.iter().find(|b| b.name == *name) {
            let classifier = Classifier::from_bytes(bundled.bytes, bundled.name)?;
            return Ok(made(
                hash::of_bytes(bundled.bytes),
                Kind::Classifier(Box::new(classifier)),
            ));
        }
        let path = Path::new(name);
        if let Some(weights) = &extraction.weights {
            let weights = Path::new(weights);
            if name == INCEPTION {
                let inception = Inception::read(weights)?;
                let sum = inception.sha256().unwrap_or_default().to_owned();
                return Ok(made(sum, Kind::Inception(Box::new(inception))));
            }
            let (classifier, sums) = hash::of_unchanged(&[path, weights], || {
                Classifier::import(&Config::load(name)?, weights)
            })?;
            return Ok(made(
                hash::of_bytes(sums.concat().as_bytes()),
                Kind::Classifier(Box::new(classifier)),
            ));
        }
        if path.is_file() {
            let (classifier, sums) = hash::of_unchanged(&[path], || Classifier::read(path))?;
            return Ok(made(sums.concat(), Kind::Classifier(Box::new(classifier))));
        }
        // A run that goes on has another newest checkpoint soon: its path is looked up once.
        let (run, config) = Run::open(path)?;
        let (run, checkpoint) = run.at_newest()?;
        let (network, sums) = hash::of_unchanged(&[&checkpoint], || {
            Ok::<_, Error>(match config.generates() {
                false => Kind::Classifier(Box::new(Classifier::of_opened(&run, &config)?)),
                true => Kind::Discriminator(Box::new(Discriminator::of(&run, config)?)),
            })
        })?;
        Ok(made(sums.concat(), network))
    }

    /// As it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file that its weights are of: of a run that of the checkpoint; of a configuration that of the sums of both files.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The program whose rules it follows.
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// Features of an image.
    pub fn n_features(&self) -> usize {
        match &self.network {
            Kind::Classifier(classifier) => classifier.n_features(),
            Kind::Discriminator(d) => d.forward.widths[1],
            Kind::Inception(_) => Inception::FEATURES,
        }
    }

    /// Classes that it tells apart; 0 where it tells none.
    pub fn n_classes(&self) -> usize {
        match &self.network {
            Kind::Classifier(classifier) => classifier.n_classes(),
            Kind::Discriminator(_) => 0,
            Kind::Inception(_) => Inception::CLASSES,
        }
    }

    /// From here on it computes on `device`.
    ///
    /// # Errors
    /// The device's.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        match &mut self.network {
            Kind::Classifier(classifier) => classifier.move_to(device),
            Kind::Discriminator(d) => {
                d.forward = Forward::of_discriminator(device, &d.config)?;
                Ok(())
            }
            Kind::Inception(inception) => inception.move_to(device),
        }
    }

    /// The size of the images that it takes; none: any, resized as the protocol says.
    pub fn image(&self) -> Option<ImageSize> {
        match &self.network {
            Kind::Classifier(classifier) => Some(classifier.image()),
            Kind::Discriminator(d) => Some(d.image),
            Kind::Inception(_) => None,
        }
    }

    /// What should be known of its weights, where there is something.
    pub fn note(&self) -> Option<String> {
        match &self.network {
            Kind::Inception(inception) if !inception.is_published() => Some(format!(
                "{}: the SHA-256 of its weights is {}, not that of {}: if they were not made from that file, scores do not \
                 compare with published ones",
                self.name,
                self.sha256,
                Inception::PUBLISHED[0]
            )),
            _ => None,
        }
    }

    /// What is done to images of this size for it, where that needs saying.
    ///
    /// # Errors
    /// Images of a size that it does not take.
    pub fn takes(&self, size: ImageSize) -> Result<Option<String>> {
        super::takes(&self.name, self.image(), size).map_err(Error::Mismatch)
    }

    /// What it sees in images of this size.
    ///
    /// # Errors
    /// Images of a size that it does not take; values that are no whole images; a pixel out of range, with its place; more images
    /// than there is memory for.
    pub fn look(&mut self, size: ImageSize, images: Pixels<'_>) -> Result<Seen> {
        self.takes(size)?;
        let protocol = self.protocol;
        let is_of_bytes = protocol.is_some_and(|p| p.rules().bytes);
        let repeats = match self.image() {
            Some(own) if own.channels == 3 && size.channels == 1 => 3,
            _ => 1,
        };
        // Pixels from a place on, as the network takes them.
        let read = |first: usize, to: &mut [f32]| {
            let part = images.part(first / repeats..(first + to.len()) / repeats);
            let rounds = is_of_bytes && matches!(part, Pixels::Units(_));
            for (to, x) in to.chunks_exact_mut(repeats).zip(part.units().iter()) {
                // A value out of range stays so, to be refused by the network.
                to.fill(match rounds {
                    true => (x * 255.0).round() / 255.0,
                    false => *x,
                });
            }
        };
        let values = images.len() * repeats;
        let [logits, features] = match &mut self.network {
            Kind::Inception(inception) => return look_at_any(inception, protocol, size, images),
            Kind::Classifier(classifier) => classifier.look_at(values, read)?,
            Kind::Discriminator(d) => {
                let Discriminator {
                    config,
                    image,
                    store,
                    forward,
                } = &mut **d;
                let [_, features] = forward.look(config, *image, store, values, read)?;
                [Vec::new(), features]
            }
        };
        Ok(Seen {
            features,
            d: self.n_features(),
            logits,
            classes: self.n_classes(),
        })
    }
}

/// What the Inception network sees in images of any size, resized by the rules of the protocol; without one by those of compare-gan:
/// numbers that are not rounded, resized as in 2015.
fn look_at_any(
    inception: &mut Inception,
    protocol: Option<Protocol>,
    size: ImageSize,
    images: Pixels<'_>,
) -> Result<Seen> {
    let protocol = protocol.unwrap_or(Protocol::CompareGan);
    let d = size.values().unwrap_or(0).max(1);
    let len = images.len();
    if !len.is_multiple_of(d) {
        let message = format!("{INCEPTION}: {len} values are no images of {size}");
        return Err(Error::Mismatch(message));
    }
    let image = |i: usize| -> Result<Vec<f32>> {
        let pixels: Vec<f32> = match images.part(i * d..(i + 1) * d) {
            Pixels::Bytes(bytes) => bytes.iter().map(|b| f32::from(*b)).collect(),
            Pixels::Units(units) if protocol.rules().bytes => {
                units.iter().map(|x| (x * 255.0).round()).collect()
            }
            Pixels::Units(units) => units.iter().map(|x| x * 255.0).collect(),
        };
        let shape = [size.height, size.width, size.channels];
        let prepared = protocol.prepare(&pixels, shape);
        prepared.map_err(|e| Error::Mismatch(format!("{INCEPTION}: image {i}: {e}")))
    };
    let n = len / d;
    let floats = n.saturating_mul(Inception::FEATURES + Inception::CLASSES);
    room_for("the features of these images", floats as u64)?;
    let mut seen = Seen {
        d: Inception::FEATURES,
        classes: Inception::CLASSES,
        ..Seen::default()
    };
    for first in (0..n).step_by(PREPARED) {
        let rows = first..n.min(first + PREPARED);
        let prepared: Result<Vec<Vec<f32>>> = rows.into_par_iter().map(image).collect();
        let [features, logits] = inception.look(&prepared?.concat())?;
        seen.features.extend(features);
        seen.logits.extend(logits);
    }
    Ok(seen)
}

impl Discriminator {
    fn of(run: &Run, config: Config) -> Result<Discriminator> {
        let forward = Forward::of_discriminator(&Device::CPU, &config)?;
        Ok(Discriminator {
            image: size_of(&config)?,
            store: run.load(&config, config.output_dim())?,
            config,
            forward,
        })
    }
}
