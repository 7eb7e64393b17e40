//! Rows by index.

use super::{Arg, Device, assert_same, everywhere, indices, numbers, on_cpu, threads};

const CASES: [(usize, usize, usize); 4] = [(1, 1, 1), (7, 13, 20), (131, 30, 51), (3, 1, 297)];

#[test]
fn gathered_and_scattered_rows_have_the_cpus_bits() {
    everywhere(|| {
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
    });
}

#[test]
fn bytes_become_numbers_at_a_scale() {
    everywhere(|| {
        let (rows, width) = (5, 77);
        let data: Vec<u8> = (0..rows * width).map(|i| (i * 7 % 256) as u8).collect();
        let index = [4u32, 0, 4, 2];
        let mut device = Device::new("rows");
        let bytes = Arg::Pointer(device.memory.alloc_u8("data", &data));
        let index_at = device.memory.alloc_u32("index", &index);
        let gather = |device: &mut Device, scale: [f32; 2]| {
            let out = device.space("out", 4 * width);
            let mut args = vec![bytes.clone(), Arg::Pointer(index_at), Arg::Pointer(out)];
            args.extend([rows, width, 4].map(|n| Arg::U32(n as u32)));
            args.extend(scale.map(Arg::F32));
            device.launch("gather_rows_v1_u8_f32", threads(4 * width), &args);
            device.read(out)
        };
        let rows_of = |values: &[f32]| -> Vec<f32> {
            let chosen = index
                .iter()
                .map(|r| &values[*r as usize * width..][..width]);
            chosen.flatten().copied().collect()
        };
        for (scale, shift) in [(1.0, 0.0), (2.0, -1.0), (3.3, 0.1)] {
            let values = data.iter();
            let values = values.map(|b| f32::from(*b) / 255.0 * scale + shift);
            let expected = rows_of(&values.collect::<Vec<f32>>());
            let got = gather(&mut device, [scale, shift]);
            assert_same("gather u8", &got, &expected);
        }
        // Numbers, with whole indices as well.
        let values = numbers(rows * width, 1);
        let data = device.put("values", &values);
        let out = device.space("out", 4 * width);
        let mut args = vec![data, Arg::Pointer(index_at), Arg::Pointer(out)];
        args.extend([rows, width, 4].map(|n| Arg::U32(n as u32)));
        device.launch("gather_rows_v1_u32_f32", threads(4 * width), &args);
        assert_same("gather u32", &device.read(out), &rows_of(&values));
    });
}

#[test]
fn an_index_that_is_no_row_traps() {
    for bad in [3.0, 0.5, -1.0, f32::NAN] {
        let mut device = Device::new("rows");
        let mut args = vec![
            device.put("data", &[0.0; 6]),
            device.put("index", &[2.0, bad]),
            Arg::Pointer(device.space("out", 4)),
        ];
        args.extend([3, 2, 2].map(Arg::U32));
        let result = device.try_launch("gather_rows_v1_f32", threads(4), &args);
        let error = result.expect_err("it is none").to_string();
        assert!(
            error.contains("thread (2, 0, 0)") && error.ends_with("trap"),
            "{error}"
        );
    }
}
