//! The pure core of Whittle: what is known about a cluster goes in, a plan comes out.
//!
//! Nothing here awaits, reads a clock, a file, the environment or a random source, or logs. Time, seeds and ids
//! come in as arguments, so the same input always gives the same bytes.

pub mod event;
pub mod model;
pub mod plan;
pub mod state;
pub mod why;
