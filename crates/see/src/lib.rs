//! Inspection of generative adversarial nets: everything that training itself does not need.
//!
//! - a model's layers, shapes and parameters ([`model`](mod@model));
//! - a step as a graph with its gradients ([`diagram`]), explained node by node ([`explain`]), traced value by value ([`trace`]);
//! - a run's report ([`report`]), a study's (`study`, with the feature `plots`) and the paper's table ([`table1`]) and figures (`figures`, with the feature `plots`; [`theory`]);
//! - classic results on GANs as small experiments (`classics`, with the feature `plots`);
//! - timing of a step ([`bench`](mod@bench)), its layers ([`layers`](mod@layers)) and its kernels ([`profile`], [`kernel_bench`]),
//!   and of the network of FID ([`inception_bench`]), against earlier results ([`baseline`]).
#![forbid(unsafe_code)]

pub mod baseline;
pub mod bench;
#[cfg(feature = "plots")]
pub mod classics;
pub mod diagram;
pub mod explain;
#[cfg(feature = "plots")]
pub mod figures;
pub mod html;
pub mod inception_bench;
pub mod kernel_bench;
pub mod layers;
pub mod model;
pub mod origin;
pub mod profile;
pub mod report;
#[cfg(feature = "plots")]
pub mod study;
pub mod table1;
mod tables;
pub mod theory;
pub mod trace;
