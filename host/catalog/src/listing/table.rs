//! A listing as aligned text.

use super::{Listing, Row};

/// The headings, and whether a column's cells are aligned to the right.
const COLUMNS: [(&str, Align); 11] = [
    ("TYPE", Align::Left),
    ("ARCH", Align::Left),
    ("VCPU", Align::Right),
    ("MEMORY", Align::Right),
    ("GPU", Align::Left),
    ("NVME", Align::Right),
    ("PODS", Align::Right),
    ("ON-DEMAND/H", Align::Right),
    ("SPOT/H", Align::Right),
    ("CHEAPEST ZONE", Align::Left),
    ("RECLAIMED/MONTH", Align::Right),
];

/// What a cell without a value shows.
const NOTHING: &str = "-";
/// What is between two columns.
const GAP: &str = "  ";

#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

/// The whole text.
pub(super) fn render(listing: &Listing) -> String {
    let rows: Vec<_> = listing.rows.iter().map(cells).collect();
    let mut lines = vec![String::new(); rows.len() + 1];
    for (column, (heading, align)) in COLUMNS.into_iter().enumerate() {
        let cells = || rows.iter().map(|row| row[column].as_str());
        if !rows.is_empty() && cells().all(|cell| cell == NOTHING) {
            continue;
        }
        let width = cells().map(|cell| cell.chars().count()).fold(heading.len(), usize::max);
        for (line, cell) in lines.iter_mut().zip([heading].into_iter().chain(cells())) {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text + &footnote(listing)
}

fn footnote(listing: &Listing) -> String {
    let count = listing.rows.len();
    let omitted = match listing.omitted {
        0 => String::new(),
        omitted => format!("; {omitted} more without the limit"),
    };
    let plural = if count == 1 { "" } else { "s" };
    let mut note =
        format!("\n{count} instance type{plural} in {}{omitted}. ~ marks estimates.\n", listing.region);
    for source in &listing.sources {
        note.push_str(source);
        note.push('\n');
    }
    note
}

fn cells(row: &Row) -> [String; 11] {
    let specification = &row.specification;
    let gpu = specification.gpu.as_ref().map(|gpu| match gpu.count {
        0 => format!("part of {}", gpu.name),
        count => format!("{count} {}", gpu.name),
    });
    let accelerator = specification.accelerator.as_ref();
    let accelerator = accelerator.map(|devices| format!("{} {}", devices.count, devices.name));
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    [
        specification.name.to_owned(),
        specification.arch.to_owned(),
        specification.vcpus.to_string(),
        memory(specification.memory_mib),
        or_nothing(gpu.or(accelerator)),
        or_nothing(specification.nvme_gb.map(|gb| format!("{gb} GB"))),
        row.capacity.pods.to_string(),
        or_nothing(row.on_demand.map(|quote| quote.to_string())),
        or_nothing(row.spot.as_ref().map(|spot| spot.quote.to_string())),
        or_nothing(row.spot.as_ref().map(|spot| spot.zone.clone())),
        or_nothing(row.spot.as_ref().map(|spot| share(spot.reclaim_rate.per_month_ppm))),
    ]
}

/// Memory in GiB with as many decimals as it needs, at most two.
fn memory(mib: u64) -> String {
    let hundredths = (mib * 100 + 512) / 1_024;
    let decimals = format!("{:02}", hundredths % 100);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{}{point}{decimals} GiB", hundredths / 100)
}

/// An estimated share of millionths in percent with one decimal.
fn share(ppm: u64) -> String {
    let tenths = (ppm + 500) / 1_000;
    format!("~{}.{} %", tenths / 10, tenths % 10)
}
