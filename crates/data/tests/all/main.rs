//! Tests of ganforge-data from outside, in one program.

mod data_cifar;
mod data_svhn;
mod data_tfd;
mod files_atomic;
mod files_data;
mod files_npz;
mod files_torch;
mod left_out;
mod pictures;
