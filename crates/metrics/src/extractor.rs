//! Features of images, by which metrics compare samples with data.

use std::sync::Arc;

use ganforge_data::{Contrast, DataSet, Dataset, ImageSize, Images};
use ganforge_settings::{Maybe, Words, settings, text, whole};
use ganforge_tensor::words::counted;

use crate::sets::protocol::Protocol;
use crate::sets::{Features, SetError};
use crate::{Error, Fit, Inputs};

settings! {
    /// What a score of features looks at images with.
    #[derive(Eq)]
    pub struct Extraction {
        /// The network whose features are compared: "mnistnet" (28x28, grey), "cifarnet" (32x32, colour), "inception" (any images,
        /// made 299x299; with `weights`), the folder of a run, whose classifier or discriminator it is, the file of a classifier,
        /// or the configuration of one (.toml, with `weights`).
        pub extractor: String = "mnistnet".to_owned(), text("a network's name, or the path of a run or a file", |t| !t.is_empty());
        /// The file with the weights of "inception" or of a configuration: of PyTorch (.pth), .safetensors or .npz.
        #[shown("none: the network has its own")]
        pub weights: Option<String> = None, Maybe(text("the path of a file", |t| !t.is_empty()));
        /// The program whose rules hold: for the bytes or numbers that images are, the resize of "inception", the subsets of KID, the
        /// splits of the inception score, and neighbours and balls.
        #[shown("none: pixels as they are, and the settings of the score")]
        pub protocol: Option<Protocol> = None, Maybe(Words(&Protocol::WORDS));
        /// So many samples, and as many test images, evenly spaced over all of them, or all where there are fewer.
        pub images: usize = 2000, whole(2, 1_000_000);
    }
}

/// Names of networks, which no path is.
pub const NAMES: [&str; 3] = ["mnistnet", "cifarnet", "inception"];

/// What an extractor says of n images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// [n, d]
    pub features: Vec<f32>,
    /// Features of an image.
    pub d: usize,
    /// A logit for each class, [n, classes].
    pub logits: Vec<f32>,
    /// How many classes it tells apart.
    pub classes: usize,
}

impl Seen {
    /// How many images.
    pub fn n(&self) -> usize {
        self.features.len().checked_div(self.d).unwrap_or(0)
    }
}

/// What an extractor says of samples and of test images.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Of the samples.
    pub samples: Seen,
    /// Of the test images.
    pub test: Arc<Seen>,
    /// Which of the test images these are.
    pub rows: Vec<usize>,
}

/// Networks by their names.
pub trait Extractors {
    /// What the network of `extraction` says of images [n, d] of this size, pixels from 0 to 1.
    ///
    /// # Errors
    /// No such network; images of another size than it takes; a pixel that is not from 0 to 1.
    fn look(&self, extraction: &Extraction, size: ImageSize, images: &[f32])
    -> Result<Seen, Error>;

    /// The same of reference images. What was seen once may be kept.
    ///
    /// # Errors
    /// As [`Extractors::look`] and [`Reference::pixels`].
    fn reference(
        &self,
        extraction: &Extraction,
        reference: &Reference<'_>,
    ) -> Result<Arc<Seen>, Error> {
        let (size, pixels) = (reference.data.image(), reference.pixels()?);
        self.look(extraction, size, &pixels).map(Arc::new)
    }
}

/// Images that samples are compared with. Their pixels are read when they are asked for, as what was seen of them may be known.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// What they are of.
    pub data: &'a Dataset,
    /// A part of it, with pixels from 0 to 1.
    pub images: &'a Images,
    /// Which of these.
    pub rows: &'a [usize],
}

impl Reference<'_> {
    /// Their pixels, [rows, d].
    ///
    /// # Errors
    /// A row that is not there.
    pub fn pixels(&self) -> Result<Vec<f32>, Error> {
        let mut pixels = vec![0.0; self.rows.len() * self.images.d()];
        self.images.rows_f32_into(self.rows, &mut pixels)?;
        Ok(pixels)
    }
}

impl Extraction {
    /// What the extractor says of the first samples [n, d] and the first test images, which `metric` asks for.
    pub(crate) fn compare(
        &self,
        metric: &str,
        extractors: Option<&dyn Extractors>,
        data: &Dataset,
        samples: &[f32],
    ) -> Result<Compared, Error> {
        let refuse = |reason: &str| Error::Other(format!("{metric}: {reason}"));
        let extractors =
            extractors.ok_or_else(|| refuse("asks for a network that looks at images"))?;
        if data.test.contrast() != Contrast::AsIs {
            return Err(refuse(
                "needs pixels from 0 to 1, not images of normalised contrast",
            ));
        }
        let rows = self.rows(data.test.n());
        let samples = &samples[..samples.len().min(self.images * data.test.d())];
        Ok(Compared {
            samples: extractors.look(self, data.image(), samples)?,
            test: extractors.reference(
                self,
                &Reference {
                    data,
                    images: &data.test,
                    rows: &rows,
                },
            )?,
            rows,
        })
    }

    /// Which of `n` test images are looked at: number i of m is image i n / m.
    pub fn rows(&self, n: usize) -> Vec<usize> {
        let m = n.min(self.images);
        (0..m).map(|i| i * n / m).collect()
    }

    /// Refuses fewer than `needed` test images, for `what` of a score.
    pub(crate) fn enough(&self, data: &Dataset, needed: usize, what: &str) -> Result<(), String> {
        let n = data.test.n().min(self.images);
        match n < needed {
            false => Ok(()),
            true => Err(format!(
                "{needed} test images or more for {what}, and there are {n}"
            )),
        }
    }

    /// Whether the network is one of the user's, by its path.
    pub fn is_path(&self) -> bool {
        is_path(&self.extractor)
    }

    /// The paths of files that it names, to be changed.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let network = Some(&mut self.extractor).filter(|name| is_path(name));
        network.into_iter().chain(&mut self.weights)
    }

    /// What columns of scores that rest on it are called after: its name, or that of its file without the ending, in small letters
    /// with `_` for all but letters and digits, after `own_` if a network that is not the user's has this name; then that of the
    /// protocol.
    pub fn label(&self) -> String {
        let path = self.extractor.trim_end_matches(['/', '\\']);
        let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let stem = match last.rsplit_once('.') {
            Some((stem, "npz" | "safetensors" | "toml")) => stem,
            _ => last,
        };
        let letter = |c: char| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => '_',
        };
        let words = |text: &str| text.chars().map(letter).collect::<String>();
        let mut label = words(stem);
        if self.is_path() && NAMES.contains(&&*label) {
            label = format!("own_{label}");
        }
        match self.protocol {
            Some(protocol) => format!("{label}_{}", words(protocol.name())),
            None => label,
        }
    }

    /// The same where people read it: "inception by torch-fidelity".
    pub fn words(&self) -> String {
        let network = Extraction {
            protocol: None,
            ..self.clone()
        };
        match self.protocol {
            Some(protocol) => format!("{} by {}", network.label(), protocol.name()),
            None => network.label(),
        }
    }

    /// Whether a score of images fits a data set; `has` says whether a protocol has the score.
    pub(crate) fn fits(
        &self,
        set: &DataSet,
        has: impl Fn(Protocol) -> bool,
    ) -> Result<Fit, String> {
        if let Some(protocol) = self.protocol.filter(|p| !has(*p)) {
            let with = Protocol::ALL.into_iter().filter(|p| has(*p));
            let with: Vec<&str> = with.map(Protocol::name).collect();
            return Err(format!(
                "a protocol that has it, {}, and has {:?}",
                with.join(" or "),
                protocol.name()
            ));
        }
        match set {
            DataSet::Toy(_) => Err("images".into()),
            _ => Ok(Fit::Asked),
        }
    }
}

/// Whether the name of a network is the path of one.
pub fn is_path(name: &str) -> bool {
    name.contains(['/', '\\', '.'])
}

/// The features of samples and of test images.
pub(crate) fn features<'a>(metric: &str, inputs: &Inputs<'a>) -> Result<[Features<'a>; 2], Error> {
    let none = || Error::Other(format!("{metric}: asks for the features of images"));
    let found = inputs.compared.ok_or_else(none)?;
    let of = |name, seen: &'a Seen| Features::new(name, &seen.features, seen.d);
    Ok([
        of("samples", &found.samples).map_err(named(metric))?,
        of("test images", &found.test).map_err(named(metric))?,
    ])
}

/// The logits of samples and of test images.
pub(crate) fn logits<'a>(metric: &str, inputs: &Inputs<'a>) -> Result<[Features<'a>; 2], Error> {
    let none = || Error::Other(format!("{metric}: asks for the classes of images"));
    let found = inputs.compared.ok_or_else(none)?;
    if found.samples.classes == 0 {
        let reason = "asks for the classes of images, and this network tells none apart";
        return Err(Error::Other(format!("{metric}: {reason}")));
    }
    let of = |name, seen: &'a Seen| Features::new(name, &seen.logits, seen.classes);
    Ok([
        of("samples", &found.samples).map_err(named(metric))?,
        of("test images", &found.test).map_err(named(metric))?,
    ])
}

/// Refuses a network without classes, of which some scores are.
pub(crate) fn of_classes(classes: usize) -> Result<(), String> {
    match classes {
        0 => Err("a network that tells classes apart, which this one does not".into()),
        _ => Ok(()),
    }
}

/// An error of a set of features as one of a metric.
pub(crate) fn named(metric: &str) -> impl Fn(SetError) -> Error + '_ {
    move |error| Error::Other(format!("{metric}: {error}"))
}

/// "2,000 samples, 2,000 test images"
pub(crate) fn counts(samples: f64, test: f64) -> String {
    let [samples, test] = [samples, test].map(|n| n as usize);
    format!(
        "{}, {}",
        counted(samples, "sample"),
        counted(test, "test image")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::accuracy::Accuracy;
    use crate::classes::Classes;
    use crate::inception::Inception;
    use crate::kid::Kid;
    use crate::precision::Precision;
    use crate::sets::prdc::{self, Ball};
    use crate::{Inputs, Metric, MetricKind, Scores, Task};
    use ganforge_data::{DataSet, Images, RING};
    use ganforge_tensor::Device;

    /// Says of each image of two pixels: they are its features, and twice their difference and its negative its logits.
    struct Pixels;

    impl Extractors for Pixels {
        fn look(&self, _: &Extraction, _: ImageSize, images: &[f32]) -> Result<Seen, Error> {
            let logits = images
                .chunks(2)
                .flat_map(|x| [2.0 * (x[0] - x[1]), 2.0 * (x[1] - x[0])]);
            Ok(Seen {
                features: images.to_vec(),
                d: 2,
                logits: logits.collect(),
                classes: 2,
            })
        }
    }

    /// Data of two classes whose test images are these, of the classes 0, 1, 0, ...
    fn data(test: &[f32]) -> Dataset {
        let labels: Vec<u8> = (0..test.len() / 2).map(|i| (i % 2) as u8).collect();
        let images = Images::from_values(2, test.to_vec()).with_labels(labels);
        Dataset {
            classes: vec!["a".into(), "b".into()],
            train: images.clone(),
            test: images,
            ..RING.draw(1)
        }
    }

    fn looks(images: usize) -> Extraction {
        Extraction {
            images,
            ..Extraction::default()
        }
    }

    const POINTS: [f32; 12] = [0.9, 0.1, 0.2, 0.7, 0.8, 0.3, 0.1, 0.9, 0.6, 0.2, 0.3, 0.8];

    fn scored(kind: MetricKind, samples: &[f32], test: &[f32]) -> (Vec<(String, f64)>, String) {
        let (set, kinds) = (DataSet::File("a.npz".into()), [kind]);
        let task = Task::new(&kinds, &set, 6).with_extractors(&Pixels);
        let scores = task.score(&Device::CPU, &data(test), samples, &[], &[]);
        let scores = scores.unwrap_or_else(|e| panic!("{e}"));
        let values = scores.values().into_iter().map(|v| (v.name, v.value));
        (values.collect(), scores.to_string())
    }

    #[test]
    fn sets_are_scored_under_the_name_of_what_looked_at_them() {
        let images = 6;
        let (values, sentence) = scored(
            MetricKind::Precision(Precision {
                looks: looks(images),
                ..Precision::default()
            }),
            &POINTS,
            &POINTS,
        );
        let points = Features::new("points", &POINTS, 2).expect("features");
        let density = prdc::score(points, points, 5, Ball::Open)
            .expect("scored")
            .density;
        let expected = [
            ("precision_mnistnet", 1.0),
            ("recall_mnistnet", 1.0),
            ("density_mnistnet", density),
            ("coverage_mnistnet", 1.0),
            ("precision_samples", 6.0),
            ("precision_test", 6.0),
        ];
        assert_eq!(values.len(), expected.len());
        for ((name, value), (expected, number)) in values.iter().zip(expected) {
            assert_eq!(name, expected);
            assert_eq!(*value, number, "{name}");
        }
        assert!(
            sentence.ends_with("(6 samples, 6 test images)"),
            "{sentence}"
        );
        let kid = MetricKind::Kid(Kid {
            looks: looks(images),
            subsets: 20,
            ..Kid::default()
        });
        let (values, sentence) = scored(kid.clone(), &POINTS, &POINTS);
        assert_eq!(values[0].0, "kid_mnistnet");
        assert!(values[0].1 < 0.0 && values[1].1 >= 0.0, "{values:?}");
        assert!(sentence.starts_with("KID-mnistnet -"), "{sentence}");
        let far = POINTS.map(|x| x * 0.2);
        assert!(scored(kid, &far, &POINTS).0[0].1 > 0.1);
    }

    #[test]
    fn classes_of_samples_are_judged_and_their_variety_counted() {
        let images = 6;
        let accuracy = || {
            MetricKind::Accuracy(Accuracy {
                looks: looks(images),
            })
        };
        // Of the classes 0, 1, 0, 1, ..: the last two are wrong.
        let samples = [0.9, 0.1, 0.2, 0.7, 0.8, 0.3, 0.1, 0.9, 0.2, 0.6, 0.8, 0.3];
        let (values, sentence) = scored(accuracy(), &samples, &POINTS);
        assert_eq!(values[0], ("accuracy_mnistnet".to_string(), 4.0 / 6.0));
        // Of class 0 two of three, of class 1 two of three; without the last one two of two.
        assert_eq!(
            values[1],
            ("accuracy_least_mnistnet".to_string(), 2.0 / 3.0)
        );
        assert_eq!(values[2], ("accuracy_least_class".to_string(), 0.0));
        assert_eq!(values[3], ("accuracy_of_test".to_string(), 1.0));
        assert!(
            sentence.starts_with("mnistnet finds 66.67 % of samples, of class 0 66.67 %, and"),
            "{sentence}"
        );
        // As many of each class, whatever they were made as; of a class with none of the samples there is no coverage.
        let classes = |samples: &[f32]| {
            let kind = MetricKind::Classes(Classes {
                looks: looks(images),
                share: 0.2,
            });
            let (values, sentence) = scored(kind, samples, &POINTS);
            (values.iter().map(|v| v.1).collect::<Vec<_>>(), sentence)
        };
        let (values, sentence) = classes(&samples);
        assert_eq!(values, [2.0, 0.5, 0.0, 2.0, 6.0]);
        assert_eq!(
            sentence,
            "mnistnet finds 2 of 2 classes in at least 20 % of samples each, class 0 in 50.00 % (6 samples)"
        );
        let (values, _) = classes(&[0.9, 0.1].repeat(6));
        assert_eq!(values, [1.0, 0.0, 1.0, 2.0, 6.0]);
        let mut more = samples;
        more[8..10].copy_from_slice(&[0.6, 0.2]);
        let (values, _) = scored(accuracy(), &more, &POINTS);
        assert_eq!(values[0].1, 5.0 / 6.0);
        assert_eq!((values[1].1, values[2].1), (2.0 / 3.0, 1.0));
        // All of one class are as sure and of no variety.
        let inception = |samples: &[f32]| {
            let kind = MetricKind::Inception(Inception {
                looks: looks(images),
                splits: 1,
            });
            scored(kind, samples, &POINTS).0[0].1
        };
        let one = [0.9, 0.1].repeat(6);
        assert!((inception(&one) - 1.0).abs() < 1e-12);
        // Two classes in equal shares, each image with p = 1 / (1 + e^-4 (x0 - x1)).
        let two = [1.0, 0.0, 0.0, 1.0].repeat(3);
        let p = 1.0 / (1.0 + (-4f64).exp());
        let divergence = p * (2.0 * p).ln() + (1.0 - p) * (2.0 * (1.0 - p)).ln();
        assert!((inception(&two) - divergence.exp()).abs() < 1e-6);
    }

    #[test]
    fn a_judge_of_other_classes_is_refused_by_the_score_as_before_it() {
        let accuracy = Accuracy { looks: looks(6) };
        let set = DataSet::File("a.npz".into());
        let seen = |classes| Seen {
            features: POINTS.to_vec(),
            d: 2,
            logits: vec![0.0; 6 * classes],
            classes,
        };
        let mut unlabelled = data(&POINTS);
        unlabelled.test = Images::from_values(2, POINTS.to_vec());
        for (data, classes, needs) in [
            (&data(&POINTS), 2, None),
            (&data(&POINTS), 3, Some("data of the 3 classes")),
            (
                &data(&POINTS),
                0,
                Some("a network that tells classes apart"),
            ),
            (&unlabelled, 2, Some("data of the 2 classes")),
        ] {
            let compared = Compared {
                samples: seen(classes),
                test: Arc::new(seen(classes)),
                rows: (0..6).collect(),
            };
            let scored = accuracy.score(&Inputs {
                device: &Device::CPU,
                set: &set,
                data,
                samples: &POINTS,
                d: &[],
                classes: &[],
                inverse: None,
                inferred: None,
                compared: Some(&compared),
            });
            let suits = accuracy.suits(data, classes).err();
            let expected = suits
                .as_ref()
                .map(|needs| format!("accuracy: needs {needs}"));
            assert_eq!(scored.err().map(|e| e.to_string()), expected);
            let is_it = suits
                .zip(needs)
                .is_some_and(|(found, needs)| found.starts_with(needs));
            assert_eq!(is_it, needs.is_some(), "{expected:?}");
        }
    }

    #[test]
    fn the_order_of_classes_does_not_matter_to_the_inception_score() {
        let kind = MetricKind::Inception(Inception {
            looks: looks(200),
            splits: 2,
        });
        let (set, kinds) = (DataSet::File("a.npz".into()), [kind]);
        let task = Task::new(&kinds, &set, 200).with_extractors(&Pixels);
        let sorted = [[1.0f32, 0.0].repeat(100), [0.0f32, 1.0].repeat(100)].concat();
        let scores = task.score(&Device::CPU, &data(&sorted), &sorted, &[], &[]);
        let values = scores.unwrap_or_else(|e| panic!("{e}")).values();
        assert!(values[0].value > 1.4, "{}", values[0].value); // 1 of splits in that order
    }

    #[test]
    fn settings_that_no_images_can_meet_are_refused() {
        let set = DataSet::File("a.npz".into());
        let inception = |images, splits| Inception {
            looks: looks(images),
            splits,
        };
        let precision = |images| Precision {
            looks: looks(images),
            k: 7,
            ..Precision::default()
        };
        assert!(inception(10, 10).fits(&set).is_ok() && precision(8).fits(&set).is_ok());
        let few = inception(9, 10).fits(&set).expect_err("refused");
        assert_eq!(few, "images = 10 or more for splits = 10, and has 9");
        let few = precision(7).fits(&set).expect_err("refused");
        assert_eq!(few, "images = 8 or more for k = 7, and has 7");
    }

    #[test]
    fn test_images_are_spread_over_all_of_them() {
        let rows = |images, n| looks(images).rows(n);
        assert_eq!(rows(4, 10), [0, 2, 5, 7]);
        assert_eq!(rows(20, 3), [0, 1, 2]);
        // In the order of classes, as pictures in folders are, each has its share.
        let of_class = |class| {
            rows(2000, 10_000)
                .iter()
                .filter(|&&r| r / 1000 == class)
                .count()
        };
        assert!((0..10).all(|class| of_class(class) == 200));
    }

    #[test]
    fn without_features_there_is_no_score() {
        let (set, kinds) = (
            DataSet::File("a.npz".into()),
            [MetricKind::Kid(Kid::default())],
        );
        let task = Task::new(&kinds, &set, 6);
        let data = data(&POINTS);
        let samples = vec![0.0; 2 * task.samples()];
        let error = task.score(&Device::CPU, &data, &samples, &[], &[]);
        let error = error.expect_err("nothing looks").to_string();
        assert!(error.starts_with("kid: asks for a network"), "{error}");
        let inputs = Inputs {
            device: &Device::CPU,
            set: &set,
            data: &data,
            samples: &samples,
            d: &[],
            classes: &[],
            inverse: None,
            inferred: None,
            compared: None,
        };
        assert!(Kid::default().score(&inputs).is_err());
    }

    #[test]
    fn a_label_is_a_name_that_a_column_can_have() {
        for (extractor, protocol, label, words) in [
            ("mnistnet", None, "mnistnet", "mnistnet"),
            ("runs/mnistnet-001/", None, "mnistnet_001", "mnistnet_001"),
            ("/a/My Net.v2.npz", None, "my_net_v2", "my_net_v2"),
            ("x.safetensors", None, "x", "x"),
            ("./mnistnet.npz", None, "own_mnistnet", "own_mnistnet"),
            (
                "inception",
                Some(Protocol::TorchFidelity),
                "inception_torch_fidelity",
                "inception by torch-fidelity",
            ),
        ] {
            let extraction = Extraction {
                extractor: extractor.into(),
                protocol,
                ..Extraction::default()
            };
            assert_eq!(extraction.label(), label);
            assert_eq!(extraction.words(), words);
        }
    }

    #[test]
    fn a_protocol_sets_subsets_splits_and_balls() {
        let looks = |protocol| Extraction {
            protocol: Some(protocol),
            images: 6,
            ..Extraction::default()
        };
        let precision = |protocol| {
            MetricKind::Precision(Precision {
                looks: looks(protocol),
                ..Precision::default()
            })
        };
        let (values, sentence) = scored(precision(Protocol::TorchFidelity), &POINTS, &POINTS);
        assert_eq!(values[0], ("precision_mnistnet_torch_fidelity".into(), 1.0));
        assert!(
            sentence.starts_with("by mnistnet by torch-fidelity precision"),
            "{sentence}"
        );
        let set = DataSet::File("a.npz".into());
        for (protocol, kid, is, prdc) in [
            (Protocol::TorchFidelity, false, true, true), // of 6 images there is no subset of 1000
            (Protocol::PytorchFid, false, false, false),
            (Protocol::CleanFid, true, false, false),
            (Protocol::CompareGan, true, true, false),
        ] {
            let looks = looks(protocol);
            let of = |kind: MetricKind| kind.fits(&set).is_ok();
            let fits = [
                of(MetricKind::Kid(Kid {
                    looks: looks.clone(),
                    ..Kid::default()
                })),
                of(MetricKind::Inception(Inception {
                    looks: Extraction {
                        images: 10,
                        ..looks.clone()
                    },
                    splits: 10,
                })),
                of(precision(protocol)),
            ];
            assert_eq!(fits, [kid, is, prdc], "{protocol:?}");
        }
    }

    #[test]
    fn two_networks_have_a_column_each() {
        let kinds = ["mnistnet", "cifarnet"].map(|extractor| {
            MetricKind::Kid(Kid {
                looks: Extraction {
                    extractor: extractor.into(),
                    ..Extraction::default()
                },
                ..Kid::default()
            })
        });
        let header = Scores::header(&kinds);
        assert!(
            header.starts_with("kid_mnistnet,kid_std_mnistnet,")
                && header.ends_with("kid_test_cifarnet"),
            "{header}"
        );
        assert_eq!(Scores::named_twice(&kinds), None);
        let [kid, _] = kinds;
        let twice = Scores::named_twice(&[kid.clone(), kid]);
        assert_eq!(twice.as_deref(), Some("kid_mnistnet"));
    }
}
