//! AWS: everything that is asked of EC2, IAM, EKS, SSM, Pricing and SQS, and nothing that Kubernetes is asked.
//!
//! What an error asks for is said in [`error`] and nowhere else. Nothing here decides: which offerings a launch may
//! choose among, and what follows from a notice, is said by the core.

mod addresses;
mod batch;
pub mod calls;
pub mod classes;
pub mod cluster;
pub mod connect;
pub mod eks;
pub mod error;
pub mod health;
pub mod instances;
pub mod known;
pub mod launch;
pub mod market;
pub mod message;
pub mod queue;
mod tagging;
pub mod user_data;
