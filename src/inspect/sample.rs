//! Arguments with made-up values for one launch of each kernel.

use super::stem;
use crate::kernels::cpu::rng::{RandomStream, uniform};
use crate::ptxvm::{Arg, Launch, Memory, Pointer};

/// A launch being set up.
pub(super) struct Setup {
    pub(super) memory: Memory,
    pub(super) args: Vec<Arg>,
    pub(super) launch: Launch,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            memory: Memory::new(),
            args: Vec::new(),
            launch: Launch::new(1, 256),
        }
    }
}

/// Threads of a block that computes a product.
fn product_threads(kernel: &str) -> u32 {
    let is_small = kernel.contains("_v3_block_") || kernel.contains("_v3_put_");
    match kernel.ends_with("_f32") && !is_small || kernel.contains("v1_mma") {
        true => 256,
        false => 128,
    }
}

/// Numbers in [-1, 1).
fn numbers(n: usize, key: u64) -> Vec<f32> {
    let stream = RandomStream {
        key,
        stream: 1,
        counter: 0,
    };
    let mut x = vec![0.0; n];
    uniform(stream, 0, -1.0, 1.0, &mut x);
    x
}

impl Setup {
    fn data(&mut self, n: usize) -> Pointer {
        let key = self.args.len() as u64;
        self.memory.alloc_f32("input", &numbers(n, key))
    }

    fn input(&mut self, n: usize) -> &mut Setup {
        let pointer = self.data(n);
        self.args.push(Arg::Pointer(pointer));
        self
    }

    fn input_f64(&mut self, data: &[f64]) -> &mut Setup {
        let pointer = self.memory.alloc_f64("input", data);
        self.args.push(Arg::Pointer(pointer));
        self
    }

    /// Whole numbers below `below`.
    fn index(&mut self, n: usize, below: usize) -> &mut Setup {
        let index: Vec<f32> = (0..n).map(|i| (i * 7 % below) as f32).collect();
        let pointer = self.memory.alloc_f32("index", &index);
        self.args.push(Arg::Pointer(pointer));
        self
    }

    fn output(&mut self, bytes: usize) -> &mut Setup {
        let pointer = self.memory.alloc("output", bytes);
        self.args.push(Arg::Pointer(pointer));
        self
    }

    fn sizes(&mut self, sizes: &[usize]) -> &mut Setup {
        self.args.extend(sizes.iter().map(|n| Arg::U32(*n as u32)));
        self
    }

    /// A struct of 32-bit words.
    fn words(&mut self, words: &[usize]) -> &mut Setup {
        let bytes = words.iter().flat_map(|w| (*w as u32).to_le_bytes());
        self.args.push(Arg::Bytes(bytes.collect()));
        self
    }

    fn longs(&mut self, words: &[u64]) -> &mut Setup {
        let bytes = words.iter().flat_map(|w| w.to_le_bytes());
        self.args.push(Arg::Bytes(bytes.collect()));
        self
    }

    /// One thread for each of `n` things.
    fn threads(&mut self, n: usize) -> &mut Setup {
        self.launch.grid = [
            n.div_ceil(self.launch.block[0] as usize).max(1) as u32,
            1,
            1,
        ];
        self
    }

    fn grid(&mut self, grid: [usize; 3]) -> &mut Setup {
        self.launch.grid = grid.map(|n| n as u32);
        self
    }

    /// The arguments and the size of a launch; what it computes.
    pub(super) fn fill(&mut self, kernel: &str, s: &[usize]) -> Result<String, String> {
        Ok(match (stem(kernel), s) {
            ("matmul", &[inputs, batch, units]) if kernel.contains("_put_") => {
                self.maxout_gradient(kernel, inputs, batch, units)
            }
            ("matmul", &[m, n, k]) => self.product(kernel, m, n, k),
            ("elementwise", &[n]) => self.program(kernel, n),
            ("uniform" | "normal" | "bernoulli" | "dropout", &[n]) => self.random(kernel, n),
            ("maxout" | "maxout_dropout", &[b, u]) => {
                let (count, q) = (b * u, 5);
                self.input(count * q).output(4 * count).output(4 * count);
                if kernel.starts_with("maxout_dropout") {
                    self.output(4 * count);
                    let control = self.memory.alloc_u64("control", &[1, 1]);
                    self.args.extend([Arg::Pointer(control), Arg::U32(7)]);
                    self.args
                        .extend([Arg::U32(1 << 31), Arg::F32(2.0), Arg::U32(0)]);
                }
                self.sizes(&[count, q]).threads(count);
                format!("y, index [{b}, {u}] of x [{b}, {}]", u * q)
            }
            ("matvec", &[m, k]) => {
                self.input(m * k).input(k).output(4 * m).sizes(&[m, k]);
                let (rows, a) = match kernel.contains("_tn_") {
                    true => (32, format!("A [{k}, {m}]ᵀ")),
                    false => (8, format!("A [{m}, {k}]")),
                };
                self.longs(&[0; 6]).grid([m.div_ceil(rows), 1, 1]); // store
                format!("y [{m}] = {a} · x [{k}]")
            }
            ("conv2d" | "conv2d_dx" | "conv2d_dw", &[n, side, c_in, c_out]) => {
                self.convolution(kernel, [n, side, c_in, c_out])
            }
            ("conv2d_sum", &[rows, columns, parts]) => {
                self.input(parts * rows * columns)
                    .output(4 * rows * columns);
                self.sizes(&[rows, columns, parts]).longs(&[0; 6]); // store
                self.threads(rows * columns.div_ceil(4));
                format!("C [{rows}, {columns}], the sum of {parts} parts")
            }
            ("put_sum", &[b, u]) => {
                let (count, q) = (b * u, 5);
                self.input(count).index(count, q).output(4 * u * q);
                self.sizes(&[b, u, q]).grid([(u * q).div_ceil(32), 1, 1]);
                format!("sums over {b} rows of {u} units of {q} pieces")
            }
            ("sum_to", &[rows, columns]) => self.sum(kernel, rows, columns),
            ("transpose", &[rows, columns]) => {
                self.input(rows * columns)
                    .output(4 * rows * columns)
                    .sizes(&[rows, columns]);
                self.grid([columns.div_ceil(32), rows.div_ceil(32), 1]);
                format!("y [{columns}, {rows}] = x [{rows}, {columns}] transposed")
            }
            ("strided", &[rows, columns]) => {
                let n = rows * columns;
                self.input(n).output(4 * n);
                self.words(&[1, 1, columns, rows, 0, 0, 1, columns, 0])
                    .sizes(&[n])
                    .threads(n);
                format!("y [{columns}, {rows}] = x [{rows}, {columns}] transposed, by strides")
            }
            ("gather_rows", &[rows, width, count]) => {
                let data = match kernel.contains("_u8_") {
                    true => self.memory.alloc_u8("data", &vec![128; rows * width]),
                    false => self.data(rows * width),
                };
                let index: Vec<u32> = (0..count).map(|i| (i * 7 % rows) as u32).collect();
                let index = self.memory.alloc_u32("index", &index);
                self.args.extend([data, index].map(Arg::Pointer));
                let n = count * width;
                self.output(4 * n).sizes(&[rows, width, count]).threads(n);
                if kernel.contains("_u8_") {
                    self.args.extend([2.0, -1.0].map(Arg::F32)); // scale and shift
                }
                format!("{count} of {rows} rows of {width}")
            }
            ("iteration_begin", &[scalars, rows]) => {
                let clock = self.memory.alloc_u64("clock", &[0, 0]);
                let order: Vec<u32> = (0..rows as u32).collect();
                let order = self.memory.alloc_u32("order", &order);
                let table = self.data(scalars);
                self.args.extend([clock, table, order].map(Arg::Pointer));
                self.output(4 * scalars).output(4 * rows).output(16);
                self.sizes(&[scalars, rows, rows, 0])
                    .threads(scalars.max(rows));
                format!("{scalars} scalars and {rows} examples of an iteration")
            }
            ("iteration_end", &[results]) => {
                let values: Vec<u64> = (0..results).map(|_| self.data(1).address()).collect();
                let addresses = self.memory.alloc_u64("results", &values);
                let clock = self.memory.alloc_u64("clock", &[0, 0]);
                self.args.push(Arg::Pointer(addresses));
                self.sizes(&[results]).output(4 * results);
                self.args.push(Arg::Pointer(clock));
                self.sizes(&[0, 1]);
                self.launch = Launch::new(1, 32);
                format!("{results} results of an iteration")
            }
            ("fma_peak", &[blocks, steps]) => {
                self.output(4 * 256 * blocks).sizes(&[steps]);
                self.grid([blocks, 1, 1]);
                format!("{steps} steps of 8 multiply-adds in each thread")
            }
            ("parzen_mean", &[n, d]) => {
                self.input(n * d).sizes(&[n, d]).output(8 * d).threads(d);
                format!("means of the columns of x [{n}, {d}]")
            }
            ("parzen_centre", &[n, d]) => {
                self.input(n * d)
                    .input_f64(&vec![0.1; d])
                    .sizes(&[n, d])
                    .output(4 * n * d)
                    .output(8 * n);
                self.grid([n.div_ceil(8), 1, 1]);
                format!("x [{n}, {d}] without its mean, and its squared norms")
            }
            ("parzen" | "parzen_merge", &[m, n, d]) => self.parzen(kernel, m, n, d),
            _ => return Err(format!("{kernel}: no example launch")),
        })
    }

    fn product(&mut self, kernel: &str, m: usize, n: usize, k: usize) -> String {
        self.input(m * k)
            .input(k * n)
            .output(4 * m * n)
            .sizes(&[m, n, k]);
        let (rows, columns, split) = match kernel {
            _ if kernel.contains("v1_naive") => (8, 32, false),
            _ if kernel.contains("v2_tiled") => (32, 32, false),
            _ if kernel.contains("_block_") => (64, 64, true),
            _ if kernel.contains("_large_") => (128, 128, true),
            _ => (128, 128, false),
        };
        self.launch.block[0] = product_threads(kernel);
        if split {
            self.longs(&[k.next_multiple_of(16) as u64, 0, 0]); // one part: no memory for partial sums
        }
        self.longs(&[0; 6]); // store
        self.grid([n.div_ceil(columns) * m.div_ceil(rows), 1, 1]);
        format!("C [{m}, {n}] = A [{m}, {k}] · B [{k}, {n}]")
    }

    /// Filters of 4 x 4 cells, applied at every second one.
    fn convolution(&mut self, kernel: &str, [n, side, c_in, c_out]: [usize; 4]) -> String {
        let by_words = kernel.contains("_v1_") || kernel.ends_with("_v2_block_f32");
        let channels = |c: usize| if by_words { c } else { c.next_multiple_of(4) };
        let (c_in, c_out, out) = (channels(c_in), channels(c_out), side.div_ceil(2));
        let x = [n, side, side, c_in];
        let (w, y) = ([4, 4, c_in, c_out], [n, out, out, c_out]);
        let half = n * out * out;
        let (shapes, text, [phases, rows, columns], k) = match stem(kernel) {
            "conv2d_dx" => (
                [y, w, x],
                "dx = conv2d_dx(dy, w)",
                [2.min(side).pow(2), half, c_in],
                4 * c_out,
            ),
            "conv2d_dw" => (
                [x, y, w],
                "dw = conv2d_dw(x, dy)",
                [1, 16 * c_in, c_out],
                half,
            ),
            _ => ([x, w, y], "y = conv2d(x, w)", [1, half, c_out], 16 * c_in),
        };
        let [a, b, c] = shapes.map(|s| s.iter().product::<usize>());
        self.input(a).input(b).output(4 * c);
        let pad = (2 * out + 2 - side) / 2;
        let (pixels, taps) = (half, 16 * c_in);
        self.words(&[
            n, side, side, c_in, 4, 4, c_out, out, out, 2, 2, pad, pad, pixels, taps,
        ]);
        let (tile, threads) = match () {
            () if kernel.contains("v1_naive") => ([8, 32], 256),
            () if kernel.contains("v4_large") => ([128, 128], 256),
            () if kernel.contains("v3_large") => ([128, 128], 128),
            () if kernel.contains("v5_few") => ([128, 16], 256),
            () => ([64, 64], 128),
        };
        if !kernel.contains("v1_naive") {
            self.longs(&[k.next_multiple_of(16) as u64, 0, 0]); // one part: no memory for partial sums
        }
        self.longs(&[0; 6]); // store
        self.launch.block[0] = threads;
        self.grid([
            phases * rows.div_ceil(tile[0]) * columns.div_ceil(tile[1]),
            1,
            1,
        ]);
        format!(
            "{text}: {:?} of {:?} and {:?}",
            shapes[2], shapes[0], shapes[1]
        )
    }

    fn maxout_gradient(
        &mut self,
        kernel: &str,
        inputs: usize,
        batch: usize,
        units: usize,
    ) -> String {
        let q = 5;
        let by_weights = kernel.contains("_tn_");
        let other = if by_weights {
            batch * inputs
        } else {
            inputs * units * q
        };
        let (m, n, k) = if by_weights {
            (inputs, units * q, batch)
        } else {
            (batch, inputs, units * q)
        };
        self.input(other)
            .input(batch * units)
            .index(batch * units, q)
            .output(4 * m * n);
        self.sizes(&[inputs, batch, units, q]);
        self.longs(&[k.next_multiple_of(16) as u64, 0, 0])
            .longs(&[0; 6]);
        self.launch.block[0] = product_threads(kernel);
        self.grid([n.div_ceil(64) * m.div_ceil(64), 1, 1]);
        let (out, formula) = if by_weights {
            ("dW", "Xᵀ · P")
        } else {
            ("dX", "P · Wᵀ")
        };
        format!("{out} [{m}, {n}] = {formula} over {k}")
    }

    /// y = softplus(x + bias), rows of 64; of the kernel for many arrays one array, with a scalar bias.
    fn program(&mut self, kernel: &str, n: usize) -> String {
        let is_many = kernel.contains("_many_");
        let period = if is_many { 1 } else { 64 };
        let (x, bias) = (self.data(n), self.data(period));
        let y = self.memory.alloc("output", 4 * n);
        let pair = |low: u64, high: u64| low | high << 32;
        let mut longs = vec![0, pair(n as u64, 2), pair(2, 1)];
        longs.extend([x.address(), pair(0, 0), bias.address()]);
        longs.push(if is_many { pair(1, 1) } else { pair(2, 64) });
        longs.extend([0; 16]); // eight inputs that are not there
        longs.extend([y.address(), pair(3, 0), 0, 0, 0, 0, 0, 0]);
        let mut insts = [0u32; 14 * 7];
        insts[..7].copy_from_slice(&[4, 0, 1, 0, 0, 0, 0]); // add, registers 0 and 1
        insts[7..14].copy_from_slice(&[21, 2, 2, 0, 0, 0, 0]); // softplus, register 2
        longs.extend(
            insts
                .chunks(2)
                .map(|w| pair(u64::from(w[0]), u64::from(w[1]))),
        );
        self.longs(&longs);
        if is_many {
            let mut segment = vec![pair(n as u64, 0), x.address(), bias.address()];
            segment.extend([0; 8]);
            segment.extend([y.address(), 0, 0, 0]);
            let table = self.memory.alloc_u64("table", &segment);
            self.args.extend([Arg::Pointer(table), Arg::U32(1)]);
        }
        if kernel.contains("_sum_") {
            let columns = if kernel.contains("_columns_") {
                n.min(64)
            } else {
                1
            };
            let terms = n / columns;
            let sum = self.memory.alloc("output", 4 * columns);
            self.longs(&[pair(1, 3), 0, 0, sum.address(), 0, 0, 0]); // one, of register 3
            if kernel.contains("_columns_") {
                self.sizes(&[columns]);
            }
            self.sizes(&[terms, terms]);
            self.launch = Launch {
                shared: 4 * 256 * 4,
                ..Launch::new(columns.div_ceil(32) as u32, 256)
            };
            return format!(
                "y [{n}] = softplus(x + bias), bias [64] repeated, and its sum to [{columns}]"
            );
        }
        let (each, register) = if kernel.contains("v1") {
            (1, 4)
        } else {
            (4, 16)
        };
        self.launch = Launch {
            shared: 4 * 128 * register,
            ..Launch::new(1, 128)
        };
        self.threads(n.div_ceil(each));
        format!("y [{n}] = softplus(x + bias), bias [{period}] repeated")
    }

    fn random(&mut self, kernel: &str, n: usize) -> String {
        let control = self.memory.alloc_u64("control", &[1, 1]);
        self.args.extend([Arg::Pointer(control), Arg::U32(7)]);
        match stem(kernel) {
            "uniform" => self
                .args
                .extend([-1.0, 2.0, 1f32.next_down()].map(Arg::F32)),
            "normal" => self.args.extend([0.0, 1.0].map(Arg::F32)),
            _ => self
                .args
                .extend([Arg::U32(1 << 31), Arg::F32(2.0), Arg::I32(0)]),
        }
        if kernel.starts_with("dropout") {
            self.input(n);
        }
        self.output(4 * n).sizes(&[n]).threads(n.div_ceil(4));
        format!("{n} numbers")
    }

    fn sum(&mut self, kernel: &str, rows: usize, columns: usize) -> String {
        let by_rows = kernel.contains("_rows_");
        let (outputs, terms) = if by_rows {
            (rows, columns)
        } else {
            (columns, rows)
        };
        self.input(rows * columns).output(4 * outputs);
        if by_rows {
            self.words(&[1, 1, rows, columns, 1])
                .sizes(&[terms])
                .grid([rows, 1, 1]);
        } else {
            let blocks = if kernel.contains("naive") {
                columns.div_ceil(256)
            } else {
                columns.div_ceil(32)
            };
            self.words(&[1, 1, 1, rows, columns])
                .sizes(&[terms])
                .grid([blocks, 1, 1]);
        }
        format!("{outputs} sums of {terms}, of x [{rows}, {columns}]")
    }

    fn parzen(&mut self, kernel: &str, m: usize, n: usize, d: usize) -> String {
        let scales = [12.5];
        if kernel.starts_with("parzen_merge") {
            self.input_f64(&vec![1.0; 2 * m])
                .input_f64(&vec![3.0; 2 * m])
                .sizes(&[m, 1, 2]);
            self.input_f64(&scales)
                .output(8 * m)
                .output(8 * m)
                .threads(m);
            return format!("two partial results of {m} points merged");
        }
        self.input(m * d).input_f64(&vec![d as f64 / 3.0; m]);
        self.input(n * d)
            .input_f64(&vec![d as f64 / 3.0; n])
            .sizes(&[m, n, d]);
        self.input_f64(&scales)
            .sizes(&[1, n.next_multiple_of(64)])
            .output(8 * m)
            .output(8 * m);
        self.launch.block[0] = 128;
        self.grid([m.div_ceil(64), 1, 1]);
        format!("{m} points against {n} samples of {d}, one width")
    }
}
