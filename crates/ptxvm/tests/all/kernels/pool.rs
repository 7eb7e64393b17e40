//! Images under windows and at other sizes have the CPU's bits.

use super::device::current;
use super::{Arg, Device, assert_same, everywhere, numbers, threads, words};
use ganforge_kernels::cuda::Precision;
use ganforge_tensor::gradcheck::draw;
use ganforge_tensor::ops::{self, Window};
use ganforge_tensor::{Cpu, Cuda, Executor, Feed, Graph, Plan, Store, Var};

/// What `formula` makes of the inputs on the CPU and on the machine.
fn both(
    inputs: &[(&[usize], Vec<f32>)],
    formula: impl for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
) -> [Vec<f32>; 2] {
    let g = Graph::new();
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
    let x: Vec<Var> = names
        .iter()
        .zip(inputs)
        .map(|(n, i)| g.input(n, i.0))
        .collect();
    let plan = Plan::of(&g).fetch("y", formula(&g, &x)).compile();
    let plan = plan.expect("a valid formula");
    let feeds = names.iter().zip(inputs);
    let feeds: Vec<Feed> = feeds.map(|(n, i)| Feed::new(n, i.0, &i.1)).collect();
    let (device, _) = current();
    let mut store = Store::new(1);
    let (mut cpu, cuda) = (Cpu::new(&plan), Cuda::new(&device, Precision::F32));
    let mut cuda = cuda.expect("f32 is always there");
    cpu.run(&plan, &mut store, &feeds)
        .expect("everything is fed");
    cuda.run(&plan, &mut store, &feeds)
        .unwrap_or_else(|e| panic!("{e}"));
    [
        cpu.fetch(&plan, &store, "y").expect("fetched").to_vec(),
        cuda.fetch(&plan, &store, "y").expect("fetched").to_vec(),
    ]
}

#[test]
fn every_sample_of_pools_and_interpolations_has_the_cpus_bits() {
    everywhere(|| {
        let mut seen = 0;
        for sample in ops::samples() {
            let name = sample.op.name();
            if !name.contains("pool") && !name.starts_with("resize") && name != "flip" {
                continue;
            }
            seen += 1;
            let inputs = sample.inputs.iter().zip(3..);
            let inputs: Vec<(&[usize], Vec<f32>)> = inputs
                .map(|(i, seed)| (i.shape.dims(), draw(i, seed)))
                .collect();
            let [cpu, device] = both(&inputs, |g, x| g.record(sample.op, x));
            assert_same(name, &device, &cpu);
        }
        assert!(seen > 20, "{seen}");
    });
}

#[test]
fn the_first_of_equal_cells_wins_and_a_nan_before_all() {
    everywhere(|| {
        let image = [2, 6, 5, 3];
        let mut x: Vec<f32> = numbers(180, 1).iter().map(|x| (2.0 * x).round()).collect();
        x[70] = f32::NAN;
        let window = Window::padded([6, 5], [3, 3], [2, 1], [1, 1]);
        let [cpu, device] = both(&[(&image, x)], |_, x| x[0].max_pool([3, 3], window));
        assert!(cpu.iter().any(|y| y.is_nan()));
        assert_same("max_pool", &device, &cpu);
    });
}

#[test]
fn an_index_that_is_no_cell_traps() {
    for bad in [4.0, 0.5, -1.0, f32::NAN] {
        let mut device = Device::new("pool");
        let (x, index) = (device.put("x", &[0.0; 8]), device.put("index", &[3.0, bad]));
        let y = Arg::Pointer(device.space("y", 2));
        let windows = words(&[2, 4, 2, 2, 2, 2, 0, 0, 1, 2, 1]);
        let args = [x, index, y, windows, Arg::U32(2)];
        let result = device.try_launch("pool_take_v1_f32", threads(2), &args);
        let error = result.expect_err("it is none").to_string();
        assert!(error.ends_with("trap"), "{error}");
    }
}
