//! Tests of ganforge-gan from outside, in one program.

mod best;
mod blocks;
mod checkpoint;
mod classes;
mod classifier;
mod convolutions;
mod data;
mod device;
mod experiment;
mod extractors;
mod fixtures;
mod generator_files;
mod lazy_penalties;
mod losses;
mod margin;
mod norms;
mod optim;
mod phases;
mod pytorch;
mod pytorch_nets;
mod reference;
mod same_bits;
mod scores;
mod training;
mod transforms;
mod two_stages;
