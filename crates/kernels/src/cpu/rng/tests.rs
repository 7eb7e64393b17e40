use super::*;

const S: RandomStream = RandomStream {
    key: 0x0123_4567_89ab_cdef,
    stream: 3,
    counter: (5 << 32) | 7,
};

#[test]
fn philox_gives_the_known_answers_of_random123() {
    assert_eq!(
        philox4x32_10([0; 2], [0; 4]),
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
    );
    assert_eq!(
        philox4x32_10([!0; 2], [!0; 4]),
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
    );
    assert_eq!(
        philox4x32_10(
            [0xa409_3822, 0x299f_31d0],
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]
        ),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

/// The numbers that known.py prints.
#[test]
fn every_draw_gives_the_known_answers_of_another_implementation() {
    let mut u = [f32::NAN; 8];
    uniform(S, 0, 0.0, 1.0, &mut u);
    let known = [
        0.960_080_9,
        0.164_674_88,
        0.587_886_9,
        0.071_798_384,
        0.550_482_7,
        0.744_578_6,
        0.585_606_04,
        0.968_552_65,
    ];
    assert_eq!(u, known);
    let mut n = [f32::NAN; 8];
    normal(S, 0, 0.0, 1.0, &mut n);
    let known = [
        0.145_801_7,
        0.245_391_8,
        0.927_63,
        0.449_381_4,
        -0.037_213,
        -1.092_032_3,
        1.014_383_4,
        -0.203_081_3,
    ];
    for (n, known) in n.iter().zip(known) {
        assert!((n - known).abs() < 1e-6, "{n} {known}");
    }
    let mut p = [u32::MAX; 16];
    permutation(S, 16, &mut p);
    assert_eq!(p, [11, 9, 7, 14, 3, 4, 1, 12, 10, 5, 13, 6, 0, 8, 2, 15]);
    let mut words = Words::new(S);
    let known = [
        3_092_637_297,
        530_455_016,
        1_893_716_439,
        231_278_972,
        1_773_228_916,
        617_062_333,
        2_351_021_922,
        2_430_099_629,
    ];
    assert_eq!(known.map(|_| words.below(3 << 30)), known);
}

#[test]
fn a_whole_number_below_n_is_no_likelier_than_another() {
    // 2^32 words on 3 · 2^30 numbers: unless the uneven rest is thrown away, every third number is as likely as the
    // other two together.
    let (mut words, n) = (Words::new(S), 30_000);
    let multiples = (0..n).filter(|_| words.below(3 << 30).is_multiple_of(3));
    let share = multiples.count() as f64 / f64::from(n);
    let deviation = (1.0 / 3.0 * 2.0 / 3.0 / f64::from(n)).sqrt();
    assert!((share - 1.0 / 3.0).abs() < 4.0 * deviation, "{share}");
}

#[test]
fn a_word_equal_to_the_threshold_is_not_below_it() {
    // Probabilities that hit a word exactly: those of words whose lower bits are 0, as f32 has 24.
    let mut found = 0;
    for e in 0..4000 {
        let word = philox4x32_10(S.key_words(), S.counter_words(e / 4))[e as usize % 4];
        if word & 0xff == 0 {
            found += 1;
            let p = word as f32 / 4_294_967_296.0;
            for (p, expected) in [(p, 0.0), (p.next_up(), 2.0)] {
                let mut x = [f32::NAN];
                bernoulli(S, e as usize, p, 2.0, &mut x);
                assert_eq!(x, [expected], "p = {p:e}, word {word:#x}");
            }
        }
    }
    assert!(found > 5, "{found}");
    // Every 2^22-th word, and the ends: as many are below the threshold as p says.
    let threshold = (0.25f64 * 4_294_967_296.0) as u32;
    let draw = Bernoulli {
        threshold,
        value: 1.0,
    };
    let sum: f32 = (0..1024u32).map(|i| draw.one(i << 22)).sum();
    assert_eq!((sum, draw.one(0), draw.one(u32::MAX)), (256.0, 1.0, 0.0));
    assert_eq!((draw.one(threshold - 1), draw.one(threshold)), (1.0, 0.0));
}

#[test]
fn the_logarithm_of_a_normal_is_never_that_of_0() {
    let standard = Normal { mean: 0.0, sd: 1.0 };
    // u1 = 2^-24, the smallest, with u2 = 0: sqrt(48 ln 2); u1 = 1: 0.
    for word in [0, 0xff] {
        let (a, b) = standard.pair(word, 0);
        assert!((a - 5.768108).abs() < 1e-6 && b == 0.0, "{a} {b}");
    }
    assert_eq!(standard.pair(!0, 0), (0.0, 0.0));
    // u1 = 2^-23, u2 = 1/4.
    let (a, b) = standard.pair(0x100, 0x4000_0000);
    assert!(a.abs() < 1e-6 && (b - 5.64666).abs() < 1e-5, "{a} {b}");
}

#[test]
fn element_i_is_word_i_mod_4_of_block_i_div_4() {
    let start = 4 * (u32::MAX as usize - 30) + 1; // runs over the end of the block counter
    let mut u = [f32::NAN; 300];
    uniform(S, start, 0.0, 1.0, &mut u);
    let mut n = [f32::NAN; 300];
    normal(S, start, 0.0, 1.0, &mut n);
    let mut b = [f32::NAN; 300];
    bernoulli(S, start, 0.3, 2.0, &mut b);
    for i in 0..300 {
        let e = start + i;
        let words = philox4x32_10([0x89ab_cdef, 0x0123_4567], [(e / 4) as u32, 3, 7, 5]);
        let word = words[e % 4];
        assert_eq!(u[i], (word >> 8) as f32 / 16_777_216.0);
        assert_eq!(
            b[i],
            if f64::from(word) < 0.3f32 as f64 * 4_294_967_296.0 {
                2.0
            } else {
                0.0
            }
        );
        let pair = e % 4 / 2 * 2;
        let u1 = f64::from((words[pair] >> 8) + 1) / 16_777_216.0;
        let angle = f64::from(words[pair + 1] >> 8) / 16_777_216.0 * std::f64::consts::TAU;
        let want = (-2.0 * u1.ln()).sqrt()
            * if e.is_multiple_of(2) {
                angle.cos()
            } else {
                angle.sin()
            };
        assert!((f64::from(n[i]) - want).abs() < 2e-6, "{} {want}", n[i]);
    }
}

#[test]
fn any_split_gives_the_same_bits() {
    type Fill = fn(usize, &mut [f32]);
    let fills: [Fill; 3] = [
        |start, out| uniform(S, start, -1.7, 1.3, out),
        |start, out| normal(S, start, 0.5, 2.0, out),
        |start, out| bernoulli(S, start, 0.5, 2.0, out),
    ];
    for fill in fills {
        let mut whole = [f32::NAN; 517];
        fill(0, &mut whole);
        for cuts in [
            [0, 0],
            [1, 2],
            [3, 64],
            [63, 65],
            [66, 131],
            [129, 130],
            [2, 517],
            [255, 500],
        ] {
            let mut parts = [f32::NAN; 517];
            fill(0, &mut parts[..cuts[0]]);
            fill(cuts[0], &mut parts[cuts[0]..cuts[1]]);
            fill(cuts[1], &mut parts[cuts[1]..]);
            assert_eq!(parts.map(f32::to_bits), whole.map(f32::to_bits), "{cuts:?}");
        }
    }
}

fn moments(x: &[f32]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (
        mean,
        x.iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n,
    )
}

/// Largest distance between the empirical and the given distribution function, times sqrt(n).
fn kolmogorov(x: &mut [f32], cdf: impl Fn(f64) -> f64) -> f64 {
    x.sort_by(f32::total_cmp);
    let n = x.len() as f64;
    let gap = |(i, &v): (usize, &f32)| (cdf(f64::from(v)) - (i as f64 + 0.5) / n).abs();
    x.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
}

/// Distribution function of the standard normal, by its power series (Marsaglia 2004).
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while f64::abs(term) > 1e-17 {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

#[test]
fn uniform_is_uniform_and_stays_below_hi() {
    let mut x = vec![f32::NAN; 200_000];
    uniform(S, 0, -1.7, 1.3, &mut x);
    let (mean, var) = moments(&x);
    assert!(
        (mean + 0.2).abs() < 4.0 * (0.75f64 / 2e5).sqrt() && (var - 0.75).abs() < 0.01,
        "{mean} {var}"
    );
    assert!(x.iter().all(|v| (-1.7..1.3).contains(v)));
    let d = kolmogorov(&mut x, |v| (v + 1.7) / 3.0);
    assert!(d < 1.95, "{d}"); // exceeded with probability 1e-3
    uniform(S, 0, 1.0, 1.0f32.next_up(), &mut x); // every second product rounds up to hi
    assert!(x.iter().all(|&v| v == 1.0));
}

#[test]
fn normal_is_normal() {
    let mut x = vec![f32::NAN; 200_000];
    normal(S, 0, 0.5, 2.0, &mut x);
    let (mean, var) = moments(&x);
    assert!(
        (mean - 0.5).abs() < 4.0 * 2.0 / 2e5f64.sqrt() && (var - 4.0).abs() < 0.05,
        "{mean} {var}"
    );
    let lag = |k: usize| {
        x.iter()
            .zip(&x[k..])
            .map(|(a, b)| (a - 0.5) * (b - 0.5))
            .map(f64::from)
            .sum::<f64>()
            / 8e5
    };
    assert!((1..5).all(|k| lag(k).abs() < 4.0 / 2e5f64.sqrt()));
    // Third and fourth moments 0 and 3, with variances of 15 / n and 96 / n; 4.55 % lie beyond 2 sd.
    let z = |power: i32| {
        let sum = x.iter().map(|v| ((f64::from(*v) - 0.5) / 2.0).powi(power));
        sum.sum::<f64>() / 2e5
    };
    assert!(z(3).abs() < 4.0 * (15.0f64 / 2e5).sqrt(), "{}", z(3));
    assert!(
        (z(4) - 3.0).abs() < 4.0 * (96.0f64 / 2e5).sqrt(),
        "{}",
        z(4)
    );
    let beyond = x.iter().filter(|v| (**v - 0.5).abs() > 4.0).count() as f64 / 2e5;
    assert!((beyond - 0.045_500_26).abs() < 4.0 * (0.0434f64 / 2e5).sqrt());
    let d = kolmogorov(&mut x, |v| normal_cdf((v - 0.5) / 2.0));
    assert!(d < 1.95, "{d}");
}

#[test]
fn bernoulli_counts_pass_a_chi_square_test() {
    let mut x = vec![f32::NAN; 200_000];
    for (stream, p) in [0.1f32, 0.5, 0.8, 0.999].into_iter().enumerate() {
        bernoulli(
            RandomStream {
                stream: stream as u32,
                ..S
            },
            0,
            p,
            2.0,
            &mut x,
        );
        assert!(x.iter().all(|&v| v == 0.0 || v == 2.0));
        // 200 cells of 1000 draws: the squared standardised counts sum to about 200, deviation 20.
        let variance = 1000.0 * f64::from(p) * (1.0 - f64::from(p));
        let count = |cell: &[f32]| cell.iter().filter(|&&v| v == 2.0).count() as f64;
        let chi: f64 = x
            .chunks(1000)
            .map(|c| (count(c) - 1000.0 * f64::from(p)).powi(2) / variance)
            .sum();
        assert!((chi - 200.0).abs() < 80.0, "p = {p}: {chi}");
    }
}

#[test]
fn certain_and_impossible_draws() {
    let mut x = [f32::NAN; 100];
    for (p, want) in [
        (1.0, 3.0),
        (1.5, 3.0),
        (f32::INFINITY, 3.0),
        (0.0, 0.0),
        (-0.5, 0.0),
        (f32::NAN, 0.0),
    ] {
        x.fill(f32::NAN);
        bernoulli(S, 1, p, 3.0, &mut x);
        assert_eq!(x, [want; 100], "p = {p}");
    }
}

#[test]
fn streams_counters_and_keys_are_independent() {
    let n = 100_000;
    let others = [
        RandomStream { stream: 4, ..S },
        RandomStream {
            counter: S.counter + 1,
            ..S
        },
        RandomStream {
            counter: S.counter + (1 << 32),
            ..S
        },
        RandomStream {
            key: S.key ^ (1 << 40),
            ..S
        },
    ];
    let (mut a, mut b) = (vec![f32::NAN; n], vec![f32::NAN; n]);
    uniform(S, 0, -1.0, 1.0, &mut a);
    for other in others {
        uniform(other, 0, -1.0, 1.0, &mut b);
        let covariance = a.iter().zip(&b).map(|(x, y)| f64::from(x * y)).sum::<f64>() / n as f64;
        assert!(
            (3.0 * covariance).abs() < 4.0 / (n as f64).sqrt(),
            "{other:?}: {covariance}"
        );
    }
}

#[test]
fn permutation_holds_every_index_once_and_repeats() {
    for n in [0, 1, 2, 3, 10, 257, 60_000] {
        let (mut p, mut q) = (vec![u32::MAX; n], vec![u32::MAX; n]);
        permutation(S, n, &mut p);
        permutation(S, n, &mut q);
        assert_eq!(p, q);
        q.sort_unstable();
        assert!(q.iter().enumerate().all(|(i, &v)| v == i as u32));
    }
}

#[test]
fn permutations_of_four_are_equally_likely() {
    let mut counts = std::collections::BTreeMap::new();
    for counter in 0..24_000 {
        let mut p = [0; 4];
        permutation(RandomStream { counter, ..S }, 4, &mut p);
        *counts.entry(p).or_insert(0u32) += 1;
    }
    let chi: f64 = counts
        .values()
        .map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0)
        .sum();
    assert!(counts.len() == 24 && chi < 49.7, "{chi}"); // 23 degrees of freedom, probability 1e-3
}
