//! Tests of ganforge-tensor from outside, in one program; `alloc.rs` has an allocator of its own and stays alone.

mod captured_loop;
mod common;
mod conv;
mod cuda;
mod determinism;
mod errors;
mod facts;
mod fusions;
mod gradcheck_all;
mod images;
mod ladders;
mod losses;
mod own_op;
mod parity;
mod plan_property;
mod shards;
