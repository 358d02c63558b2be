//! `whittle snapshot`: the state of a cluster, as manifests.

use std::fmt::Write as _;

use anyhow::Result;
use whittle_kube::cluster::clock;
use whittle_kube::snapshot::{self, Written};

use crate::args::SnapshotArgs;
use crate::{look, output};

pub(crate) fn run(args: &SnapshotArgs) -> Result<()> {
    let written = look::runtime()?.block_on(async {
        let client = look::client(args.kubeconfig.as_deref()).await?;
        let region = look::region(&client, args.region.as_deref()).await?;
        anyhow::Ok(snapshot::write(&client, &args.dir, &region, clock()).await?)
    })?;
    let Written { objects, unknown } = written;
    let mut text = String::new();
    for (file, count) in &objects {
        let _ = writeln!(text, "{count:>8}  {file}");
    }
    if !unknown.is_empty() {
        let _ = writeln!(text, "The cluster does not know {}.", unknown.join(", "));
    }
    if objects.iter().any(|(file, _)| file == snapshot::NODE_CLASSES) {
        text.push_str(
            "\nUser data of EC2NodeClasses and all annotations are written as they are: whoever gets this directory reads them.\n",
        );
    }
    let directory = args.dir.display();
    let _ = writeln!(text, "\nGo on with: whittle simulate {directory}");
    output::print(&text)
}
