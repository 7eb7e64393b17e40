//! The kernels of a plan's calls.

use ganforge_kernels::cuda::elementwise;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::NodeId;
use crate::ops::{Cx, Op};
use crate::plan::fuse_maxout::Maxout;
use crate::plan::fuse_maxout_grad::PutSum;
use crate::plan::{Operand, Product, Program, Stage};
use crate::view::View;

/// What a call runs. Each kind is in the file of the pass that makes it, with all that executors ask of it: see [`Run`].
#[derive(Clone, PartialEq, Debug)]
pub enum Kernel {
    /// One op by itself.
    Op(Op),
    /// Element-wise ops, run chunk by chunk through registers.
    Elementwise(Program),
    /// A contraction with what follows it.
    Product(Product),
    /// argmax and take in one pass, perhaps with dropout of the maxima.
    Maxout(Maxout),
    /// The column sums of put(dy, index), which is read as dy and index.
    PutSum(PutSum),
    /// A plain copy.
    Copy,
}

/// What executors ask of a kernel.
pub trait Run {
    /// What kind it is, for accounts of where time goes: calls of one kind run the same code.
    fn kind(&self) -> String;

    /// The floats of memory beside its operands that [`Run::cpu`] needs on the current rayon pool.
    fn workspace(&self, _ins: &[Operand], _outs: &[Operand]) -> usize {
        0
    }

    /// Runs it in f32 on the current rayon pool.
    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx);

    /// Adds its launches on a device.
    ///
    /// # Errors
    /// An op without kernels there.
    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()>;
}

impl Kernel {
    /// What executors ask of it.
    pub fn get(&self) -> &dyn Run {
        match self {
            Kernel::Op(op) => op,
            Kernel::Elementwise(program) => program,
            Kernel::Product(product) => product,
            Kernel::Maxout(maxout) => maxout,
            Kernel::PutSum(sum) => sum,
            Kernel::Copy => &Copy,
        }
    }

    /// Whether a device runs it as two launches with a value between them, as large as its first output, which is the last of
    /// its outputs there.
    pub(crate) fn is_cut_on_devices(&self) -> bool {
        matches!(self, Kernel::Product(p) if matches!(p.epilogue.stages(), [Stage::Adam(_)]))
    }

    /// Whether it changes its output instead of writing it: the earlier value is its last input.
    pub(crate) fn accumulates(&self) -> bool {
        let last = match self {
            Kernel::Product(product) => product.epilogue.stages().last(),
            _ => None,
        };
        last == Some(&Stage::Accumulate)
    }
}

/// One kernel call.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// What runs.
    pub kernel: Kernel,
    /// What it reads.
    pub ins: Vec<Operand>,
    /// What it writes.
    pub outs: Vec<Operand>,
    /// The node whose value each output is.
    pub values: Vec<NodeId>,
    /// The nodes it computes.
    pub nodes: Vec<NodeId>,
    /// The buffers that nothing reads after it.
    pub frees: Vec<u32>,
}

impl Run for Op {
    fn kind(&self) -> String {
        self.name().to_string()
    }

    fn workspace(&self, ins: &[Operand], _: &[Operand]) -> usize {
        let shapes: Vec<_> = ins.iter().map(|i| i.shape).collect();
        (**self).workspace(&shapes)
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx) {
        (**self).cpu(ins, outs[0], cx);
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        (**self).cuda(ins, outs[0], cx)
    }
}

struct Copy;

impl Run for Copy {
    fn kind(&self) -> String {
        "copy".into()
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], _: &mut Cx) {
        outs[0].copy_from_slice(ins[0].data);
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        let program = elementwise::copy(ins[0].data, outs[0].data);
        cx.launch(elementwise::run(&program, cx.control));
        Ok(())
    }
}
