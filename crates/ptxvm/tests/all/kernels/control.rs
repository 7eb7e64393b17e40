//! The beginning and the end of an iteration of a captured loop.

use super::{Arg, Device, assert_same, everywhere, numbers, threads};
use ganforge_ptxvm::Launch;

const SLOTS: usize = 4;

#[test]
fn each_iteration_takes_the_next_scalars_and_examples_and_notes_its_results() {
    everywhere(|| {
        for (scalars, rows, n) in [(1, 1, 3), (5, 100, 32), (3, 300, 70), (0, 7, 0), (2, 0, 1)] {
            let mut device = Device::new("control");
            let table = numbers(SLOTS * scalars, 1);
            let order: Vec<u32> = (0..2 + SLOTS * rows).map(|i| i as u32 * 3).collect();
            let clock = device.memory.alloc_u64("clock", &[40, 2 << 32]);
            let control = device.memory.alloc_u64("control", &[9, 0]);
            let (now, index) = (
                device.space("scalars", scalars),
                device.space("index", rows),
            );
            let ring = device.space("ring", n * SLOTS);
            let results = numbers(n, 2);
            let mut address = |r: &f32| device.memory.alloc_f32("result", &[*r]).address();
            let addresses: Vec<u64> = results.iter().map(&mut address).collect();
            let addresses = device.memory.alloc_u64("addresses", &addresses);
            let [pt, po] = [
                device.put("table", &table),
                Arg::Pointer(device.memory.alloc_u32("order", &order)),
            ];
            for slot in 0..SLOTS {
                // Two graphs of two iterations each: the clock moves on after the second.
                let (ahead, advance) = (slot % 2, 2 * (slot % 2));
                let mut args = vec![Arg::Pointer(clock), pt.clone(), po.clone()];
                args.extend([now, index, control].map(Arg::Pointer));
                args.extend([scalars, rows, order.len(), ahead].map(|n| Arg::U32(n as u32)));
                device.launch("iteration_begin_v2", threads(scalars.max(rows)), &args);
                let expected = &table[slot * scalars..][..scalars];
                assert_same("scalars", &device.read(now), expected);
                let index = device.memory.read_u32(index);
                assert_eq!(index, order[2 + slot * rows..][..rows]);
                let control = device.memory.read_u8(control);
                assert_eq!((control[0], control[8]), (9, 40 + slot as u8));
                let args = [
                    Arg::Pointer(addresses),
                    Arg::U32(n as u32),
                    Arg::Pointer(ring),
                    Arg::Pointer(clock),
                    Arg::U32(ahead as u32),
                    Arg::U32(advance as u32),
                ];
                device.launch("iteration_end_v3", Launch::new(1, 32), &args);
            }
            assert_same("ring", &device.read(ring), &results.repeat(SLOTS));
            let clock = device.memory.read_u8(clock);
            assert_eq!((clock[0], clock[8], clock[12]), (40, SLOTS as u8, 2));
        }
    });
}

#[test]
fn an_iteration_beyond_the_order_traps() {
    let mut device = Device::new("control");
    let clock = device.memory.alloc_u64("clock", &[0, 1 << 32]);
    let control = device.memory.alloc_u64("control", &[9, 0]);
    let order = device.memory.alloc_u32("order", &[2, 1, 0]);
    let (table, scalars) = (device.space("table", 0), device.space("scalars", 0));
    let index = device.space("index", 3);
    let mut args = [clock, table, order, scalars, index, control]
        .map(Arg::Pointer)
        .to_vec();
    args.extend([0, 3, 3, 0].map(Arg::U32));
    let error = device.try_launch("iteration_begin_v2", threads(3), &args);
    let error = error
        .expect_err("places 1, 2 and 3 of an order of 3")
        .to_string();
    assert!(error.contains("trap"), "{error}");
}
