//! Policies in WebAssembly: loaded through a gate, run within limits, asked for advice, swapped while running.
//!
//! ```text
//!  directory ──read──► gate ──► compile ──► configure ──► try ──► Generation ──swap──► Advisor ◄──ask── control
//! ```
//!
//! What may be asked and answered, and what several answers come to, is `whittle_core::advice`; how a version of the
//! interface spells it is in a module for each version. Nothing here decides about nodes or pods.

pub mod advisor;
pub mod attachments;
pub mod author;
mod breaker;
pub mod cache;
pub mod canned;
pub mod digest;
pub mod directory;
pub mod engine;
pub mod fault;
pub mod gate;
pub mod generation;
pub mod guest;
pub mod last_good;
pub mod limits;
pub mod module;
pub mod reload;
pub mod status;
pub mod v0_1;
pub mod watch;
