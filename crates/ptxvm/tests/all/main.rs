//! Tests of the interpreter and, in it, of every kernel, in one program.

mod common;
mod faults;
mod isa;
mod kernels;
mod ladders;
