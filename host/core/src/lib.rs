//! The pure core of Whittle: what is known about a cluster goes in, a plan comes out.
//!
//! Nothing here awaits, reads a clock, a file, the environment or a random source, or logs. Time, seeds and ids
//! come in as arguments, so the same input always gives the same bytes.

pub mod advice;
pub mod check;
pub mod cron;
pub mod disrupt;
pub mod drift;
pub mod event;
pub mod interruption;
pub mod lifecycle;
pub mod model;
mod names;
mod pdb;
pub mod plan;
pub mod provision;
pub mod settings;
pub mod state;
pub mod why;
