//! `whittle crds`.

use anyhow::Result;

use crate::output;

pub(crate) fn run() -> Result<()> {
    output::print(&whittle_api::crds::crds_yaml())
}
