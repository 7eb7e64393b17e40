//! Matrix products: every rung, form and epilogue.

use super::{
    Arg, Device, Pointer, absolute, assert_near, assert_same, everywhere, indices, numbers, on_cpu,
};
use ganforge_ptxvm::{Class, Counts, Launch};

pub const FORMS: [(&str, bool, bool); 4] = [
    ("nn", false, false),
    ("tn", true, false),
    ("nt", false, true),
    ("tt", true, true),
];

/// Rungs with the tile that a block computes, and whether they cut k.
const RUNGS: [(&str, [usize; 2], bool); 4] = [
    ("v1_naive", [8, 32], false),
    ("v2_tiled", [32, 32], false),
    ("v3_block", [64, 64], true),
    ("v4_large", [128, 128], true),
];

/// The numbers of `enum Finish`.
pub const STORE: u32 = 0;
const ACCUMULATE: u32 = 1;
const BIAS: u32 = 2;
const BIAS_RELU: u32 = 3;
const MOMENTUM: u32 = 4;
const TIMES: u32 = 6;
const STEP: u32 = 7;
const MOMENTUM_ACCUMULATE: u32 = 5;

/// The struct Epilogue: what is done, and bias, grad, param, lr, momentum.
pub fn epilogue(finish: u32, pointers: [Option<Pointer>; 5]) -> Arg {
    let mut bytes = u64::from(finish).to_le_bytes().to_vec();
    for p in pointers {
        bytes.extend(p.map_or(0, Pointer::address).to_le_bytes());
    }
    Arg::Bytes(bytes)
}

/// Where a product is computed and how it is cut.
pub struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub tile: [usize; 2],
    /// Terms per part of k.
    pub part: usize,
}

/// Tiles of 64 x 64 have blocks of four warps, on tensor cores those of 128 x 128 as well, but for the first rung.
fn threads(kernel: &str) -> u32 {
    let is_small = kernel.contains("_v3_block_") || kernel.contains("_v3_put_");
    match kernel.ends_with("_f32") && !is_small || kernel.contains("v1_mma") {
        true => 256,
        false => 128,
    }
}

impl Product {
    pub fn parts(&self) -> usize {
        self.k.div_ceil(self.part).max(1)
    }

    fn launch(&self, threads: u32) -> Launch {
        let [rows, columns] = [self.m.div_ceil(self.tile[0]), self.n.div_ceil(self.tile[1])];
        Launch {
            grid: [(columns * rows) as u32, 1, self.parts() as u32],
            ..Launch::new(1, threads)
        }
    }

    /// The struct Split, with memory for the partial sums and counters at zero, and the counters.
    fn split(&self, device: &mut Device) -> (Arg, Pointer) {
        let [x, y, _] = self.launch(1).grid;
        let tiles = (x * y) as usize;
        let partial = device.space(
            "partial",
            self.parts() * tiles * self.tile[0] * self.tile[1],
        );
        let arrived = device.memory.alloc_u32("arrived", &vec![0; tiles]);
        let mut bytes = (self.part as u64).to_le_bytes().to_vec();
        bytes.extend(
            [partial, arrived]
                .iter()
                .flat_map(|p| p.address().to_le_bytes()),
        );
        (Arg::Bytes(bytes), arrived)
    }

    /// Runs `kernel`, whose first arguments are `first`; counters must be back at zero.
    pub fn run(
        &self,
        device: &mut Device,
        kernel: &str,
        first: &[Arg],
        sizes: &[usize],
        cut: bool,
        last: Arg,
    ) -> Option<Counts> {
        let mut args = first.to_vec();
        args.extend(sizes.iter().map(|n| Arg::U32(*n as u32)));
        let mut counters = None;
        if cut {
            let (split, arrived) = self.split(device);
            args.push(split);
            counters = Some(arrived);
        }
        args.push(last);
        let counts = device.launch(kernel, self.launch(threads(kernel)), &args);
        if let Some(arrived) = counters {
            let arrived = device.memory.read_u32(arrived);
            assert!(
                arrived.iter().all(|n| *n == 0),
                "{kernel}: counters are not reset"
            );
        }
        counts
    }
}

/// The factors as they lie in memory.
pub fn factors(m: usize, n: usize, k: usize, ta: bool, tb: bool) -> ([usize; 2], [usize; 2]) {
    (
        if ta { [k, m] } else { [m, k] },
        if tb { [n, k] } else { [k, n] },
    )
}

#[test]
fn every_rung_and_form_on_awkward_sizes() {
    everywhere(|| {
        let sizes = [
            (1, 1, 1),
            (5, 3, 2),
            (1, 131, 37),
            (33, 1, 65),
            (70, 66, 17),
            (65, 130, 50),
            (129, 33, 40),
        ];
        for (m, n, k) in sizes {
            for (form, ta, tb) in FORMS {
                let (da, db) = factors(m, n, k, ta, tb);
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let (exact, cpu) = on_cpu(&[(&da, &a), (&db, &b)], &|_, x| {
                    x[0].matmul_with(ta, tb, x[1])
                });
                let (size, _) = on_cpu(&[(&da, &absolute(&a)), (&db, &absolute(&b))], &|_, x| {
                    x[0].matmul_with(ta, tb, x[1])
                });
                for (rung, tile, cut) in RUNGS {
                    let kernel = format!("matmul_{rung}_{form}_f32");
                    for part in [k, 16] {
                        if part != k && !cut {
                            continue;
                        }
                        let product = Product {
                            m,
                            n,
                            k,
                            tile,
                            part,
                        };
                        let mut device = Device::new("matmul");
                        let (pa, pb) = (device.put("a", &a), device.put("b", &b));
                        let run = |device: &mut Device| {
                            let c = device.space("c", m * n);
                            let args = [pa.clone(), pb.clone(), Arg::Pointer(c)];
                            product.run(
                                device,
                                &kernel,
                                &args,
                                &[m, n, k],
                                cut,
                                epilogue(STORE, [None; 5]),
                            );
                            device.read(c)
                        };
                        let got = run(&mut device);
                        let what = format!("{kernel}: {m} x {n} x {k} in parts of {part}");
                        assert_near(&what, &got, &exact, k, &size);
                        if product.parts() == 1
                            && n > 1
                            && ganforge_kernels::cpu::gemm::isa()
                                != ganforge_kernels::cpu::gemm::Isa::Portable
                        {
                            assert_same(&what, &got, &cpu);
                        } else {
                            // Whichever block comes last, the bits are the same.
                            assert_same(&what, &run(&mut device), &got);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn every_epilogue_is_that_of_separate_ops() {
    everywhere(|| {
        for (rung, tile, cut) in RUNGS {
            epilogues("matmul", &format!("matmul_{rung}_nn_f32"), tile, cut);
        }
    });
}

/// Every epilogue of a kernel against its plain result.
pub fn epilogues(family: &'static str, kernel: &str, tile: [usize; 2], cut: bool) {
    let (k, lr, mu) = (23, 0.1f32, 0.7f32);
    // Columns that lie as vectors, and columns that do not.
    for (m, n) in [(70, 68), (70, 67)] {
        let data = [m * k, k * n, m * n, n, m * n, m * n];
        let data: Vec<Vec<f32>> = data
            .iter()
            .zip(1..)
            .map(|(n, seed)| numbers(*n, seed))
            .collect();
        let [a, b, c, bias, grad, param] = &data[..] else {
            unreachable!()
        };
        for part in if cut { vec![k, 16] } else { vec![k] } {
            let product = Product {
                m,
                n,
                k,
                tile,
                part,
            };
            let run = |finish: u32| {
                let mut device = Device::new(family);
                let [pa, pb, pc, pbias, pgrad, pparam, plr, pmu] =
                    [a, b, c, bias, grad, param, &vec![lr], &vec![mu]]
                        .map(|d| device.memory.alloc_f32("in", d));
                let e = epilogue(finish, [pbias, pgrad, pparam, plr, pmu].map(Some));
                let args = [pa, pb, pc].map(Arg::Pointer);
                product.run(&mut device, kernel, &args, &[m, n, k], cut, e);
                (device.read(pc), device.read(pparam))
            };
            let what =
                |finish: u32| format!("{kernel}: epilogue {finish}, {m} x {n} in parts of {part}");
            let (ab, untouched) = run(STORE);
            assert_same(&what(STORE), &untouched, param);
            let each = |f: &dyn Fn(usize) -> f32| (0..m * n).map(f).collect::<Vec<f32>>();
            assert_same(
                &what(ACCUMULATE),
                &run(ACCUMULATE).0,
                &each(&|i| c[i] + ab[i]),
            );
            assert_same(&what(BIAS), &run(BIAS).0, &each(&|i| ab[i] + bias[i % n]));
            assert_same(
                &what(BIAS_RELU),
                &run(BIAS_RELU).0,
                &each(&|i| (ab[i] + bias[i % n]).max(0.0)),
            );
            assert_same(&what(TIMES), &run(TIMES).0, &each(&|i| grad[i] * ab[i]));
            let step = |i: usize| if grad[i] > 0.0 { ab[i] } else { 0.0 };
            assert_same(&what(STEP), &run(STEP).0, &each(&step));
            for (finish, earlier) in [(MOMENTUM, false), (MOMENTUM_ACCUMULATE, true)] {
                let g = |i: usize| if earlier { grad[i] + ab[i] } else { ab[i] };
                let velocity = each(&|i| mu * c[i] - lr * g(i));
                let (v, p) = run(finish);
                assert_same(&what(finish), &v, &velocity);
                assert_same(&what(finish), &p, &each(&|i| param[i] + velocity[i]));
            }
        }
    }
}

#[test]
fn maxout_gradients_read_dy_and_index() {
    everywhere(|| {
        for (batch, units, q, inputs, part) in [
            (1, 1, 1, 1, 16),
            (10, 13, 5, 70, 1 << 20),
            (37, 24, 5, 65, 16),
            (100, 7, 2, 3, 32),
        ] {
            let (x, w) = (numbers(batch * inputs, 1), numbers(inputs * units * q, 2));
            let (dy, index) = (numbers(batch * units, 3), indices(batch * units, q, 4));
            let (narrow, dx, dw) = ([batch, units], [batch, inputs], [inputs, units * q]);
            for (kernel, other, shape, out, k) in [
                ("matmul_v3_put_tn_f32", &x, dx, dw, batch),
                ("matmul_v3_put_nt_f32", &w, dw, dx, units * q),
            ] {
                let formula = |feeds: &[(&[usize], &[f32])]| {
                    on_cpu(feeds, &|_, v| {
                        let p = v[1].put(v[2], q);
                        if kernel.contains("tn") {
                            v[0].matmul_with(true, false, p)
                        } else {
                            p.matmul_with(false, true, v[0])
                        }
                    })
                };
                let (exact, _) = formula(&[(&shape, other), (&narrow, &dy), (&narrow, &index)]);
                let (size, _) = formula(&[
                    (&shape, &absolute(other)),
                    (&narrow, &absolute(&dy)),
                    (&narrow, &index),
                ]);
                let mut device = Device::new("matmul");
                let mut args = [other, &dy, &index].map(|d| device.put("in", d)).to_vec();
                let c = device.space("c", out[0] * out[1]);
                args.push(Arg::Pointer(c));
                let product = Product {
                    m: out[0],
                    n: out[1],
                    k,
                    tile: [64, 64],
                    part: part.min(k),
                };
                product.run(
                    &mut device,
                    kernel,
                    &args,
                    &[inputs, batch, units, q],
                    true,
                    epilogue(STORE, [None; 5]),
                );
                let what =
                    format!("{kernel}: batch {batch}, {units} units of {q}, {inputs} inputs");
                assert_near(&what, &device.read(c), &exact, k, &size);
            }
        }
    });
}

#[test]
fn tiles_cut_the_traffic_from_rung_to_rung() {
    let (m, n, k) = (128, 128, 64);
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let mut sectors = Vec::new();
    for (rung, tile, cut) in RUNGS {
        let mut device = Device::new("matmul");
        let (pa, pb) = (device.put("a", &a), device.put("b", &b));
        let c = device.space("c", m * n);
        let product = Product {
            m,
            n,
            k,
            tile,
            part: k,
        };
        let kernel = format!("matmul_{rung}_nn_f32");
        let args = [pa, pb, Arg::Pointer(c)];
        let counts = product.run(
            &mut device,
            &kernel,
            &args,
            &[m, n, k],
            cut,
            epilogue(STORE, [None; 5]),
        );
        let counts = counts.expect("the interpreter counts");
        assert_eq!(counts.flops, (2 * m * n * k) as u64, "{rung}");
        sectors.push(counts.global_loads.sectors);
    }
    // Each factor is read n / 32 or m / 8 times, then in tiles of 32, 64 and 128.
    let words = |times: usize| (times * m * k / 8) as u64;
    assert_eq!(sectors[1..], [words(4 + 4), words(2 + 2), words(1 + 1)]);
    assert!(sectors[0] > 2 * sectors[1], "{sectors:?}");
}

/// What a product of this form costs, whole or in two parts.
fn cost(kernel: &str, [m, n, k]: [usize; 3], tile: usize, part: usize) -> Counts {
    let mut device = Device::new("matmul");
    let (pa, pb) = (
        device.put("a", &numbers(m * k, 1)),
        device.put("b", &numbers(k * n, 2)),
    );
    let c = device.space("c", m * n);
    let tile = [tile; 2];
    let product = Product {
        m,
        n,
        k,
        tile,
        part,
    };
    let (args, store) = ([pa, pb, Arg::Pointer(c)], epilogue(STORE, [None; 5]));
    let counts = product.run(&mut device, kernel, &args, &[m, n, k], true, store);
    counts.expect("the interpreter counts")
}

#[test]
fn thin_products_are_multiply_adds_for_the_most_part_and_shared_memory_keeps_up() {
    for (form, _, _) in FORMS {
        let kernel = format!("matmul_v3_block_{form}_f32");
        let [short, long] = [160, 320].map(|k| cost(&kernel, [64, 64, k], 64, k));
        let more = |of: &dyn Fn(&Counts) -> u64| of(&long) - of(&short);
        // Ten steps of 16: 512 multiply-adds in each of 4 warps.
        let fma = more(&|c| c.class(Class::Fma).warps);
        assert_eq!(fma, 10 * 4 * 512, "{form}");
        let all = more(&|c| c.total().warps);
        assert!(
            2 * all <= 3 * fma,
            "{form}: {all} instructions, {fma} multiply-adds"
        );
        // A lane reads two quads of A and one of B per term, a warp 64 and 128 bytes: a pass each.
        let reads = more(&|c| c.shared_loads.requests);
        assert_eq!(
            [reads, more(&|c| c.shared_loads.merged)],
            [10 * 4 * 48; 2],
            "{form}"
        );
        for (sizes, what) in [([64, 64, 160], "16 bytes"), ([63, 61, 159], "words")] {
            let counts = cost(&kernel, sizes, 64, sizes[2]);
            let conflicts = counts.shared_loads.conflicts() + counts.shared_stores.conflicts();
            assert_eq!(conflicts, 0, "{form}, {what}");
        }
        // 2 x 1024 words per step in loads of 16 bytes: whole sectors, each once.
        let loads = long.global_loads;
        assert_eq!(
            [loads.requests, loads.sectors],
            [20 * 16, 20 * 256],
            "{form}"
        );
    }
    for (form, _, _) in FORMS {
        let kernel = format!("matmul_v4_large_{form}_f32");
        let [short, long] = [80, 160].map(|k| cost(&kernel, [128, 128, k], 128, k));
        let fma = long.class(Class::Fma).warps - short.class(Class::Fma).warps;
        let all = long.total().warps - short.total().warps;
        assert!(
            2 * all <= 3 * fma,
            "{form}: {all} instructions, {fma} multiply-adds"
        );
    }
}

#[test]
fn the_last_block_of_a_cut_product_adds_part_by_part_behind_one_fence() {
    let kernel = "matmul_v3_block_nn_f32";
    let [whole, cut] = [64, 16].map(|part| cost(kernel, [64, 64, 64], 64, part));
    // Two fences by one thread of each of four blocks.
    let fences = |c: &Counts| c.class(Class::Barrier).threads - 128 * c.barriers;
    assert_eq!((fences(&whole), fences(&cut)), (0, 4 * 2));
    // Each block stores its sums, the last one loads those of all four: 16 bytes a thread and time, no other traffic.
    let stored = cut.global_stores.bytes - whole.global_stores.bytes;
    assert_eq!(stored, 4 * (4 * 64 * 64) + 4);
    let loaded = cut.global_loads.bytes - whole.global_loads.bytes;
    assert_eq!(loaded, 4 * (4 * 64 * 64));
}
