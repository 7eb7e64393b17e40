//! The Inception network of FID: the graph of December 2015, by whose features and logits sets of images are compared in the
//! literature.
//!
//! Its weights do not come with the program. The file that the programs for FID share is read as it is:
//!
//! ```no_run
//! use ganforge_gan::inception::Inception;
//! use ganforge_gan::metrics::sets::protocol::Protocol;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut inception = Inception::read("pt_inception-2015-12-05.pth".as_ref())?;
//! assert!(inception.is_published());
//! let bytes = vec![127.0; 32 * 32 * 3];
//! let image = Protocol::TorchFidelity.prepare(&bytes, [32, 32, 3])?;
//! let [features, logits] = inception.look(&image)?;
//! assert_eq!([features.len(), logits.len()], [2048, 1008]);
//! # Ok(())
//! # }
//! ```

mod forward;
mod net;
#[cfg(test)]
mod tests;
mod weights;

use std::path::Path;

use ganforge_tensor::exec::Span;
use ganforge_tensor::{Device, Plan, Store};

use crate::data::hash::of_unchanged;
use crate::error::{Error, Result};
use crate::files::Array;
use crate::generator::file;
use crate::state_file::StateFile;
use forward::{Forward, IMAGE};
use net::Block;

/// Images looked at at once, unless somebody asks for another number.
const ROWS: usize = 16;

/// The most images at once.
const MOST_ROWS: usize = 10_000;

/// What [`Inception::look`] hands out.
const LOOK: [&str; 2] = ["2048", "logits_unbiased"];

/// The network with its weights.
pub struct Inception {
    net: Vec<Block>,
    store: Store,
    sha256: Option<String>,
    device: Device,
    rows: usize,
    /// The pass that ran last, where it still fits.
    forward: Option<Forward>,
}

impl Inception {
    /// The file that the programs for FID share: its name and its SHA-256.
    pub const PUBLISHED: [&str; 2] = [
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ];
    /// Rows and columns of the images that it takes.
    pub const SIDE: usize = net::SIDE;
    /// Features of an image.
    pub const FEATURES: usize = net::FEATURES;
    /// Logits of an image.
    pub const CLASSES: usize = net::CLASSES;

    /// Reads the state_dict in a file: .pth or .pt of `torch.save`, in either of its forms, .safetensors or .npz. Counters of
    /// batch norm are left out.
    ///
    /// # Errors
    /// A name of another ending; a damaged file; a missing, unknown or misshapen tensor, before anything is computed, with the file
    /// and the first of them; values that are not finite, a negative variance; a file that changes meanwhile.
    pub fn read(path: &Path) -> Result<Inception> {
        let read = || {
            let file = match file::is_torch(path) {
                true => StateFile::torch(path)?,
                false => file::open(path)?,
            };
            Inception::of(file)
        };
        let (inception, sums) = of_unchanged(&[path], read)?;
        Ok(Inception {
            sha256: sums.into_iter().next(),
            ..inception
        })
    }

    /// That of tensors by name, called `place` in messages.
    ///
    /// # Errors
    /// As [`Inception::read`], of the tensors.
    pub fn from_tensors(place: &Path, tensors: Vec<(String, Array)>) -> Result<Inception> {
        Inception::of(StateFile::of_tensors(tensors, place))
    }

    fn of(mut file: StateFile) -> Result<Inception> {
        let net = net::net();
        weights::check(&net, &mut file)?;
        let store = weights::read(&net, &mut file)?;
        Ok(Inception {
            net,
            store,
            sha256: None,
            device: Device::CPU,
            rows: ROWS,
            forward: None,
        })
    }

    /// Names and shapes of the tensors of its state_dict, in PyTorch's order of dimensions: filters are [out, in, kh, kw].
    pub fn tensors() -> Vec<(String, Vec<usize>)> {
        weights::tensors(&net::net())
    }

    /// SHA-256 of the file that it was read from.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// Whether that is the file which the programs for FID share, as it is published.
    pub fn is_published(&self) -> bool {
        self.sha256() == Some(Self::PUBLISHED[1])
    }

    /// From here on it computes on `device`.
    ///
    /// # Errors
    /// The device's.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        device.executor()?;
        (self.device, self.forward) = (device.clone(), None);
        Ok(())
    }

    /// From here on it looks at `rows` images at once; a last batch of fewer takes as long as a whole one. What it says does not
    /// depend on it beyond rounding.
    ///
    /// # Errors
    /// No images at once, or more than 10,000.
    pub fn set_rows(&mut self, rows: usize) -> Result<()> {
        if !(1..=MOST_ROWS).contains(&rows) {
            let message = format!(
                "the Inception network: expected 1 to {MOST_ROWS} images at once, got {rows}"
            );
            return Err(Error::Mismatch(message));
        }
        (self.rows, self.forward) = (rows, None);
        Ok(())
    }

    /// Features [n, 2048] and logits [n, 1008], these without the last layer's bias as Inception scores take them, of images
    /// [n, 299, 299, 3] as a [protocol](crate::metrics::sets::protocol::Protocol::prepare) prepares them.
    ///
    /// # Errors
    /// Values that are no whole images, or not finite, with the image; more images than there is memory for; the device's.
    pub fn look(&mut self, images: &[f32]) -> Result<[Vec<f32>; 2]> {
        let found: Result<[Vec<f32>; 2], _> = self.look_at(&LOOK, images)?.try_into();
        Ok(found.expect("as many as were asked for"))
    }

    /// The values of these names: the features `64`, `192`, `768` and `2048` [n, as many], the logits `logits_unbiased` and `logits`
    /// [n, 1008]; and the maps of a block, such as `Mixed_5b`, [n, h, w, channels]. No more of the network is computed than they take.
    ///
    /// # Errors
    /// As [`Inception::look`]; a name that there is not.
    pub fn look_at(&mut self, names: &[&str], images: &[f32]) -> Result<Vec<Vec<f32>>> {
        check(images)?;
        let (forward, store) = self.forward(names)?;
        forward.run(store, images)
    }

    /// The plan of [`Inception::look`].
    ///
    /// # Errors
    /// The device's.
    pub fn plan(&mut self) -> Result<&Plan> {
        Ok(&self.forward(&LOOK)?.0.plan)
    }

    /// Computes what [`Inception::look`] hands out of at most as many images as it looks at at once, and tells when each kernel call
    /// of its plan ran.
    ///
    /// # Errors
    /// As [`Inception::look`]; more images.
    pub fn look_timed(&mut self, images: &[f32], spans: &mut [Span]) -> Result<()> {
        check(images)?;
        let rows = self.rows;
        if images.len() > rows * IMAGE {
            let message = format!("the Inception network: expected at most {rows} images at once");
            return Err(Error::Mismatch(message));
        }
        let (forward, store) = self.forward(&LOOK)?;
        forward.pass(store, images, Some(spans))
    }

    /// The pass that hands out these values, the last one where it is still that.
    fn forward(&mut self, names: &[&str]) -> Result<(&mut Forward, &mut Store)> {
        let forward = match self.forward.take().filter(|forward| forward.is_of(names)) {
            Some(forward) => forward,
            None => Forward::new(&self.net, &self.device, self.rows, names)?,
        };
        Ok((self.forward.insert(forward), &mut self.store))
    }
}

/// Refuses what is no whole images, or not finite.
fn check(images: &[f32]) -> Result<()> {
    let side = Inception::SIDE;
    if !images.len().is_multiple_of(IMAGE) {
        return Err(Error::Mismatch(format!(
            "the Inception network: images [{side}, {side}, 3] are rows of {IMAGE} values, got {} values",
            images.len()
        )));
    }
    match images.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Mismatch(format!(
            "the Inception network: image {} has {} at place {}",
            at / IMAGE,
            images[at],
            at % IMAGE
        ))),
    }
}
