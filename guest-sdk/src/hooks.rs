//! A trait for each hook, and what a policy sees while it is asked.
//!
//! Each hook may be answered one item at a time, which is what most policies want, or a whole batch at once, by
//! overriding the method that ends in `_all`.

pub mod capacity;
pub mod consolidation;
pub mod interruption;
pub mod offerings;
pub mod policy;
pub mod taints;
