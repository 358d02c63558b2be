//! Disruption: which nodes need not be, and what keeps the others.

mod blocked;
mod budgets;
mod drifted;
mod empty;
mod underutilized;
