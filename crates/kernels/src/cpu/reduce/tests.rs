use super::*;

fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The index into `small` of element `i` of `large`, by the definition of broadcasting.
fn source(mut i: usize, large: &[usize], small: &[usize]) -> usize {
    let (mut index, mut stride) = (0, 1);
    for d in (0..large.len()).rev() {
        let coordinate = i % large[d];
        i /= large[d];
        if d + small.len() >= large.len() {
            let size = small[d + small.len() - large.len()];
            index += if size == 1 { 0 } else { coordinate * stride };
            stride *= size;
        }
    }
    index
}

const CASES: [(&[usize], &[usize]); 32] = [
    (&[], &[]),
    (&[1], &[]),
    (&[7], &[]),
    (&[7], &[7]),
    (&[1031], &[1]),
    (&[100_003], &[]),
    (&[70, 1009], &[1, 1]),
    (&[100, 240], &[240]),
    (&[100, 67], &[1, 67]),
    (&[1000, 130], &[130]),
    (&[7001, 10], &[10]),
    (&[33, 1], &[1]),
    (&[17, 5], &[17, 1]),
    (&[100, 1200], &[100, 1]),
    (&[1, 1], &[1, 1]),
    (&[3, 5, 7], &[5, 1]),
    (&[3, 5, 7], &[3, 1, 7]),
    (&[3, 5, 7], &[1, 5, 7]),
    (&[3, 5, 7], &[3, 1, 1]),
    (&[4, 3, 5, 7], &[3, 1, 1]),
    (&[40, 3, 28, 28], &[1, 3, 1, 1]),
    (&[4, 3, 5, 7], &[4, 1, 5, 1]),
    (&[4, 3, 5, 70], &[3, 1, 70]),
    (&[4, 3, 5, 7], &[4, 3, 1, 7]),
    (&[4, 3, 5, 7], &[1, 3, 5, 1]),
    (&[4, 1, 5, 7], &[1, 1, 1, 7]),
    (&[2, 3, 1, 65], &[3, 1, 1]),
    (&[0], &[]),
    (&[0, 5], &[5]),
    (&[5, 0], &[5, 1]),
    (&[0, 5], &[0, 1]),
    (&[2, 0, 3], &[0, 3]),
];

fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

#[test]
fn sums_and_copies_agree_with_plain_loops_in_f64() {
    for (large, small) in CASES {
        let x = values(size(large), 5);
        let mut want = vec![0f64; size(small)];
        let mut magnitude = vec![0f64; size(small)];
        for (i, &v) in x.iter().enumerate() {
            want[source(i, large, small)] += f64::from(v);
            magnitude[source(i, large, small)] += f64::from(v.abs());
        }
        let mut y = vec![f32::NAN; size(small)];
        sum_to(&x, large, &mut y, small);
        for i in 0..y.len() {
            // Pairwise: at most 64 + log2(terms) roundings on the way of any term.
            let bound = 80.0 * f64::from(f32::EPSILON) / 2.0 * magnitude[i];
            assert!(
                (f64::from(y[i]) - want[i]).abs() <= bound,
                "{large:?} -> {small:?} at {i}: {} {}",
                y[i],
                want[i]
            );
        }
        let mut z = vec![f32::NAN; size(large)];
        broadcast_to(&y, small, &mut z, large);
        for (i, &v) in z.iter().enumerate() {
            assert_eq!(
                v,
                y[source(i, large, small)],
                "{small:?} -> {large:?} at {i}"
            );
        }
    }
}

#[test]
fn sums_that_come_in_portions_have_the_same_bits() {
    let more: [(&[usize], &[usize]); 4] = [
        (&[3, 5000], &[3, 1]),
        (&[700, 3], &[700, 1]),
        (&[100, 1], &[]),
        (&[9, 7, 20], &[20]),
    ];
    let mut seen = 0;
    for (large, small) in CASES.into_iter().chain(more) {
        let Some(sums) = PartialSums::new(large, small) else {
            continue;
        };
        seen += 1;
        let x = values(size(large), 6);
        let (mut y, mut y2) = (vec![f32::NAN; size(small)], vec![f32::NAN; size(small)]);
        sum_to(&x, large, &mut y, small);
        assert_eq!(sums.start(sums.parts()), x.len());
        for portion in [512, 37] {
            let mut slots = vec![f32::NAN; sums.parts() * sums.width()];
            // Two tasks.
            let middle = sums.parts() / 2;
            let (left, right) = slots.split_at_mut(middle * sums.width());
            let (x_left, x_right) = x.split_at(sums.start(middle));
            for (part, slots, x) in [(0, left, x_left), (middle, right, x_right)] {
                let mut adder = Adder::new(sums, part, slots);
                x.chunks(portion).for_each(|x| adder.add(x));
            }
            sums.fold(&mut slots, &mut y2);
            let bits = |y: &[f32]| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&y), bits(&y2), "{large:?} -> {small:?} by {portion}");
        }
    }
    assert!(seen > 8, "{seen} cases");
}

#[test]
fn sum_to_and_broadcast_to_are_adjoint() {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum::<f64>()
    };
    for (large, small) in CASES {
        let (x, y) = (values(size(large), 1), values(size(small), 2));
        let (mut sums, mut copies) = (vec![f32::NAN; y.len()], vec![f32::NAN; x.len()]);
        sum_to(&x, large, &mut sums, small);
        broadcast_to(&y, small, &mut copies, large);
        let (a, b) = (dot(&sums, &y), dot(&x, &copies));
        assert!(
            (a - b).abs() <= 1e-5 * (1.0 + x.len() as f64).sqrt(),
            "{large:?} {small:?}: {a} {b}"
        );
    }
}

#[test]
fn sums_have_the_same_bits_on_any_number_of_threads() {
    for (large, small) in CASES {
        let x = values(size(large), 9);
        let run = |threads| {
            let mut y = vec![f32::NAN; size(small)];
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| sum_to(&x, large, &mut y, small));
            y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = run(1);
        assert_eq!(one, run(2), "{large:?} {small:?}");
        assert_eq!(one, run(3), "{large:?} {small:?}");
    }
}

#[test]
fn a_long_sum_keeps_its_precision() {
    let x = vec![0.1f32; 3_000_001];
    let mut y = [f32::NAN];
    sum_to(&x, &[3_000_001], &mut y, &[]);
    let want = f64::from(0.1f32) * 3_000_001.0;
    assert!(
        (f64::from(y[0]) - want).abs() < 2e-6 * want,
        "{} {want}",
        y[0]
    );
}

#[test]
#[should_panic(expected = "does not broadcast")]
fn shapes_must_broadcast() {
    sum_to(&[0.0; 6], &[2, 3], &mut [0.0; 2], &[2]);
}
