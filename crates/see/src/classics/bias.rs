//! FID of real images against real ones grows as there are fewer of them; KID does not.

use ganforge_gan::data::{ImageSize, Images};
use ganforge_gan::error::Result;
use ganforge_gan::metrics::sets::Features;
use ganforge_plots::{Axis, BLUE, Corner, GREEN, GREY, Mark, Panel, Plot, RED, Stroke};

use super::digits::{Judge, called, compared, count, data, gather, refused, shuffled};
use super::toy::mean;
use super::{Classic, Options, Outcome, Progress, Table, Value};

/// FID and KID of real images against real ones, by how many there are.
pub struct Bias;

/// Images of a set, as far as there are so many.
const SIZES: [usize; 7] = [100, 200, 500, 1000, 2000, 5000, 10_000];
/// What is compared.
const SCORES: [&str; 6] = ["fid", "kid", "precision", "recall", "density", "coverage"];
/// Draws of each size.
const DRAWS: usize = 5;
/// Images looked at between two lines of progress.
const AT_ONCE: usize = 500;

/// Features [n, d] of images in an order drawn from a seed.
struct Looked {
    values: Vec<f32>,
    d: usize,
}

impl Looked {
    fn new(
        (images, size): (&Images, ImageSize),
        n: usize,
        seed: u64,
        told: &mut dyn FnMut(usize),
    ) -> Result<Looked> {
        let mut judge = Judge::new(size)?;
        let (mut values, mut d) = (Vec::new(), 0);
        for rows in shuffled(images, seed)[..n].chunks(AT_ONCE) {
            let seen = judge.look(&gather(images, rows)?)?;
            d = seen.d;
            values.extend(seen.features);
            told(rows.len());
        }
        Ok(Looked { values, d })
    }

    /// Set i of n of them, counted round and round.
    fn set(&self, n: usize, i: usize) -> Result<Features<'_>> {
        let sets = self.values.chunks_exact(n * self.d);
        let i = i % sets.len();
        let values = &self.values[i * n * self.d..(i + 1) * n * self.d];
        Features::new("real images", values, self.d).map_err(refused)
    }
}

/// The a and b of a + b / n whose relative errors at these points (n, y) have the least squares.
fn fitted(points: &[(f64, f64)]) -> [f64; 2] {
    // With u = 1 / y and v = 1 / (n y) it is 1 = a u + b v.
    let (mut uu, mut uv, mut vv, mut u1, mut v1) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, y) in points {
        let (u, v) = (1.0 / y, 1.0 / (n * y));
        uu += u * u;
        uv += u * v;
        vv += v * v;
        u1 += u;
        v1 += v;
    }
    let det = uu * vv - uv * uv;
    [(u1 * vv - v1 * uv) / det, (v1 * uu - u1 * uv) / det]
}

/// Standard deviation, divisor n - 1.
fn deviation(x: &[f64]) -> f64 {
    let squares: f64 = x.iter().map(|v| (v - mean(x)).powi(2)).sum();
    (squares / (x.len() as f64 - 1.0)).sqrt()
}

impl Classic for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn about(&self) -> &'static str {
        "FID, KID, precision and their like of real digits against real ones, by how many there are"
    }

    fn details(&self) -> &'static str {
        "\
Nothing is trained. For 100, 200, 500, ... images of a set, five disjoint sets of training images of MNIST are compared with
as many test images (disjoint sets of those, too, as far as there are enough), by features of mnistnet: FID, KID over all
pairs, precision and recall with balls to the 3rd neighbour, density and coverage with balls to the 5th. Sets of a size and
those of the next one share images. The table has means over the five, and standard deviations; the line is the a + b / n
with the least squared relative errors at the means of FID.
source: Bińkowski et al. 2018, Demystifying MMD GANs, section 4; Chong and Forsyth 2020, Effectively Unbiased FID and
Inception Score, section 3"
    }

    fn digits(&self) -> Option<usize> {
        SIZES.last().copied()
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let data = data(options)?;
        let most = data.test.n().min(data.train.n() / DRAWS);
        let n = count(options, options.choose(SIZES[6], SIZES[3]), SIZES[2], most)?;
        let sizes = SIZES.into_iter().filter(|size| *size < n).chain([n]);
        let sizes: Vec<usize> = sizes.collect();
        // In images looked at: the pairs of two sets of 10,000 take about as long as a look at 30,000.
        let cost = |n: usize| n * n / 3000;
        let pairs: usize = sizes.iter().map(|n| DRAWS * cost(*n)).sum();
        let (mut done, total) = (0, (DRAWS + 1) * n + pairs);
        let mut told = |more: usize| {
            done += more;
            progress(done as u64, total as u64);
        };
        let train = Looked::new(
            (&data.train, data.image()),
            DRAWS * n,
            options.seed,
            &mut told,
        )?;
        let test = Looked::new((&data.test, data.image()), n, options.seed, &mut told)?;
        let called = called(&data);
        let columns = ["n", "draw"].into_iter().chain(SCORES);
        let mut numbers = Table::new(columns.chain(["data"]));
        let columns = ["n", "fid", "fid_sd", "fid_fitted", "kid", "kid_sd"];
        let mut summary = Table::new(columns.into_iter().chain(SCORES[2..].iter().copied()));
        let mut means = Vec::new();
        for &size in &sizes {
            let mut all = Vec::new();
            for draw in 0..DRAWS {
                let scores = compared(train.set(size, draw)?, test.set(size, draw)?)?;
                let row = [size as f64, draw as f64 + 1.0].into_iter().chain(scores);
                numbers.add(row.map(Value::from).chain([called.as_str().into()]));
                all.push(scores);
                told(cost(size));
            }
            means.push(std::array::from_fn::<_, { SCORES.len() }, _>(|i| {
                let of: Vec<f64> = all.iter().map(|scores: &[f64; 6]| scores[i]).collect();
                [mean(&of), deviation(&of)]
            }));
        }
        let n: Vec<f64> = sizes.iter().map(|n| *n as f64).collect();
        let points: Vec<(f64, f64)> = n.iter().zip(&means).map(|(n, m)| (*n, m[0][0])).collect();
        let fit = fitted(&points);
        for (n, [fid, kid, balls @ ..]) in n.iter().zip(&means) {
            let row = [*n, fid[0], fid[1], fit[0] + fit[1] / n, kid[0], kid[1]];
            summary.add(row.into_iter().chain(balls.iter().map(|b| b[0])));
        }
        Ok(Outcome {
            plots: vec![(String::new(), plot(&called, &numbers, &summary, fit))],
            numbers,
            summary,
        })
    }
}

fn plot(data: &str, numbers: &Table, summary: &Table, [a, b]: [f64; 2]) -> Plot {
    let of = |table: &Table, name: &str| table.column(name).unwrap_or_default();
    let (n, at) = (of(summary, "n"), of(numbers, "n"));
    let ends = [n[0], n[n.len() - 1]].map(f64::log10);
    let wide = [ends[0] - 0.1, ends[1] + 0.1];
    let points = |n: &[f64], y: &[f64]| -> Vec<[f64; 2]> {
        let points = n.iter().zip(y);
        points.map(|(n, y)| [n.log10(), *y]).collect()
    };
    let logs = |y: Vec<f64>| -> Vec<f64> { y.iter().map(|y| y.log10()).collect() };
    let curve = (0..=60).map(|i| ends[0] + (ends[1] - ends[0]) * f64::from(i) / 60.0);
    let curve = curve.map(|log| [log, (a + b / 10_f64.powf(log)).log10()]);
    let fid = logs(of(numbers, "fid"));
    let kid = of(numbers, "kid");
    let bound = kid.iter().fold(0.0, |m: f64, k| m.max(k.abs())) * 1.1;
    let [low, high] = [f64::min, f64::max].map(|pick| fid.iter().copied().reduce(pick));
    let range = [low.unwrap_or(0.0) - 0.15, high.unwrap_or(1.0) + 0.15];
    let x = || Axis::powers("images of each set", wide);
    let panel = |title: String, y, marks| Panel {
        title,
        x: x(),
        y,
        marks,
        ..Panel::default()
    };
    let line = |name, stroke, colour, label| {
        Mark::line(points(&n, &of(summary, name)), stroke, colour, label)
    };
    let sign = if a < 0.0 { "−" } else { "" };
    Plot {
        panel_size: [350, 320],
        columns: 3,
        panels: vec![
            panel(
                format!("FID, real images of {data}"),
                Axis::powers("FID", range),
                vec![
                    Mark::line(
                        curve,
                        Stroke::Dashed,
                        GREY,
                        &format!("{sign}{:.2} + {b:.0} / n", a.abs()),
                    ),
                    Mark::dots(points(&at, &fid), 3.5, RED, "five draws"),
                ],
            ),
            panel(
                "KID of the same".into(),
                Axis::new("KID", [-bound, bound]),
                vec![
                    Mark::line([[wide[0], 0.0], [wide[1], 0.0]], Stroke::Thin, GREY, ""),
                    line("kid", Stroke::Solid, BLUE, "mean"),
                    Mark::dots(points(&at, &kid), 3.5, BLUE, ""),
                ],
            ),
            Panel {
                legend: Corner::LowerRight,
                ..panel(
                    "means of the others".into(),
                    Axis::new("share; density", [0.0, 1.05]),
                    vec![
                        line("precision", Stroke::Solid, BLUE, "precision"),
                        line("recall", Stroke::Dashed, RED, "recall"),
                        line("density", Stroke::Dotted, GREY, "density"),
                        line("coverage", Stroke::Solid, GREEN, "coverage"),
                    ],
                )
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_over_1_by_n_is_found_again() {
        let points = [100.0, 300.0, 2000.0].map(|n| (n, 1.5 + 640.0 / n));
        let [a, b] = fitted(&points);
        assert!(
            (a - 1.5).abs() < 1e-9 && (b - 640.0).abs() < 1e-6,
            "{a} {b}"
        );
    }

    #[test]
    fn sets_are_disjoint_until_there_are_no_more() {
        let looked = Looked {
            values: (0..7).map(|i| i as f32).collect(),
            d: 1,
        };
        let sets = [0, 1, 2, 3].map(|i| looked.set(2, i).expect("a set").values().to_vec());
        assert_eq!(sets, [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [0.0, 1.0]]);
    }

    #[test]
    fn fid_falls_with_the_number_of_images_and_kid_stays() {
        let options = Options {
            quick: true,
            ..Options::default()
        };
        let outcome = Bias.run(&options, &mut |_, _| {}).expect("runs");
        let text = outcome.summary.text();
        let column = |name| outcome.summary.column(name).expect("there");
        let (n, fid, fitted, kid) = (
            column("n"),
            column("fid"),
            column("fid_fitted"),
            column("kid"),
        );
        assert_eq!(n, [100.0, 200.0, 500.0], "{text}"); // of the sample, whose test part has 500
        assert!(fid[0] > 1.5 * fid[1] && fid[1] > 1.5 * fid[2], "{text}");
        let close = |(a, b): (&f64, &f64)| (a / b - 1.0).abs() < 0.1;
        assert!(fid.iter().zip(&fitted).all(close), "{text}");
        // Against the differences between faults, which are tens, KID is near 0 throughout.
        assert!(kid.iter().all(|k| k.abs() < 2.0), "{text}");
        assert_eq!(outcome.numbers.rows.len(), DRAWS * n.len());
    }
}
