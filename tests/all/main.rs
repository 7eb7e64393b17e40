//! Tests of the program and of what it writes, in one program: a link takes longer than most of them.

mod book;
mod browser;
mod changed_data;
mod classifier;
mod cli;
mod cli_forms;
mod cli_names;
mod common;
mod datasets;
mod device;
mod docs;
mod driver;
mod during;
mod examples;
mod explain;
mod features;
mod figures;
mod file_systems;
mod gpu_script;
mod gradcheck;
mod graph;
mod images;
mod inputs;
mod interchange;
mod isa;
mod kernels;
mod memory;
mod pipes;
mod profile;
mod pytorch;
mod ranks;
mod replay;
mod report;
mod resume;
mod seeds;
mod signals;
mod study;
#[cfg(unix)]
mod study_engines;
mod study_page;
#[cfg(unix)]
mod study_slurm;
mod survive;
mod tensorboard;
mod threads;
mod trace;
