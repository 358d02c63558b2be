//! Input that nobody would write, or somebody would to do harm: whatever it is, it gives an error that says where, what
//! was found and what was expected, or a plan that breaks no rule and accounts for every pod. It never gives a panic.
//!
//! How long it takes is measured by hand, on a release build; a test that never ends has failed too.

mod amounts;
mod bytes;
mod crowds;
mod directory;
mod long;
mod scenarios;
mod tangles;
mod text;
