//! `whittle top`.

use anyhow::Result;

use crate::args::TopArgs;

pub(crate) fn run(_: &TopArgs) -> Result<()> {
    anyhow::bail!("not yet")
}
