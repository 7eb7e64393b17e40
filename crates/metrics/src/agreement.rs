//! How often a judge finds an image and what G makes of it, through an encoder or as it restores it, to be of one class.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings};
use ganforge_tensor::words::counted;

use crate::Better::Higher;
use crate::extractor::{logits, of_classes};
use crate::sets::Features;
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Share of the test images x whose class, as a classifier, the judge, finds it, is that of what G makes of x: of a run that trains an
    /// encoder G(E(x)), of one with `[restore]` the image restored. Of images of the size that the network takes.
    pub struct Agreement {
        /// The judge.
        pub looks: Extraction = Extraction::default(), Flat;
    }
}

impl Metric for Agreement {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        self.looks.fits(set, |_| true)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score(
                "agreement",
                "share of images remade of the class of x",
                Higher,
                [4, 6],
            ),
            Column::about("agreement_test", "test images", 0),
        ]
    }

    fn suits(&self, _: &Dataset, classes: usize) -> Result<(), String> {
        of_classes(classes)
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            inferred: true,
            restored: true,
            ..Needs::default()
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        if inputs.inferred.is_none() {
            return Err(Error::Other(
                "agreement: asks for an encoder or a run with [restore]".into(),
            ));
        }
        let [again, test] = logits("agreement", inputs)?;
        let n = test.n();
        let of = |seen: Features<'_>| seen.values().chunks(seen.d()).map(likeliest).collect();
        let [again, test]: [Vec<usize>; 2] = [of(again), of(test)];
        let same = again.iter().zip(&test).filter(|(again, x)| again == x);
        Ok(Numbers::of([same.count() as f64 / n as f64, n as f64]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [share, n] = numbers.array();
        format!(
            "{} finds what G makes of x to be of the class of x in {:.2} % of {}",
            self.looks.words(),
            100.0 * share,
            counted(n as usize, "test image")
        )
    }
}

/// The place of the largest number, the first one of several.
fn likeliest(logits: &[f32]) -> usize {
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).reduce(better).unwrap_or(0)
}
