//! Tests of ganforge-see from outside, in one program.

mod dropout_epochs;
mod theory;
