//! Tests of ganforge-gan from outside, in one program.

mod checkpoint;
mod data_pictures;
mod data_tfd;
mod device;
mod files_atomic;
mod files_data;
mod files_npz;
mod generator_files;
mod optim;
mod pytorch;
mod scores;
mod training;
mod two_stages;
