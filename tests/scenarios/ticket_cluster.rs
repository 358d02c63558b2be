//! The NodePools of the example: each has a scenario with copies of the example's manifests, which must stay copies.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// The directories: one for each NodePool of the example.
const DIRECTORIES: [&str; 3] = ["loadtest", "mixed-workload", "on-demand-critical"];
/// The files that are copied. The workloads are each directory's own.
const FILES: [&str; 4] = ["cluster.yaml", "nodeclass.yaml", "nodepools.yaml", "system.yaml"];

/// Fails with every copy that differs.
pub(crate) fn copies_equal(example: &Path, scenarios: &Path) -> Result<()> {
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let mut differing = Vec::new();
    for directory in DIRECTORIES {
        for file in FILES {
            if read(&scenarios.join(directory).join(file))? != read(&example.join(file))? {
                differing.push(format!("tests/scenarios/{directory}/{file}"));
            }
        }
    }
    ensure!(differing.is_empty(), "not as in examples/ticket-cluster: {}", differing.join(", "));
    Ok(())
}
