//! What each score says of faults that are planted into real digits.

mod table;

use ganforge_gan::data::{Dataset, Images};
use ganforge_gan::error::Result;
use ganforge_gan::metrics::nearest::nearest;
use ganforge_gan::metrics::parzen;
use ganforge_gan::metrics::sets::ms_ssim::{Diversity, whole_scales};
use ganforge_gan::metrics::sets::{Features, inception_score};
use ganforge_gan::metrics::{Better, Seen};
use ganforge_kernels::cpu::rng::{self, RandomStream};

use super::digits::{
    Judge, called, classes, compared, count, data, features, gather, random, refused, shuffled,
};
use super::toy::mean;
use super::{Classic, Options, Outcome, Progress, Table, Value};

/// Faults planted into real digits, and what each score says of them.
pub struct Planted;

/// A score of the table.
struct Score {
    /// In the CSV.
    name: &'static str,
    /// Above its column.
    label: &'static str,
    better: Better,
    /// Decimals where people read it.
    decimals: usize,
}

const fn score(name: &'static str, label: &'static str, better: Better, decimals: usize) -> Score {
    Score {
        name,
        label,
        better,
        decimals,
    }
}

const SCORES: [Score; 10] = [
    score("fid", "FID", Better::Lower, 1),
    score("kid", "KID", Better::Lower, 3),
    score("is", "IS", Better::Higher, 2),
    score("precision", "precision", Better::Higher, 3),
    score("recall", "recall", Better::Higher, 3),
    score("density", "density", Better::Higher, 3),
    score("coverage", "coverage", Better::Higher, 3),
    score("ms_ssim", "MS-SSIM", Better::Lower, 3),
    score("parzen", "Parzen", Better::Higher, 0),
    score("nearest", "nearest", Better::Neither, 2),
];

/// Images of a set, unless told otherwise; as many draws of real images, to see how far they differ among themselves.
const N: usize = 2000;
const DRAWS: usize = 5;
/// Training images that a generator is said to have seen, and images of a set whose nearest one among those is searched.
const KNOWN: usize = 5000;
const ASKED: usize = 500;
/// Validation images that choose the width of the Parzen window.
const VALID: usize = 1000;
/// Batches of pairs for MS-SSIM.
const PAIRS: [usize; 2] = [5, 64];
/// Images of the collapsed generator.
const FEW: usize = 20;
/// The class that is left out.
const MISSING: usize = 3;
/// Standard deviation of the blur in pixels, of the noise, and what is added to make images brighter; white is 1.
const BLUR: f64 = 1.0;
const NOISE: f32 = 0.2;
const BRIGHTER: f32 = 0.2;

/// Draws numbers of a distribution with two parameters: elements from a first one on of a stream.
type Draw = fn(RandomStream, usize, f32, f32, &mut [f32]);

/// What generators with faults are made of, and what they are compared with. Images are [n, d].
struct Material {
    data: Dataset,
    n: usize,
    /// Test images.
    test: Vec<f32>,
    /// Validation images.
    valid: Vec<f32>,
    /// Training images that a generator has seen.
    known: Images,
    /// Training images that it has not seen: sets of n, disjoint.
    draws: Vec<Vec<f32>>,
}

impl Material {
    fn new(options: &Options) -> Result<Material> {
        let data = data(options)?;
        let known = KNOWN.min(data.train.n() / 2);
        let most = data.test.n().min((data.train.n() - known) / 2);
        let n = count(options, options.choose(N, N / 4), PAIRS[0] * PAIRS[1], most)?;
        let order = shuffled(&data.train, options.seed);
        let (seen, fresh) = order.split_at(known);
        let draws = fresh.chunks_exact(n).take(DRAWS);
        let draws: Result<_> = draws.map(|rows| gather(&data.train, rows)).collect();
        let test = shuffled(&data.test, options.seed);
        Ok(Material {
            test: gather(&data.test, &test[..n])?,
            valid: data.valid.to_f32(0..VALID.min(data.valid.n()))?,
            known: Images::from_values(data.train.d(), gather(&data.train, seen)?),
            draws: draws?,
            n,
            data,
        })
    }

    /// n samples of a generator that has only these images: each as often as any other, in an order drawn from a seed.
    fn repeated(&self, images: &[f32], seed: u64) -> Vec<f32> {
        let d = self.known.d();
        let of = images.len() / d;
        let order = random(seed).permutation(self.n);
        let rows = order.iter().flat_map(|i| &images[i % of * d..][..d]);
        rows.copied().collect()
    }

    /// Samples of a generator that has an image of each class, and of one that leaves out a class.
    fn by_class(&self, judge: &mut Judge, seed: u64) -> Result<[Vec<f32>; 2]> {
        let d = self.known.d();
        let images = self.draws[..2].concat(); // enough to fill the gaps
        let seen = judge.look(&images)?;
        let classes = classes(&seen);
        let of_classes = images.chunks_exact(d).zip(&classes);
        let there = of_classes.filter(|(_, class)| **class != MISSING);
        let there = there.take(self.n).flat_map(|(image, _)| image);
        let firsts = (0..seen.classes).filter_map(|c| classes.iter().position(|k| *k == c));
        let firsts: Vec<f32> = firsts
            .flat_map(|i| &images[i * d..(i + 1) * d])
            .copied()
            .collect();
        Ok([self.repeated(&firsts, seed), there.copied().collect()])
    }

    /// The generators with faults: what they are called, and n samples of each.
    fn generators(&self, judge: &mut Judge, seed: u64) -> Result<Vec<(String, Vec<f32>)>> {
        let (real, d) = (&self.draws[0], self.known.d());
        let size = [self.data.height, self.data.width];
        let noise = |stream, draw: Draw, [a, b]: [f32; 2]| {
            let stream = RandomStream {
                key: seed,
                stream,
                counter: 0,
            };
            let mut values = vec![0.0; real.len()];
            draw(stream, 0, a, b, &mut values);
            values
        };
        let added = noise(0, rng::normal, [0.0, NOISE]);
        let pixels = noise(1, rng::uniform, [0.0, 1.0]);
        let noisy = real.iter().zip(&added);
        let pairs = real.chunks_exact(d).zip(pixels.chunks_exact(d));
        let half = pairs.enumerate().map(|(i, (x, noise))| [x, noise][i % 2]);
        let [one_each, missing] = self.by_class(judge, seed)?;
        let known = self.known.to_f32(0..self.known.n())?;
        let blurred = real.chunks_exact(d).map(|x| blurred(x, size, BLUR));
        Ok(vec![
            ("real images".into(), real.clone()),
            (
                "copies of training images".into(),
                self.repeated(&known, seed),
            ),
            ("copies of the test images".into(), self.test.clone()),
            (
                format!("{FEW} images again and again"),
                self.repeated(&real[..FEW * d], seed),
            ),
            ("one image of each class".into(), one_each),
            (format!("no {MISSING} among them"), missing),
            (
                format!("blurred, sd {BLUR} pixel"),
                blurred.flatten().map(|x| x.min(1.0)).collect(),
            ),
            (
                format!("noise of sd {NOISE} added"),
                noisy.map(|(x, e)| (x + e).clamp(0.0, 1.0)).collect(),
            ),
            (
                format!("brighter by {BRIGHTER}"),
                real.iter().map(|x| (x + BRIGHTER).min(1.0)).collect(),
            ),
            (
                "noise in place of half".into(),
                half.flatten().copied().collect(),
            ),
        ])
    }

    /// The scores of n samples, in the order of the list.
    fn scores(
        &self,
        judge: &mut Judge,
        test: &Seen,
        samples: &[f32],
    ) -> Result<[f64; SCORES.len()]> {
        let (d, shape) = (
            self.known.d(),
            [self.data.height, self.data.width, self.data.channels],
        );
        let seen = judge.look(samples)?;
        let (real, generated) = (features("test images", test)?, features("samples", &seen)?);
        let logits = Features::new("logits", &seen.logits, seen.classes).map_err(refused)?;
        let bytes: Vec<f32> = samples.iter().map(|x| 255.0 * x).collect(); // the range that MS-SSIM expects
        let images = Features::new("samples", &bytes, d).map_err(refused)?;
        let [fid, kid, precision, recall, density, coverage] = compared(generated, real)?;
        let diversity = Diversity {
            batches: PAIRS[0],
            size: PAIRS[1],
            scales: whole_scales(shape[0], shape[1]),
            ..Diversity::default()
        };
        let found = nearest(&samples[..ASKED.min(self.n) * d], &self.known)?;
        let distances = found.iter().map(|n| f64::from(n.squared_distance).sqrt());
        Ok([
            fid,
            kid,
            inception_score::score(logits, 1, None)
                .map_err(refused)?
                .mean,
            precision,
            recall,
            density,
            coverage,
            diversity.score(images, shape).map_err(refused)?,
            parzen::score(samples, &self.valid, &self.test, d)?.log_likelihood,
            mean(&distances.collect::<Vec<_>>()),
        ])
    }
}

/// An image [h, w] under a Gaussian of this width in pixels; black around it.
fn blurred(image: &[f32], [h, w]: [usize; 2], sd: f64) -> Vec<f32> {
    let reach = (4.0 * sd).ceil() as isize;
    let bell = (-reach..=reach).map(|i| (-0.5 * (i as f64 / sd).powi(2)).exp());
    let sum: f64 = bell.clone().sum();
    let bell: Vec<f32> = bell.map(|b| (b / sum) as f32).collect();
    let along = |image: &[f32], step: usize, side: usize| -> Vec<f32> {
        let blur = |i: usize| {
            let at = (i / step % side) as isize;
            let terms = bell
                .iter()
                .zip(-reach..=reach)
                .filter(|(_, by)| (0..side as isize).contains(&(at + by)));
            terms
                .map(|(b, by)| b * image[(i as isize + by * step as isize) as usize])
                .sum()
        };
        (0..image.len()).map(blur).collect()
    };
    along(&along(image, 1, w), w, h)
}

/// What a generator's samples look like, and its scores.
struct Row {
    name: String,
    samples: Vec<f32>,
    scores: [f64; SCORES.len()],
}

impl Classic for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn about(&self) -> &'static str {
        "What each score says of faults planted into real digits: a collapse, copies, blur, noise, a missing class"
    }

    fn details(&self) -> &'static str {
        "\
Nothing is trained. Training images of MNIST, with a fault or without, stand for the samples of a generator, and each score
compares them with test images. Features, and the classes of images, are those of mnistnet. FID; KID over all pairs; the
inception score; precision and recall with balls to the 3rd neighbour, density and coverage to the 5th; MS-SSIM at two
scales; the Parzen log-likelihood in nats; and the mean distance of 500 samples to the nearest of the 5,000 training images
that the generators are said to have seen (with fewer images than MNIST has, half of them). Only one generator copies those.
The picture compares each score with those of up to five draws of real images: red is worse by more than their whole range,
blue is better by more than it. No score is to be compared with one of another network or another number of images.
source: for the scores, the book's page on scores of sets"
    }

    fn digits(&self) -> Option<usize> {
        Some(N)
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let material = Material::new(options)?;
        let mut judge = Judge::new(material.data.image())?;
        let test = judge.look(&material.test)?;
        let generators = material.generators(&mut judge, options.seed)?;
        let total = (generators.len() + material.draws.len() - 1) as u64;
        let mut done = 0;
        let mut scores = |samples: &[f32]| {
            let scores = material.scores(&mut judge, &test, samples)?;
            done += 1;
            progress(done, total);
            Ok::<_, ganforge_gan::Error>(scores)
        };
        let mut rows = Vec::new();
        for (name, samples) in generators {
            rows.push(Row {
                scores: scores(&samples)?,
                name,
                samples,
            });
        }
        let mut real = vec![rows[0].scores];
        for samples in &material.draws[1..] {
            real.push(scores(samples)?);
        }
        let range = |pick: fn(f64, f64) -> f64| {
            std::array::from_fn(|i| real.iter().map(|s| s[i]).reduce(pick).unwrap_or(f64::NAN))
        };
        let (least, most): ([f64; SCORES.len()], [f64; SCORES.len()]) =
            (range(f64::min), range(f64::max));
        let data = called(&material.data);
        let mut numbers = Table::new(
            ["samples"]
                .into_iter()
                .chain(SCORES.iter().map(|s| s.name))
                .chain(["images", "data"]),
        );
        let mut add = |name: &str, scores: &[f64]| {
            let scores = scores.iter().map(|s| Value::Number(*s));
            let about = [Value::Number(material.n as f64), Value::from(data.as_str())];
            numbers.add([Value::from(name)].into_iter().chain(scores).chain(about));
        };
        for row in &rows {
            add(&row.name, &row.scores);
        }
        let draws = material.draws.len();
        add(&format!("least of {draws} draws of real images"), &least);
        add(&format!("greatest of {draws} draws of real images"), &most);
        Ok(Outcome {
            plots: vec![(String::new(), table::plot(&material, &rows, [least, most]))],
            summary: numbers.clone(),
            numbers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blurred_point_is_a_bell_of_the_same_sum() {
        let (h, w) = (15, 13);
        let mut image = vec![0.0; h * w];
        image[7 * w + 6] = 1.0;
        let found = blurred(&image, [h, w], 1.0);
        let sum: f32 = found.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        let at = |y: usize, x: usize| f64::from(found[y * w + x]);
        let peak = 1.0 / std::f64::consts::TAU;
        assert!((at(7, 6) - peak).abs() < 1e-4, "{}", at(7, 6));
        for (y, x, squared) in [(7, 7, 1.0), (9, 6, 4.0), (6, 5, 2.0), (4, 7, 10.0)] {
            let expected = peak * f64::exp(-squared / 2.0);
            assert!((at(y, x) - expected).abs() < 1e-4, "{y} {x}");
        }
        // At the edge a part of it is lost.
        let mut corner = vec![0.0; h * w];
        corner[0] = 1.0;
        let left: f32 = blurred(&corner, [h, w], 1.0).iter().sum();
        assert!((0.4..0.6).contains(&left), "{left}");
    }

    /// What the book's page on scores says of its table, on the sample inside the program.
    #[test]
    fn each_score_sees_some_faults_and_misses_others() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let outcome = Planted.run(&options, &mut |_, _| {}).expect("runs");
        let table = outcome.numbers;
        let text = table.text();
        let of = |row: usize, name: &str| table.column(name).expect("there")[row];
        let rows = table.rows.len();
        let verdict = |row: usize, name: &str| {
            let score = SCORES.iter().find(|s| s.name == name).expect("a score");
            let range = [rows - 2, rows - 1].map(|row| of(row, name));
            table::verdict(of(row, name), range, &score.better)
        };
        let all = SCORES.map(|s| s.name);
        let [same, worse, likes] = [
            |v| matches!(v, table::Verdict::Same),
            |v| matches!(v, table::Verdict::Worse(_)),
            |v| matches!(v, table::Verdict::Better(_)),
        ];
        let [
            real,
            copies,
            tests,
            few,
            one_each,
            missing,
            blurred,
            noisy,
            brighter,
            half,
        ] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        println!("{text}");
        let holds = |is: fn(table::Verdict) -> bool, row: usize, names: &[&str]| {
            for name in names {
                assert!(is(verdict(row, name)), "row {row}, {name}\n{text}");
            }
        };
        holds(same, real, &all);
        holds(same, copies, &all[..9]);
        assert_eq!(of(copies, "nearest"), 0.0, "{text}");
        holds(
            likes,
            tests,
            &["fid", "kid", "precision", "recall", "coverage", "parzen"],
        );
        holds(same, tests, &["nearest"]);
        for row in [few, one_each] {
            holds(worse, row, &["fid", "kid", "recall", "coverage", "parzen"]);
            assert_eq!(of(row, "recall"), 0.0, "{text}");
        }
        holds(likes, one_each, &["is"]);
        holds(worse, missing, &["fid", "is", "recall", "coverage"]);
        holds(same, missing, &["precision", "density"]);
        let share = of(missing, "is") / of(real, "is");
        assert!((share - 0.9).abs() < 0.02, "{text}");
        for row in [blurred, brighter] {
            holds(likes, row, &["precision", "density"]);
            holds(worse, row, &["fid", "kid", "is", "recall", "coverage"]);
        }
        holds(likes, blurred, &["parzen"]);
        holds(worse, brighter, &["parzen", "nearest"]);
        holds(
            worse,
            noisy,
            &[
                "fid", "kid", "is", "recall", "coverage", "parzen", "nearest",
            ],
        );
        holds(
            worse,
            half,
            &["fid", "kid", "is", "coverage", "parzen", "nearest"],
        );
        holds(likes, half, &["precision"]);
        holds(same, half, &["recall"]);
        assert!(of(half, "fid") < of(blurred, "fid"), "{text}");
    }

    #[test]
    fn sets_that_are_too_small_or_too_large_are_refused() {
        for (n, expected) in [
            (
                319,
                "sets of 319 images: expected from 320 to 500 with these data",
            ),
            (
                501,
                "sets of 501 images: expected from 320 to 500 with these data",
            ),
        ] {
            let options = Options {
                n: Some(n),
                ..Options::default()
            };
            let error = Planted.run(&options, &mut |_, _| {}).expect_err("refused");
            assert_eq!(error.to_string(), expected);
        }
    }
}
