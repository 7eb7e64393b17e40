//! The network as a list: names, shapes and the graph follow from it.

use ganforge_tensor::ops::Divisor;

/// Rows and columns of the images that it takes.
pub(super) const SIDE: usize = 299;
/// What the last block has of each image.
pub(super) const FEATURES: usize = 2048;
/// What the last layer tells apart.
pub(super) const CLASSES: usize = 1008;

/// Branches that begin at the same maps, and end side by side along the channels.
pub(super) struct Block {
    pub(super) name: &'static str,
    pub(super) branches: Vec<Vec<Step>>,
}

/// A step of a branch.
pub(super) enum Step {
    Unit(Unit),
    /// The mean over 3x3 cells around each, then a unit of single cells.
    Averaged(Divisor, Unit),
    /// The maximum over 3x3 cells around each, of those inside the image.
    Maximum,
    /// The maximum over 3x3 cells, of every second row and column.
    Halved,
    /// Units that begin at the same maps, and end side by side.
    Fork([Unit; 2]),
}

/// A convolution without bias, batch norm and a ReLU.
#[derive(Clone)]
pub(super) struct Unit {
    /// What its tensors' names begin with.
    pub(super) name: String,
    /// Rows and columns of its filters.
    pub(super) kernel: [usize; 2],
    /// From one window to the next, in both directions.
    pub(super) stride: usize,
    /// Whether zeros around the image keep its size.
    pub(super) is_padded: bool,
    /// Channels of its result.
    pub(super) channels: usize,
}

impl Unit {
    /// The shape of its filters in a state_dict: [out, in, kh, kw].
    pub(super) fn filters(&self, c_in: usize) -> [usize; 4] {
        [self.channels, c_in, self.kernel[0], self.kernel[1]]
    }
}

/// A padded unit of stride 1; its name is yet without its block's.
fn unit(name: &str, kernel: [usize; 2], channels: usize) -> Unit {
    Unit {
        name: name.to_string(),
        kernel,
        stride: 1,
        is_padded: true,
        channels,
    }
}

fn c(name: &str, kernel: [usize; 2], channels: usize) -> Step {
    Step::Unit(unit(name, kernel, channels))
}

/// Without padding: stride and channels.
fn valid(name: &str, kernel: [usize; 2], stride: usize, channels: usize) -> Step {
    Step::Unit(Unit {
        stride,
        is_padded: false,
        ..unit(name, kernel, channels)
    })
}

fn averaged(channels: usize) -> Step {
    Step::Averaged(Divisor::Inside, unit("branch_pool", ONE, channels))
}

fn fork(names: [&str; 2], channels: usize) -> Step {
    let [wide, high] = names;
    Step::Fork([unit(wide, [1, 3], channels), unit(high, [3, 1], channels)])
}

const ONE: [usize; 2] = [1, 1];
const THREE: [usize; 2] = [3, 3];
const WIDE: [usize; 2] = [1, 7];
const HIGH: [usize; 2] = [7, 1];

/// The network of December 2015, from the image to the maps of 8 x 8.
pub(super) fn net() -> Vec<Block> {
    let mut net = vec![
        stem("Conv2d_1a_3x3", valid("", THREE, 2, 32)),
        stem("Conv2d_2a_3x3", valid("", THREE, 1, 32)),
        stem("Conv2d_2b_3x3", c("", THREE, 64)),
        stem("MaxPool_1", Step::Halved),
        stem("Conv2d_3b_1x1", c("", ONE, 80)),
        stem("Conv2d_4a_3x3", valid("", THREE, 1, 192)),
        stem("MaxPool_2", Step::Halved),
        mixed_5("Mixed_5b", 32),
        mixed_5("Mixed_5c", 64),
        mixed_5("Mixed_5d", 64),
        Block {
            name: "Mixed_6a",
            branches: vec![
                vec![valid("branch3x3", THREE, 2, 384)],
                vec![
                    c("branch3x3dbl_1", ONE, 64),
                    c("branch3x3dbl_2", THREE, 96),
                    valid("branch3x3dbl_3", THREE, 2, 96),
                ],
                vec![Step::Halved],
            ],
        },
        mixed_6("Mixed_6b", 128),
        mixed_6("Mixed_6c", 160),
        mixed_6("Mixed_6d", 160),
        mixed_6("Mixed_6e", 192),
        Block {
            name: "Mixed_7a",
            branches: vec![
                vec![
                    c("branch3x3_1", ONE, 192),
                    valid("branch3x3_2", THREE, 2, 320),
                ],
                vec![
                    c("branch7x7x3_1", ONE, 192),
                    c("branch7x7x3_2", WIDE, 192),
                    c("branch7x7x3_3", HIGH, 192),
                    valid("branch7x7x3_4", THREE, 2, 192),
                ],
                vec![Step::Halved],
            ],
        },
        mixed_7("Mixed_7b", vec![averaged(192)]),
        mixed_7("Mixed_7c", vec![Step::Maximum, c("branch_pool", ONE, 192)]),
    ];
    net.iter_mut().for_each(Block::name_units);
    net
}

fn stem(name: &'static str, step: Step) -> Block {
    let branches = vec![vec![step]];
    Block { name, branches }
}

fn mixed_5(name: &'static str, pooled: usize) -> Block {
    let branches = vec![
        vec![c("branch1x1", ONE, 64)],
        vec![c("branch5x5_1", ONE, 48), c("branch5x5_2", [5, 5], 64)],
        vec![
            c("branch3x3dbl_1", ONE, 64),
            c("branch3x3dbl_2", THREE, 96),
            c("branch3x3dbl_3", THREE, 96),
        ],
        vec![averaged(pooled)],
    ];
    Block { name, branches }
}

fn mixed_6(name: &'static str, inner: usize) -> Block {
    let branches = vec![
        vec![c("branch1x1", ONE, 192)],
        vec![
            c("branch7x7_1", ONE, inner),
            c("branch7x7_2", WIDE, inner),
            c("branch7x7_3", HIGH, 192),
        ],
        vec![
            c("branch7x7dbl_1", ONE, inner),
            c("branch7x7dbl_2", HIGH, inner),
            c("branch7x7dbl_3", WIDE, inner),
            c("branch7x7dbl_4", HIGH, inner),
            c("branch7x7dbl_5", WIDE, 192),
        ],
        vec![averaged(192)],
    ];
    Block { name, branches }
}

fn mixed_7(name: &'static str, pooled: Vec<Step>) -> Block {
    let branches = vec![
        vec![c("branch1x1", ONE, 320)],
        vec![
            c("branch3x3_1", ONE, 384),
            fork(["branch3x3_2a", "branch3x3_2b"], 384),
        ],
        vec![
            c("branch3x3dbl_1", ONE, 448),
            c("branch3x3dbl_2", THREE, 384),
            fork(["branch3x3dbl_3a", "branch3x3dbl_3b"], 384),
        ],
        pooled,
    ];
    Block { name, branches }
}

impl Block {
    /// Puts its name before those of its units.
    fn name_units(&mut self) {
        let block = self.name;
        for step in self.branches.iter_mut().flatten() {
            let units: &mut [Unit] = match step {
                Step::Unit(unit) | Step::Averaged(_, unit) => std::slice::from_mut(unit),
                Step::Fork(units) => units,
                Step::Maximum | Step::Halved => &mut [],
            };
            for unit in units {
                unit.name = match unit.name.as_str() {
                    "" => block.to_string(),
                    name => format!("{block}.{name}"),
                };
            }
        }
    }
}

impl Step {
    fn units(&self) -> &[Unit] {
        match self {
            Step::Unit(unit) | Step::Averaged(_, unit) => std::slice::from_ref(unit),
            Step::Fork(units) => units,
            Step::Maximum | Step::Halved => &[],
        }
    }
}

/// All units in order, each with the channels of the maps that it reads.
pub(super) fn units(net: &[Block]) -> Vec<(&Unit, usize)> {
    let (mut units, mut c_in) = (Vec::new(), 3);
    for block in net {
        let mut c_out = 0;
        for branch in &block.branches {
            let mut channels = c_in;
            for step in branch {
                let read = step.units();
                units.extend(read.iter().map(|unit| (unit, channels)));
                if !read.is_empty() {
                    channels = read.iter().map(|unit| unit.channels).sum();
                }
            }
            c_out += channels;
        }
        c_in = c_out;
    }
    units
}
