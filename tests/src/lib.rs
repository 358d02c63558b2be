//! What tests of more than one crate share: the oracles of the fuzz targets, which ordinary tests ask as well, and
//! policies as WebAssembly.

pub mod fuzz;
pub mod modules;
