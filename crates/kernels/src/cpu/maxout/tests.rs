use super::*;
use crate::cpu::rng::{self, RandomStream};

fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Few distinct values, so that ties are common; now and then a NaN or an infinity.
        match state >> 24 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2..40 => f32::NEG_INFINITY,
            v => (v % 7) as f32 - 3.0,
        }
    };
    (0..n).map(|_| next()).collect()
}

/// The definition: the first NaN, else the first maximum.
fn first_winner(x: &[f32]) -> usize {
    if let Some(i) = x.iter().position(|v| v.is_nan()) {
        return i;
    }
    let best = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter()
        .position(|&v| v == best)
        .expect("a maximum is one of the pieces")
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter()
        .map(|v| if v.is_nan() { f32::NAN } else { *v }.to_bits())
        .collect()
}

const SIZES: [(usize, usize); 12] = [
    (5, 0),
    (5, 1),
    (1, 7),
    (2, 1),
    (2, 33),
    (3, 17),
    (4, 64),
    (5, 16),
    (5, 67),
    (7, 10),
    (5, 24_001),
    (2, 40_001),
];

#[test]
fn winners_are_the_first_maximum_or_the_first_nan() {
    for (pieces, n) in SIZES {
        let x = values(n * pieces, 3);
        let want_idx: Vec<f32> = x.chunks(pieces).map(|p| first_winner(p) as f32).collect();
        let want: Vec<f32> = x.chunks(pieces).map(|p| p[first_winner(p)]).collect();
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let (mut y, mut idx) = (vec![f32::NAN; n], vec![f32::NAN; n]);
            let (mut y2, mut idx2) = (vec![f32::NAN; n], vec![f32::NAN; n]);
            pool.install(|| {
                maxout(pieces, &x, &mut y, &mut idx);
                argmax(pieces, &x, &mut idx2);
                take(pieces, &x, &idx2, &mut y2);
            });
            assert_eq!(
                (&idx, &idx2),
                (&want_idx, &want_idx),
                "pieces {pieces}, {n} units"
            );
            assert_eq!(
                (bits(&y), bits(&y2)),
                (bits(&want), bits(&want)),
                "pieces {pieces}, {n} units"
            );
        }
    }
}

#[test]
fn bias_is_added_before_the_comparison() {
    for (pieces, n) in SIZES {
        for rows in [1, 3] {
            let row = n * pieces;
            let (x, bias) = (values(rows * row, 4), values(row, 5));
            let sums: Vec<f32> = x
                .iter()
                .enumerate()
                .map(|(i, v)| v + bias[i % row])
                .collect();
            let (mut y, mut idx) = (vec![f32::NAN; rows * n], vec![f32::NAN; rows * n]);
            let (mut y2, mut idx2) = (y.clone(), idx.clone());
            maxout(pieces, &sums, &mut y, &mut idx);
            maxout_bias(pieces, &x, &bias, row, &mut y2, &mut idx2);
            assert_eq!(
                (bits(&y), idx),
                (bits(&y2), idx2),
                "pieces {pieces}, {rows} rows of {n} units"
            );
        }
    }
}

#[test]
fn put_fills_the_winners_and_is_adjoint_to_take() {
    for (pieces, n) in SIZES {
        let x: Vec<f32> = (0..n * pieces).map(|i| (i % 101) as f32 - 50.0).collect();
        let dy: Vec<f32> = (0..n).map(|i| (i % 13) as f32 + 1.0).collect();
        let idx: Vec<f32> = (0..n).map(|j| (j * 7 % pieces) as f32).collect();
        let (mut y, mut dx) = (vec![f32::NAN; n], vec![f32::NAN; n * pieces]);
        take(pieces, &x, &idx, &mut y);
        put(pieces, &dy, &idx, &mut dx);
        for (i, &v) in dx.iter().enumerate() {
            let chosen = i % pieces == idx[i / pieces] as usize;
            assert_eq!(v, if chosen { dy[i / pieces] } else { 0.0 });
        }
        let dot = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum::<f64>()
        };
        assert_eq!(dot(&y, &dy), dot(&x, &dx));
    }
}

#[test]
#[should_panic(expected = "7 inputs are not 2 units of 3 pieces")]
fn lengths_must_match() {
    argmax(3, &[0.0; 7], &mut [0.0; 2]);
}

#[test]
fn dropout_is_maxout_times_the_mask() {
    let stream = RandomStream {
        key: 1,
        stream: 2,
        counter: 3,
    };
    let draw = |start: usize, mask: &mut [f32]| rng::bernoulli(stream, start, 0.6, 1.7, mask);
    for (pieces, n) in SIZES {
        let x: Vec<f32> = (0..n * pieces)
            .map(|i| (i * 37 % 101) as f32 - 50.0)
            .collect();
        let (mut y, mut idx, mut mask) = (vec![f32::NAN; n], vec![f32::NAN; n], vec![f32::NAN; n]);
        maxout(pieces, &x, &mut y, &mut idx);
        draw(0, &mut mask);
        y.iter_mut().zip(&mask).for_each(|(y, m)| *y *= m);
        let nan = vec![f32::NAN; n];
        let (mut y2, mut idx2, mut mask2) = (nan.clone(), nan.clone(), nan.clone());
        dropout(pieces, &x, &mut y2, &mut idx2, &mut mask2, &draw);
        assert_eq!(
            (bits(&y), &idx, &mask),
            (bits(&y2), &idx2, &mask2),
            "{pieces} {n}"
        );
        let (mut y2, mut idx2) = (nan.clone(), nan);
        dropout(pieces, &x, &mut y2, &mut idx2, &mut [], &draw);
        assert_eq!((bits(&y), &idx), (bits(&y2), &idx2), "{pieces} {n}");
    }
}

#[test]
fn the_sum_of_put_needs_no_zeros() {
    for (batch, units, pieces) in [
        (1, 3, 2),
        (2, 1, 2),
        (16, 3, 5),
        (17, 24, 5),
        (100, 240, 5),
        (1000, 70, 1),
    ] {
        let dy: Vec<f32> = (0..batch * units)
            .map(|i| (i * 37 % 101) as f32 / 7.0 - 7.0)
            .collect();
        let idx: Vec<f32> = (0..batch * units)
            .map(|j| (j * 7 % pieces) as f32)
            .collect();
        let n = units * pieces;
        let (mut dx, mut y, mut y2) = (vec![0.0; batch * n], vec![f32::NAN; n], vec![f32::NAN; n]);
        put(pieces, &dy, &idx, &mut dx);
        crate::cpu::reduce::sum_to(&dx, &[batch, n], &mut y, &[n]);
        let mut workspace = Workspace::default();
        workspace.reserve(put_sum_workspace(batch, n));
        put_sum(pieces, &dy, &idx, &mut y2, &mut workspace);
        assert_eq!(bits(&y), bits(&y2), "{batch} {units} {pieces}");
    }
}
