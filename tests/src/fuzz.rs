//! What must hold for any bytes. The targets in `tests/fuzz` and the ordinary tests in `tests/hostile` ask the same
//! functions: each gives what is wrong, or panics where the code under it does.

mod cluster;
pub mod manifests;
pub mod planner;
pub mod scenario;

use whittle_api::manifest::File;

/// A cluster of three pods and one NodePool, so that whatever is put beside it comes as far as a plan.
const SMALL_CLUSTER: &str = include_str!("fuzz/small-cluster.yaml");

fn small_cluster() -> File {
    File { name: "small-cluster.yaml".to_owned(), text: SMALL_CLUSTER.to_owned() }
}
