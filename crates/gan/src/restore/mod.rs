//! Restoration: G is given a real example of which a part is missing, and makes the whole. Each kind has its file.
//!
//! ```
//! use ganforge_gan::restore::{Mask, Restorer};
//! use ganforge_gan::{Config, data, init};
//! let config = Config::preset("inpaint")?;
//! let store = init::store(&config, 784, &[])?; // untrained
//! let digits = data::bundled_sample()?;
//! let x = digits.test.to_f32(0..3)?;
//! let known = Mask::Right.known([28, 28], 1); // the left half
//! let completed = Restorer::of_run(&config, &store)?.restore(&x, Some(&known), 0)?;
//! let pixels = x.iter().zip(&completed).zip(known.iter().cycle());
//! assert!(pixels.filter(|(_, known)| **known == 1.0).all(|((x, y), _)| x == y));
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

mod inpaint;
mod restorer;

pub use inpaint::{Inpaint, Mask};
pub use restorer::Restorer;

use ganforge_settings::{ZeroIsNone, closed, list, settings, whole};
use ganforge_tensor::{Graph, Var};

use crate::config::MANY;
use crate::nn::flat;

settings! {
    /// What is missing of the real examples that G is given, and what it minimises beside the loss. D sees what G has made whole.
    pub struct Restore {
        /// What is missing.
        pub kind: RestoreKind = RestoreKind::Inpaint(Inpaint::default());
        /// The distance to the real example, a mean over the values that are missing.
        pub content: Content = Content::L1;
        /// How much G's loss, what D makes of the results, counts; 0: not at all, and there is no D.
        pub adversarial: Option<f64> = Some(1.0), ZeroIsNone(closed(0.0, 1000.0));
        /// How much the distance counts.
        #[only(adversarial, "restore.adversarial above 0", |r| r.adversarial.is_some())]
        pub weight: f64 = 10.0, closed(0.0, 1000.0);
        /// How much it counts in the first epochs.
        #[only(first_epochs, "restore.first_epochs above 0", |r| r.first_epochs > 0)]
        pub first_weight: f64 = 10.0, closed(0.0, 1000.0);
        /// How many epochs those are.
        #[only(adversarial, "restore.adversarial above 0", |r| r.adversarial.is_some())]
        pub first_epochs: usize = 0, whole(0, MANY);
    }
}

list! {
    /// A way in which examples are incomplete.
    pub enum RestoreKind: dyn Restoration by "kind" {
        "inpaint" => Inpaint(Inpaint),
    }
}

list! {
    /// A distance between a restored example y and the real one, x.
    pub enum Content {
        /// mean |y - x|
        "l1" => L1,
        /// mean (y - x)²
        "mse" => Mse,
    }
}

/// A way in which examples are incomplete. Images are [height, width, channels].
pub trait Restoration: std::fmt::Debug + Send + Sync {
    /// Why it does not take images of this size, if it does not.
    ///
    /// # Errors
    /// That, after "takes".
    fn fits(&self, image: [usize; 3]) -> Result<(), String>;

    /// The shape of what G is given of an image.
    fn input(&self, image: [usize; 3]) -> [usize; 3];

    /// Which pixels of the examples of a minibatch are known, as ones and zeros drawn under names that begin with `known` and
    /// `name`: `[rows, h, w, 1]`; none where none is known as it is.
    fn draw<'g>(
        &self,
        graph: &'g Graph,
        name: &str,
        rows: usize,
        image: [usize; 3],
    ) -> Option<Var<'g>>;

    /// The same for pictures and scores, of all images alike: `[h · w]`.
    fn shown(&self, sides: [usize; 2], seed: u64) -> Option<Vec<f32>>;

    /// What G is given of the examples x `[b, h, w, c]` of which this is known, with the noise z `[b, h · w · c]`.
    fn given<'g>(&self, x: Var<'g>, known: Option<Var<'g>>, z: Var<'g>) -> Var<'g>;
}

impl Restore {
    /// Whether G goes down the distance alone: then there is no D.
    pub fn is_alone(&self) -> bool {
        self.adversarial.is_none()
    }

    /// How much the distance counts in an epoch, counted from 1.
    pub(crate) fn weight_at(&self, epoch: usize) -> f64 {
        match epoch <= self.first_epochs {
            true => self.first_weight,
            false => self.weight,
        }
    }

    /// Incomplete examples: of x `[b, h · w · c]`, with the noise z and the pixels that are known, see [`Restoration::draw`].
    #[track_caller]
    pub(crate) fn given<'g>(
        &self,
        image: [usize; 3],
        x: Var<'g>,
        known: Option<Var<'g>>,
        z: Var<'g>,
    ) -> Given<'g> {
        let rows = x.shape().dims()[0];
        let [h, w, c] = image;
        let x = x.reshape([rows, h, w, c]);
        Given {
            x,
            known,
            input: self.kind.given(x, known, z),
        }
    }
}

/// A minibatch of incomplete examples.
#[derive(Clone, Copy, Debug)]
pub struct Given<'g> {
    /// The examples as they are, `[b, h, w, c]`.
    pub x: Var<'g>,
    /// Which pixels of them are known, `[b, h, w, 1]`, ones and zeros; none: none.
    pub known: Option<Var<'g>>,
    /// What G is given, `[b, ..]`.
    pub input: Var<'g>,
}

impl<'g> Given<'g> {
    /// The examples made whole by G's output y: y where nothing is known and the example where it is, bit for bit, as x · 1 + y · 0
    /// is x and x · 0 + y · 1 is y.
    ///
    /// x · known + y · (1 - known)
    #[track_caller]
    pub fn restored(&self, y: Var<'g>) -> Var<'g> {
        let y = y.reshape(self.x.shape());
        match self.known {
            None => y,
            Some(known) => self.x * known + y * (1.0 - known),
        }
    }

    /// What D sees of G's output y, or of the examples x, `[b, values]`: the image, and beside each pixel whether it was known.
    #[track_caller]
    pub(crate) fn judged(&self, y: Var<'g>) -> Var<'g> {
        let image = self.restored(y);
        flat(match self.known {
            None => image,
            Some(known) => image.concat(known, 3),
        })
    }

    /// The distance of G's output y from the examples: a mean over what is not known. No gradient goes to what is known.
    #[track_caller]
    pub fn content(&self, content: Content, y: Var<'g>) -> Var<'g> {
        let y = y.reshape(self.x.shape());
        let missed = y - self.x;
        let missed = match self.known {
            None => missed,
            Some(known) => missed * (1.0 - known),
        };
        let of_each = match content {
            Content::L1 => missed.abs(),
            Content::Mse => missed.square(),
        };
        match self.known {
            None => of_each.mean(),
            Some(known) => {
                let channels = self.x.shape().dims()[3] as f64;
                // At least 1: of small images all pixels of a minibatch may be known.
                let missing = ((1.0 - known).sum() - 1.0).relu() + 1.0;
                of_each.sum() / (missing * channels)
            }
        }
    }
}

#[cfg(test)]
mod tests;
