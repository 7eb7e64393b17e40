//! CPU kernels on rayon.

mod approx;
mod bandwidth;
pub mod conv;
pub mod elementwise;
mod floats;
pub mod gather;
pub mod gemm;
mod isa;
pub mod layout;
pub mod maxout;
pub mod maxout_grad;
pub mod moments;
mod multiversion;
pub mod par;
pub mod pool;
mod processor;
pub mod program;
pub mod reduce;
pub mod rng;
mod shape;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod simd;
mod workspace;

pub use bandwidth::measured_bandwidth_gbs;
pub use floats::Floats;
pub use isa::{ISA_VARIABLE, Isa, IsaError, chosen_isa, cpu_features, isa, widest_isa};
pub use processor::processor;
pub use workspace::Workspace;
