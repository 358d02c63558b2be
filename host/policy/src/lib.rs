//! x
mod v0_1;
