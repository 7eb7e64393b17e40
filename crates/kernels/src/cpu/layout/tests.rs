use super::*;

fn ramp(n: usize) -> Vec<f32> {
    (1..=n).map(|i| i as f32).collect()
}

/// Row-major coordinates of element i.
fn coordinates(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut c = vec![0; shape.len()];
    for d in (0..shape.len()).rev() {
        c[d] = i % shape[d];
        i /= shape[d];
    }
    c
}

fn index(c: &[usize], shape: &[usize]) -> usize {
    c.iter().zip(shape).fold(0, |acc, (&i, &n)| acc * n + i)
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let longer = |p: Vec<usize>| {
        (0..n).map(move |at| {
            let mut q = p.clone();
            q.insert(at, n - 1);
            q
        })
    };
    permutations(n - 1).into_iter().flat_map(longer).collect()
}

#[test]
fn transpose_moves_every_element_for_every_permutation() {
    let shapes: [&[usize]; 12] = [
        &[],
        &[5],
        &[1, 1],
        &[16, 16],
        &[17, 33],
        &[1, 7],
        &[300, 101],
        &[0, 3],
        &[3, 17, 5],
        &[2, 1, 19, 3],
        &[5, 18, 2, 17],
        &[2, 3, 130, 70],
    ];
    for shape in shapes {
        let x = ramp(elements(shape));
        for perm in permutations(shape.len()) {
            let to: Vec<usize> = perm.iter().map(|&d| shape[d]).collect();
            for threads in [1, 3] {
                let mut y = vec![f32::NAN; x.len()];
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| transpose(&x, shape, &perm, &mut y));
                for (i, &v) in y.iter().enumerate() {
                    let c = coordinates(i, &to);
                    let mut from = vec![0; c.len()];
                    perm.iter().zip(&c).for_each(|(&d, &i)| from[d] = i);
                    assert_eq!(v, x[index(&from, shape)], "{shape:?} {perm:?} at {i}");
                }
            }
        }
    }
}

type Box3 = (&'static [usize], &'static [usize], &'static [usize]);
const WINDOWS: [Box3; 12] = [
    (&[], &[], &[]),
    (&[9], &[2], &[5]),
    (&[9], &[9], &[0]),
    (&[4, 5], &[0, 0], &[4, 5]),
    (&[4, 5], &[1, 2], &[2, 3]),
    (&[4, 5], &[4, 0], &[0, 5]),
    (&[4, 5], &[0, 5], &[4, 0]),
    (&[3, 4, 5], &[1, 0, 2], &[2, 4, 1]),
    (&[2, 3, 4, 5], &[1, 1, 1, 1], &[1, 2, 3, 4]),
    (&[2, 3, 4, 5], &[0, 2, 0, 3], &[2, 1, 4, 2]),
    (&[300, 101], &[7, 3], &[290, 97]),
    (&[0, 2], &[0, 1], &[0, 1]),
];

#[test]
fn slice_and_pad_follow_their_definitions_and_are_adjoint() {
    for (outer, start, inner) in WINDOWS {
        let (big, small) = (ramp(elements(outer)), ramp(elements(inner)));
        for threads in [1, 2, 3] {
            let (mut cut, mut padded) = (vec![f32::NAN; small.len()], vec![f32::NAN; big.len()]);
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                slice(&big, outer, start, &mut cut, inner);
                pad(&small, inner, start, &mut padded, outer);
            });
            let mut want = vec![0.0; big.len()];
            for i in 0..small.len() {
                let c: Vec<usize> = coordinates(i, inner)
                    .iter()
                    .zip(start)
                    .map(|(&i, &s)| i + s)
                    .collect();
                assert_eq!(
                    cut[i],
                    big[index(&c, outer)],
                    "{outer:?} {start:?} {inner:?}"
                );
                want[index(&c, outer)] = small[i];
            }
            assert_eq!(padded, want, "{outer:?} {start:?} {inner:?}");
            let dot = |a: &[f32], b: &[f32]| {
                a.iter()
                    .zip(b)
                    .map(|(&a, &b)| f64::from(a) * f64::from(b))
                    .sum::<f64>()
            };
            assert_eq!(dot(&cut, &small), dot(&big, &padded));
        }
    }
}

#[test]
fn concat_joins_along_each_axis() {
    let cases: [(&[usize], &[usize], usize); 8] = [
        (&[3], &[4], 0),
        (&[0], &[2], 0),
        (&[2, 3], &[5, 3], 0),
        (&[2, 3], &[2, 1], 1),
        (&[2, 0], &[2, 1], 1),
        (&[0, 3], &[0, 2], 1),
        (&[2, 3, 4, 5], &[2, 3, 7, 5], 2),
        (&[200, 90], &[200, 11], 1),
    ];
    for (a_shape, b_shape, axis) in cases {
        let a = ramp(elements(a_shape));
        let b: Vec<f32> = ramp(elements(b_shape)).iter().map(|v| -v).collect();
        let mut shape = a_shape.to_vec();
        shape[axis] += b_shape[axis];
        let mut y = vec![f32::NAN; a.len() + b.len()];
        concat(&a, a_shape, &b, b_shape, axis, &mut y);
        for (i, &v) in y.iter().enumerate() {
            let mut c = coordinates(i, &shape);
            let want = if c[axis] < a_shape[axis] {
                a[index(&c, a_shape)]
            } else {
                c[axis] -= a_shape[axis];
                b[index(&c, b_shape)]
            };
            assert_eq!(v, want, "{a_shape:?} {b_shape:?} {axis} at {i}");
        }
    }
}

#[test]
#[should_panic(expected = "does not lie inside")]
fn a_slice_must_lie_inside() {
    slice(&[0.0; 4], &[4], &[2], &mut [0.0; 3], &[3]);
}
