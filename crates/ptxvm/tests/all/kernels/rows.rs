//! Rows by index.

use super::{Device, assert_same, indices, module, numbers, on_cpu, threads};
use ganforge_ptxvm::{Arg, Memory};

const CASES: [(usize, usize, usize); 4] = [(1, 1, 1), (7, 13, 20), (131, 30, 51), (3, 1, 297)];

#[test]
fn gathered_and_scattered_rows_have_the_cpus_bits() {
    for (rows, width, count) in CASES {
        let (data, dy) = (numbers(rows * width, 1), numbers(count * width, 2));
        let index = indices(count, rows, 3);
        let mut device = Device::new("rows");
        let [pd, pdy, pi] = [&data, &dy, &index].map(|d| device.put("in", d));
        let (out, back) = (
            device.space("out", count * width),
            device.space("back", rows * width),
        );
        let sizes = || [rows, width, count].map(|n| Arg::U32(n as u32));
        let mut args = vec![pd, pi.clone(), Arg::Pointer(out)];
        args.extend(sizes());
        device.launch("gather_rows_v1_f32", threads(count * width), &args);
        let mut args = vec![pdy, pi, Arg::Pointer(back)];
        args.extend(sizes());
        device.launch("scatter_rows_v1_f32", threads(rows * width), &args);
        let table: [(&[usize], &[f32]); 2] = [(&[rows, width], &data), (&[count], &index)];
        let some: [(&[usize], &[f32]); 2] = [(&[count, width], &dy), (&[count], &index)];
        let (_, gathered) = on_cpu(&table, &|_, x| x[0].gather_rows(x[1]));
        let (_, scattered) = on_cpu(&some, &|_, x| x[0].scatter_rows(x[1], rows));
        assert_same("gather", &device.read(out), &gathered);
        assert_same("scatter", &device.read(back), &scattered);
    }
}

#[test]
fn bytes_become_numbers_from_0_to_1() {
    let (rows, width) = (5, 77);
    let data: Vec<u8> = (0..rows * width).map(|i| (i * 7 % 256) as u8).collect();
    let index = [4u32, 0, 4, 2];
    let mut device = Device::new("rows");
    let pd = device.memory.alloc_u8("data", &data);
    let pi = device.memory.alloc_u32("index", &index);
    let out = device.space("out", 4 * width);
    let mut args = [pd, pi, out].map(Arg::Pointer).to_vec();
    args.extend([rows, width, 4].map(|n| Arg::U32(n as u32)));
    device.launch("gather_rows_v1_u8_f32", threads(4 * width), &args);
    let chosen = index
        .iter()
        .flat_map(|r| &data[*r as usize * width..][..width]);
    let expected: Vec<f32> = chosen.map(|b| f32::from(*b) / 255.0).collect();
    assert_same("gather u8", &device.read(out), &expected);
    // The same rows as numbers.
    let values: Vec<f32> = data.iter().map(|b| f32::from(*b) / 255.0).collect();
    args[0] = device.put("values", &values);
    let out = device.space("out", 4 * width);
    args[2] = Arg::Pointer(out);
    device.launch("gather_rows_v1_u32_f32", threads(4 * width), &args);
    assert_same("gather u32", &device.read(out), &expected);
}

#[test]
fn an_index_that_is_no_row_traps() {
    for bad in [3.0, 0.5, -1.0, f32::NAN] {
        let mut memory = Memory::new();
        let data = memory.alloc_f32("data", &[0.0; 6]);
        let index = memory.alloc_f32("index", &[2.0, bad]);
        let out = memory.alloc("out", 16);
        let mut args = [data, index, out].map(Arg::Pointer).to_vec();
        args.extend([3, 2, 2].map(Arg::U32));
        let result = module("rows").launch("gather_rows_v1_f32", &threads(4), &args, &mut memory);
        let error = result.map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("thread (2, 0, 0)") && error.ends_with("trap"),
            "{error}"
        );
    }
}
