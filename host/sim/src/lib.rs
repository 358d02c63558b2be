//! A world in memory: a cloud, a cluster and a scheduler under a virtual clock, in which the production loop runs.
//!
//! ```text
//!  directory ─load─► objects ─┐
//!  scenario ─compile─► steps ─┴► World ─events─► Controller ─plan─► check ─► execute ─ports─► World ─► Record
//! ```
//!
//! The loop is `whittle-control`, the very same that runs in a cluster; only the ports differ. Everything is seeded:
//! the same files and the same seed give the same record, byte for byte. Absent on purpose: networks, images, the
//! kubelet's own evictions, and anything else that makes no difference to which nodes there are.

mod agenda;
pub mod classes;
pub mod compare;
mod input;
pub mod journal;
mod load;
mod meter;
pub mod plan;
pub mod policies;
pub mod problems;
mod random;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
mod scheduler;
mod script;
pub mod watcher;
mod words;
mod world;
