//! Iterations that repeat by themselves.

use super::{Device, assert_same, numbers, threads};
use ganforge_ptxvm::{Arg, Launch};

const SLOTS: usize = 4;

#[test]
fn each_iteration_takes_the_next_scalars_and_examples_and_notes_its_results() {
    for (scalars, rows) in [(1, 1), (5, 100), (3, 300), (0, 7)] {
        let mut device = Device::new("control");
        let table = numbers(SLOTS * scalars, 1);
        let order: Vec<u32> = (0..2 + SLOTS * rows).map(|i| i as u32 * 3).collect();
        let clock = device.memory.alloc_u64("clock", &[40, 2 << 32]);
        let control = device.memory.alloc_u64("control", &[9, 0]);
        let (now, index) = (
            device.space("scalars", scalars),
            device.space("index", rows),
        );
        let ring = device.space("ring", 3 * SLOTS);
        let results = [0, 1, 2].map(|i| device.memory.alloc_f32("result", &[i as f32]));
        let [pt, po] = [
            device.put("table", &table),
            Arg::Pointer(device.memory.alloc_u32("order", &order)),
        ];
        for slot in 0..SLOTS {
            let mut args = vec![Arg::Pointer(clock), pt.clone(), po.clone()];
            args.extend([now, index, control].map(Arg::Pointer));
            args.extend([scalars, rows, order.len()].map(|n| Arg::U32(n as u32)));
            device.launch("iteration_begin_v1", threads(scalars.max(rows)), &args);
            let expected = &table[slot * scalars..][..scalars];
            assert_same("scalars", &device.read(now), expected);
            let index = device.memory.read_u32(index).expect("written");
            assert_eq!(index, order[2 + slot * rows..][..rows]);
            let control = device.memory.read_u8(control).expect("written");
            assert_eq!((control[0], control[8]), (9, 40 + slot as u8));
            let mut bytes: Vec<u8> = results
                .iter()
                .flat_map(|r| r.address().to_le_bytes())
                .collect();
            bytes.resize(64, 0);
            let args = [
                Arg::Bytes(bytes),
                Arg::U32(3),
                Arg::Pointer(ring),
                Arg::Pointer(clock),
            ];
            device.launch("iteration_end_v1", Launch::new(1, 32), &args);
        }
        assert_same("ring", &device.read(ring), &[0.0, 1.0, 2.0].repeat(SLOTS));
        let clock = device.memory.read_u8(clock).expect("written");
        assert_eq!((clock[0], clock[8], clock[12]), (40, SLOTS as u8, 2));
    }
}
