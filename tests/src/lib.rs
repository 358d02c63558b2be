//! What tests of more than one crate share: the oracles of the fuzz targets, which ordinary tests ask as well.

pub mod fuzz;
