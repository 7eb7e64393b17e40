//! Random changes of training images, which keep their classes.

mod crop;
mod flip;

pub use crop::RandomCrop;
pub use flip::RandomFlip;

use ganforge_settings::{list, settings};

use crate::ImageSize;

/// The most numbers that a change of one image draws.
pub const MAX_DRAWS: usize = 4;

settings! {
    /// One of the random changes of training images.
    pub struct AugmentTerm {
        /// The change.
        pub kind: Augment = Augment::default();
    }
}

list! {
    /// A random change of an image.
    pub enum Augment: dyn Augmentation by "kind" {
        "flip" => Flip(RandomFlip),
        "crop" => Crop(RandomCrop),
    }
}

/// A random change of images.
pub trait Augmentation: std::fmt::Debug + Send + Sync {
    /// How many numbers it draws for one image, at most [`MAX_DRAWS`].
    fn draws(&self) -> usize;

    /// Changes one image [height, width, channels], as `drawn` says, [`Augmentation::draws`] numbers uniform on [0, 1); `free`
    /// has room for another image.
    fn apply(&self, drawn: &[f32], size: ImageSize, image: &mut [f32], free: &mut [f32]);

    /// Whether images of this size can be changed so.
    ///
    /// # Errors
    /// The key that does not fit, and why.
    fn fits(&self, _size: ImageSize) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

/// A whole number from 0 to n - 1, each as likely as another, from a number uniform on [0, 1).
fn whole(drawn: f32, n: usize) -> usize {
    ((f64::from(drawn) * n as f64) as usize).min(n.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_equally_likely_and_stay_below_their_bound() {
        let mut counts = [0; 9];
        (0..9000).for_each(|i| counts[whole(i as f32 / 9000.0, 9)] += 1);
        assert!(
            counts.iter().all(|&n| (995..=1005).contains(&n)),
            "{counts:?}"
        );
        assert_eq!(whole(1.0 - f32::EPSILON / 2.0, 9), 8);
        assert_eq!(whole(0.5, 1), 0);
    }
}
