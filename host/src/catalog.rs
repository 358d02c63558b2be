//! `whittle catalog`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use whittle_catalog::catalog::Catalog;
use whittle_catalog::listing::{self, Filter};
use whittle_catalog::price_book::PriceBook;
use whittle_catalog::settings::{AmiFamily, NodeClassSettings};

use crate::args::{CatalogArgs, OutputArg};
use crate::output;

const MIB_PER_GIB: u64 = 1_024;

pub(crate) fn run(args: CatalogArgs) -> Result<()> {
    let catalog = with_prices(&args.prices)?;
    let output = args.output;
    // The one family that rules no instance type out.
    let settings = NodeClassSettings { ami_family: AmiFamily::Custom, ..NodeClassSettings::default() };
    let listing = listing::list(&catalog, &settings, &filter(args))?;
    match output {
        OutputArg::Text => output::print(&listing.to_table()),
        OutputArg::Json => output::print(&listing.to_json()),
    }
}

/// The embedded catalogue with the prices of these files; a later file wins.
pub(crate) fn with_prices(files: &[PathBuf]) -> Result<Catalog> {
    let mut catalog = Catalog::embedded();
    for path in files {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read the price file {file}"))?;
        let book = PriceBook::parse(&file, &text, &catalog)?;
        catalog = catalog.with_prices(book);
    }
    Ok(catalog)
}

fn filter(args: CatalogArgs) -> Filter {
    Filter {
        region: args.region,
        zones: args.zone,
        arch: args.arch,
        categories: args.category,
        families: args.family,
        generation_min: args.min_generation,
        vcpus_min: args.min_cpu,
        vcpus_max: args.max_cpu,
        memory_mib_min: args.min_memory.map(|gib| gib.saturating_mul(MIB_PER_GIB)),
        memory_mib_max: args.max_memory.map(|gib| gib.saturating_mul(MIB_PER_GIB)),
        gpus_min: args.min_gpu,
        capacity_type: args.capacity_type.map(Into::into),
        name: args.name,
        sort: args.sort.into(),
        limit: args.limit,
    }
}
