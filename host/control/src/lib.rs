//! The loop around the core: what wakes it, when it decides, and how a plan is carried out.
//!
//! ```text
//!  events ─► Controller { ClusterState, batch window, moves under validation } ─decide─► Plan ─execute─► Outcome
//! ```
//!
//! Nothing here knows Kubernetes, AWS or a clock: they come in through `ports` and as arguments, so a simulator
//! runs the very same code.

mod advised;
pub mod batch;
pub mod controller;
pub mod execute;
pub mod explain;
pub mod in_flight;
pub mod overview;
pub mod ports;
pub mod preview;
