//! Maxout, take and put have the CPU's bits.

use super::{Arg, Device, assert_same, everywhere, indices, numbers, threads};
use ganforge_kernels::cpu::maxout;
use ganforge_kernels::cpu::rng::{self, RandomStream};

const CASES: [(usize, usize, usize); 5] = [
    (1, 1, 1),
    (3, 13, 7),
    (1, 300, 5),
    (100, 24, 5),
    (257, 1, 2),
];

#[test]
fn the_first_largest_piece_wins() {
    everywhere(|| {
        for (rows, units, q) in CASES {
            let count = rows * units;
            let mut x = numbers(count * q, 5);
            x[0] = f32::NAN;
            if q > 1 {
                let last = x.len() - 1;
                x[last] = x[last - 1]; // a tie
            }
            let mut device = Device::new("maxout");
            let px = device.put("x", &x);
            let (y, index) = (device.space("y", count), device.space("index", count));
            let [n, pieces] = [count, q].map(|n| Arg::U32(n as u32));
            let args = [
                px.clone(),
                Arg::Pointer(y),
                Arg::Pointer(index),
                n.clone(),
                pieces.clone(),
            ];
            device.launch("maxout_v1_f32", threads(count), &args);
            let (mut ey, mut ei) = (vec![0.0; count], vec![0.0; count]);
            maxout::argmax(q, &x, &mut ei);
            maxout::take(q, &x, &ei, &mut ey);
            let what = format!("{rows} x {units} x {q}");
            assert_same(&what, &device.read(y), &ey);
            assert_same(&what, &device.read(index), &ei);

            // With dropout in the same pass.
            let (stream, p, value) = (
                RandomStream {
                    key: 3,
                    stream: 5,
                    counter: 7,
                },
                0.8f32,
                1.25f32,
            );
            let mut mask = vec![0.0; count];
            rng::bernoulli(stream, 0, p, value, &mut mask);
            let dropped: Vec<f32> = ey.iter().zip(&mask).map(|(y, m)| y * m).collect();
            let control = Arg::Pointer(
                device
                    .memory
                    .alloc_u64("control", &[stream.key, stream.counter]),
            );
            let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
            for keeps in [true, false] {
                let (y, index, out) = (
                    device.space("y", count),
                    device.space("index", count),
                    device.space("mask", count),
                );
                let args = [
                    px.clone(),
                    Arg::Pointer(y),
                    Arg::Pointer(index),
                    if keeps { Arg::Pointer(out) } else { Arg::Null },
                    control.clone(),
                    Arg::U32(stream.stream),
                    Arg::U32(threshold),
                    Arg::F32(value),
                    Arg::U32(0),
                    n.clone(),
                    pieces.clone(),
                ];
                device.launch("maxout_dropout_v1_f32", threads(count), &args);
                assert_same(&what, &device.read(y), &dropped);
                assert_same(&what, &device.read(index), &ei);
                if keeps {
                    assert_same(&what, &device.read(out), &mask);
                }
            }
        }
    });
}

#[test]
fn take_and_put_follow_the_index() {
    everywhere(|| {
        for (rows, units, q) in CASES {
            let count = rows * units;
            let (x, dy, index) = (
                numbers(count * q, 1),
                numbers(count, 2),
                indices(count, q, 3),
            );
            let mut device = Device::new("maxout");
            let [px, pdy, pi] = [&x, &dy, &index].map(|d| device.put("in", d));
            let (y, dx) = (device.space("y", count), device.space("dx", count * q));
            let sizes = [Arg::U32(count as u32), Arg::U32(q as u32)];
            let [n, p] = sizes.clone();
            device.launch(
                "take_v1_f32",
                threads(count),
                &[px, pi.clone(), Arg::Pointer(y), n, p],
            );
            let [n, p] = sizes;
            device.launch(
                "put_v1_f32",
                threads(count * q),
                &[pdy, pi, Arg::Pointer(dx), n, p],
            );
            let place = |j: usize| j * q + index[j] as usize;
            let taken: Vec<f32> = (0..count).map(|j| x[place(j)]).collect();
            let mut put = vec![0.0; count * q];
            (0..count).for_each(|j| put[place(j)] = dy[j]);
            assert_same("take", &device.read(y), &taken);
            assert_same("put", &device.read(dx), &put);
        }
    });
}

#[test]
fn an_index_that_is_no_piece_traps() {
    for bad in [3.0, 0.5, -1.0, f32::NAN] {
        let mut device = Device::new("maxout");
        let (x, index) = (device.put("x", &[0.0; 6]), device.put("index", &[2.0, bad]));
        let y = Arg::Pointer(device.space("y", 2));
        let args = [x, index, y, Arg::U32(2), Arg::U32(3)];
        let result = device.try_launch("take_v1_f32", threads(2), &args);
        let error = result.expect_err("it is none").to_string();
        assert!(error.ends_with("trap"), "{error}");
    }
}
