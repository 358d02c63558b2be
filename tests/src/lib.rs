//! What tests of more than one crate share: the oracles of the fuzz targets, which ordinary tests ask as well, policies
//! as WebAssembly, and the command.

pub mod command;
pub mod fuzz;
pub mod modules;
