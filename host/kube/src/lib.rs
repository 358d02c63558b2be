//! The Kubernetes API: what is watched becomes events, what a plan wants becomes writes, and a clock of the wall drives
//! the loop between the two.
//!
//! ```text
//!  watch ─► intake ─► Event ─► driver { Controller } ─► Plan ─► cluster (writes), Cloud
//!                                   ▲                               │
//!                                   └───────────── Outcome ◄────────┘
//! ```
//!
//! Nothing here decides: what is due, and what is wrong with an object, is said by the core, `whittle-control` and
//! `whittle-api`. Errors of the API are told apart in [`error`] and nowhere else.

pub mod book;
mod claims;
pub mod classes;
pub mod cluster;
pub mod connect;
pub mod driver;
pub mod error;
pub mod intake;
pub mod lease;
pub mod metrics;
pub mod outside;
mod patch;
mod pools;
mod registrations;
pub mod said;
pub mod serve;
pub mod simulated;
pub mod snapshot;
pub mod tell;
pub mod view;
pub mod watch;
