//! All parameters of a network in one launch.

use crate::{Device, assert_same, numbers};
use ganforge_ptxvm::{Arg, Launch, Pointer};

const SIZES: [usize; 6] = [1, 1024, 3, 1025, 2500, 7];

/// A table of segments on the device, and how many blocks they take.
fn table(device: &mut Device, tensors: &[[Pointer; 4]]) -> (Arg, u32) {
    let (mut words, mut blocks) = (Vec::new(), 0u64);
    for (pointers, &n) in tensors.iter().zip(&SIZES) {
        words.extend(pointers.map(|p| p.address()));
        words.push(n as u64 | blocks << 32);
        blocks += n.div_ceil(1024) as u64;
    }
    (
        Arg::Pointer(device.memory.alloc_u64("table", &words)),
        blocks as u32,
    )
}

/// parameter, two slots and gradient of each size
fn tensors(device: &mut Device) -> (Vec<[Pointer; 4]>, Vec<[Vec<f32>; 4]>) {
    let data = SIZES.iter().enumerate().map(|(i, &n)| {
        let square = numbers(n, 30 + i as u64).iter().map(|x| x * x).collect();
        [
            numbers(n, i as u64),
            numbers(n, 10 + i as u64),
            square,
            numbers(n, 20 + i as u64),
        ]
    });
    let data: Vec<[Vec<f32>; 4]> = data.collect();
    let pointers = data
        .iter()
        .map(|d| d.each_ref().map(|x| device.memory.alloc_f32("tensor", x)));
    (pointers.collect(), data)
}

#[test]
fn momentum_updates_every_parameter() {
    let mut device = Device::new("optim");
    let (pointers, data) = tensors(&mut device);
    let (table, blocks) = table(&mut device, &pointers);
    let (lr, mu) = (0.1f32, 0.7f32);
    let scalars = [lr, mu].map(|x| device.put("scalar", &[x]));
    let [plr, pmu] = scalars;
    let args = [table, Arg::U32(SIZES.len() as u32), plr, pmu];
    device.launch("momentum_v1_f32", Launch::new(blocks, 256), &args);
    for ([p, v, _, g], pointer) in data.iter().zip(&pointers) {
        let new: Vec<f32> = v.iter().zip(g).map(|(v, g)| mu * v - lr * g).collect();
        let param: Vec<f32> = p.iter().zip(&new).map(|(p, v)| p + v).collect();
        assert_same("velocity", &device.read(pointer[1]), &new);
        assert_same("parameter", &device.read(pointer[0]), &param);
    }
}

#[test]
fn adam_updates_every_parameter() {
    let mut device = Device::new("optim");
    let (pointers, data) = tensors(&mut device);
    let (table, blocks) = table(&mut device, &pointers);
    let (lr, c1, c2, b1, b2, eps) = (1e-3f32, 1.7f32, 20.0f32, 0.9f64, 0.999f64, 1e-8f32);
    let (rest1, rest2) = ((1.0 - b1) as f32, (1.0 - b2) as f32);
    let (b1, b2) = (b1 as f32, b2 as f32);
    let mut args = vec![table, Arg::U32(SIZES.len() as u32)];
    args.extend([lr, c1, c2].map(|x| device.put("scalar", &[x])));
    args.extend([b1, rest1, b2, rest2, eps].map(Arg::F32));
    device.launch("adam_v1_f32", Launch::new(blocks, 256), &args);
    for ([p, m, s, g], pointer) in data.iter().zip(&pointers) {
        let mean: Vec<f32> = m.iter().zip(g).map(|(m, g)| m * b1 + g * rest1).collect();
        let square: Vec<f32> = s
            .iter()
            .zip(g)
            .map(|(s, g)| s * b2 + (g * g) * rest2)
            .collect();
        let step = |i: usize| mean[i] * c1 / ((square[i] * c2).sqrt() + eps) * lr;
        let param: Vec<f32> = p.iter().enumerate().map(|(i, p)| p - step(i)).collect();
        assert_same("mean", &device.read(pointer[1]), &mean);
        assert_same("square", &device.read(pointer[2]), &square);
        assert_same("parameter", &device.read(pointer[0]), &param);
    }
}
