//! The tools of whoever writes policies: a crate to start from, the gate's own words, cases, measurements.
//!
//! All of them run what the host runs, so what passes at home passes in the cluster. Each gives text; printing it and
//! parsing a command line are somebody else's.

pub mod bench;
pub mod cases;
pub mod check;
pub mod create;
pub mod inspect;
