//! A few examples that keep their labels.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

use crate::Images;

impl Images {
    /// The places of `n` images whose labels are known, as many of each of `classes` classes, in their old order: of each class
    /// the first ones after a random permutation of all images, which follows from `seed`.
    ///
    /// source: Salimans et al. 2016, Improved Techniques for Training GANs, released code
    ///
    /// # Errors
    /// Images without labels, a number that the classes do not divide, a class with fewer images.
    pub fn labelled(&self, n: usize, classes: usize, seed: u64) -> Result<Vec<usize>, String> {
        let Some(labels) = self.labels() else {
            return Err("needs images with classes, and these have none".into());
        };
        if classes == 0 || n == 0 || !n.is_multiple_of(classes) {
            return Err(format!(
                "must be a multiple of {classes}, the number of classes, got {n}"
            ));
        }
        // Of a named generator, whose numbers stay the same.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.n()).collect();
        order.shuffle(&mut rng);
        let each = n / classes;
        let mut rows = Vec::with_capacity(n);
        for class in 0..classes {
            let of_class = order
                .iter()
                .filter(|&&row| usize::from(labels[row]) == class);
            let before = rows.len();
            rows.extend(of_class.take(each));
            let found = rows.len() - before;
            if found < each {
                return Err(format!(
                    "= {n} takes {each} images of each class, and there are {found} of class {class}"
                ));
            }
        }
        rows.sort_unstable();
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 images of the classes 0, 1 and 2 in turn.
    fn images() -> Images {
        let labels: Vec<u8> = (0..60).map(|i| i % 3).collect();
        Images::from_bytes(1, vec![0; 60]).with_labels(labels)
    }

    #[test]
    fn there_are_as_many_of_each_class_and_another_seed_draws_others() {
        let images = images();
        let draw = |seed| images.labelled(12, 3, seed).expect("drawn");
        let rows = draw(1);
        for class in 0..3 {
            assert_eq!(rows.iter().filter(|&&row| row % 3 == class).count(), 4);
        }
        assert!(rows.is_sorted_by(|a, b| a < b), "each once: {rows:?}");
        assert_eq!(draw(1), rows);
        assert_ne!(draw(2), rows);
        let all = images.labelled(60, 3, 1).expect("drawn");
        assert_eq!(all, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let images = images();
        for (n, expected) in [
            (10, "must be a multiple of 3, the number of classes, got 10"),
            (
                63,
                "= 63 takes 21 images of each class, and there are 20 of class 0",
            ),
        ] {
            assert_eq!(images.labelled(n, 3, 1).expect_err("refused"), expected);
        }
        let without = Images::from_bytes(1, vec![0; 60]);
        let reason = without.labelled(3, 3, 1).expect_err("no labels");
        assert!(reason.contains("these have none"), "{reason}");
    }
}
