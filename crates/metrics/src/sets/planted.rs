//! What each score says of a fault that is planted: the tables of the book's page on scores.
//!
//! Data: ten classes in 16 dimensions, each a Gaussian of standard deviation 0.3 around a centre of its own.

use super::kid::{self, Kernel};
use super::prdc::{self, Ball};
use super::tests::{features, normal};
use super::{frechet, inception_score};

const CLASSES: usize = 10;
const D: usize = 16;
const N: usize = 1000;
const SD: f64 = 0.3;

fn centres() -> Vec<f64> {
    normal("centres", CLASSES * D)
}

/// Row i is of class i mod `classes`, at `sd` from its centre.
fn drawn(name: &str, classes: usize, sd: f64) -> Vec<f64> {
    let (centres, noise) = (centres(), normal(name, N * D));
    let value = |i: usize| centres[i / D % classes * D + i % D] + sd * noise[i];
    (0..N * D).map(value).collect()
}

/// log p(class | x), but for a constant.
fn logits(rows: &[f64]) -> Vec<f64> {
    let centres = centres();
    let of = |row: &[f64], centre: &[f64]| {
        let distance: f64 = row.iter().zip(centre).map(|(x, c)| (x - c).powi(2)).sum();
        -distance / (2.0 * SD * SD)
    };
    let rows = rows.chunks_exact(D);
    rows.flat_map(|row| {
        centres
            .chunks_exact(D)
            .map(move |c| of(row, c))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// FID, KID, IS, precision, recall, density, coverage.
fn scores(generated: &[f64]) -> [f64; 7] {
    let real = drawn("real", CLASSES, SD);
    let (real, rows) = (features(&real, D), features(generated, D));
    let prdc = prdc::score(real, rows, 5, Ball::Closed).expect("scored");
    let is = inception_score::score(features(&logits(generated), CLASSES), 1, None);
    [
        frechet::score(real, rows).expect("scored"),
        kid::unbiased(rows, real, Kernel::default()).expect("scored"),
        is.expect("scored").mean,
        prdc.precision,
        prdc.recall,
        prdc.density,
        prdc.coverage,
    ]
}

#[test]
fn each_score_sees_some_faults() {
    let few = drawn("few", CLASSES, SD);
    let collapsed: Vec<f64> = few[..20 * D].repeat(N / 20);
    let sets = [
        ("the data, drawn anew", drawn("anew", CLASSES, SD)),
        ("the real rows themselves", drawn("real", CLASSES, SD)),
        ("20 rows, 50 times each", collapsed),
        ("one class missing", drawn("anew", CLASSES - 1, SD)),
        ("too close to the centres", drawn("anew", CLASSES, SD / 3.0)),
        ("too far from them", drawn("anew", CLASSES, SD * 1.5)),
    ];
    let table = sets.map(|(name, set)| {
        let s = scores(&set);
        println!(
            "| {name} | {:.2} | {:.3} | {:.2} | {:.3} | {:.3} | {:.2} | {:.3} |",
            s[0], s[1], s[2], s[3], s[4], s[5], s[6]
        );
        s
    });
    let [anew, same, collapsed, missing, close, far] = table;
    let [fid, kid, is, precision, recall, density, coverage] = [0, 1, 2, 3, 4, 5, 6];
    // Copies of the real rows: the best there is, by all of them.
    assert!(same[fid].abs() < 1e-10 && same[kid] <= 0.0);
    assert_eq!([same[precision], same[recall], same[coverage]], [1.0; 3]);
    assert!((same[is] / anew[is] - 1.0).abs() < 0.01);
    // A collapse inside each class: precise, with all classes, and hardly any of the data recalled or covered.
    assert!(collapsed[precision] > 0.8 && collapsed[is] > 0.99 * anew[is]);
    assert!(
        collapsed[recall] < 0.2 && collapsed[coverage] < 0.3 && collapsed[fid] > 2.0 * anew[fid]
    );
    // A missing class: a tenth less is covered, and the inception score falls by a tenth.
    assert!((missing[coverage] / anew[coverage] - 0.9).abs() < 0.02);
    assert!((missing[is] / anew[is] - 0.9).abs() < 0.02 && missing[precision] > 0.85);
    assert!(missing[fid] > 3.0 * anew[fid] && missing[kid] > 2.0 * anew[kid].abs());
    // Too typical, as blurred or truncated samples are: more precise and denser than the data, less recalled.
    assert!(close[precision] >= anew[precision] && close[density] > 1.5 * anew[density]);
    assert!(close[recall] < 0.5 * anew[recall]);
    // Too wide: recalled, not precise; sure answers hide it from the inception score.
    assert!(far[precision] < 0.5 && far[recall] > 0.9 && far[is] > 0.95 * anew[is]);
}

/// `cargo test --release -p ganforge-metrics bias -- --ignored --nocapture`
#[test]
#[ignore = "prints a table of the book"]
fn table_of_the_bias() {
    println!("| rows of each set | FID | KID |");
    for n in [200, 500, 1000, 2000, 5000, 10_000, 20_000] {
        let d = 64;
        let [a, b] = ["bias.a", "bias.b"].map(|name| normal(name, n * d));
        let fid = frechet::score(features(&a, d), features(&b, d)).expect("scored");
        let kid = kid::unbiased(features(&a, d), features(&b, d), Kernel::default());
        println!("| {n} | {fid:.3} | {:.5} |", kid.expect("scored"));
    }
}
