//! EC2NodeClasses: what they select in the account, and whether instances still are what they select.

pub mod choice;
pub mod drift;
