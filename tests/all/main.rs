//! Tests of the program and of what it writes, in one program: a link takes longer than most of them.

mod book;
mod browser;
mod changed_data;
mod cli;
mod common;
mod datasets;
mod device;
mod docs;
mod driver;
mod examples;
mod explain;
mod figures;
mod gradcheck;
mod graph;
mod interchange;
mod isa;
mod kernels;
mod profile;
mod replay;
mod report;
mod resume;
mod survive;
mod tensorboard;
mod threads;
mod trace;
