//! What the planner does, one behaviour a test, through the public interface only.
//!
//! `cluster` holds the words in which the tests are written; each other module is about one decision.

mod about;
mod cluster;
mod disruption;
mod drain;
mod generated;
mod interruption;
mod knowledge;
mod leftover;
mod lifecycle;
mod properties;
mod provisioning;
mod reference;
mod repair;
mod standing;
