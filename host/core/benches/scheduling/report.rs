//! Lines of figures, and the words above them.

use std::time::Duration as Elapsed;

use whittle_core::model::price::Price;

use crate::decision::Figures;
use crate::events::Costs;
use crate::measure::percentile;

/// A line of decisions: the words above it, or the figures of one.
///
/// *left* are pods without a place. *K. nodes*, *K. $/h* and *K. ms* belong to the plan in Karpenter's order, and *of K.*
/// is our price as a share of its price. *bound* is the price below which no plan is, *above* how far ours is above
/// it. *first* is the decision of a process that has just started, *again* that of one that has decided before;
/// *pods/s* has *apply* and *first* in it.
type Row = [String; 18];

const DECISION: [&str; 18] = [
    "decision", "pods", "groups", "left", "nodes", "K. nodes", "$/h", "K. $/h", "of K.", "bound", "above",
    "apply ms", "first ms", "again ms", "K. ms", "pods/s", "peak MB", "runs",
];

const WIDTHS: [usize; 18] = [22, 6, 6, 5, 6, 8, 9, 9, 6, 9, 8, 8, 9, 9, 8, 8, 7, 4];

/// The words above decisions.
pub(crate) fn decisions_header() -> String {
    line(&DECISION.map(str::to_owned))
}

/// The figures of a decision.
pub(crate) fn decision(name: &str, found: &Figures) -> String {
    let (price, in_karpenter_order) = (dollars(found.price), dollars(found.price_in_karpenter_order));
    let above = |bound| format!("{:+.1} %", (price / dollars(bound) - 1.0) * 100.0);
    line(&[
        name.to_owned(),
        found.pods.to_string(),
        found.groups.to_string(),
        found.unplaced.to_string(),
        found.nodes.to_string(),
        found.nodes_in_karpenter_order.to_string(),
        format!("{price:.2}"),
        format!("{in_karpenter_order:.2}"),
        or_dash((in_karpenter_order > 0.0).then(|| format!("{:.3}", price / in_karpenter_order))),
        or_dash(found.bound.map(|bound| format!("{:.2}", dollars(bound)))),
        or_dash(found.bound.map(above)),
        format!("{:.2}", millis(found.apply)),
        format!("{:.2}", millis(found.provision)),
        format!("{:.2}", millis(found.again)),
        format!("{:.2}", millis(found.in_karpenter_order)),
        format!("{:.0}", found.pods as f64 / (found.apply + found.provision).as_secs_f64()),
        or_dash(found.peak_memory.map(megabytes)),
        found.runs.to_string(),
    ])
}

/// The name to the left, everything else to the right.
fn line(row: &Row) -> String {
    let mut line = format!("{:<width$}", row[0], width = WIDTHS[0]);
    for (cell, width) in row.iter().zip(WIDTHS).skip(1) {
        line.push_str(&format!(" {cell:>width$}"));
    }
    line
}

/// The words above events.
pub(crate) fn events_header() -> String {
    format!(
        "{:<22} {:>8} {:>12} {:>12} {:>12} {:>7}",
        "event", "times", "median us", "99 % us", "total ms", "peak MB"
    )
}

/// An event: the time in the middle, the time that one in a hundred exceeds, all of them together.
pub(crate) fn event(name: &str, found: &Costs) -> String {
    let total: Elapsed = found.times.iter().sum();
    format!(
        "{name:<22} {:>8} {:>12.2} {:>12.2} {:>12.1} {:>7}",
        found.times.len(),
        millis(percentile(found.times.clone(), 50)) * 1e3,
        millis(percentile(found.times.clone(), 99)) * 1e3,
        millis(total),
        or_dash(found.peak_memory.map(megabytes)),
    )
}

fn dollars(price: Price) -> f64 {
    price.micros() as f64 / 1e6
}

fn millis(time: Elapsed) -> f64 {
    time.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / 1e6)
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
