//! Each rule twice: a legal scene gives no violation, and the same scene with one thing changed gives exactly one.

mod build;
mod disruption;
mod drain;
mod launch;
mod legal;
mod placement;
mod reservations;
mod size;
mod topology;
