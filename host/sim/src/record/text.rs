//! The record as text for a terminal: the timeline and the summary. Estimated money is marked with `~`.

pub(crate) mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whittle_core::model::price::Price;
use whittle_core::model::time::{Duration, Timestamp};

use super::text::table::{Align, table};
use super::{PoolSummary, Record, UnplacedSummary, Waits};
use crate::journal::{Entry, EntryKind};
use crate::scenario::clock::Clock;

/// How much of the timeline is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What happens within a minute of the same kind and NodePool is one line.
    Compact,
    /// Every entry is a line.
    Verbose,
}

/// The timeline.
#[must_use]
pub fn timeline(record: &Record, detail: Detail) -> String {
    let clock = clock(record);
    let lines = match detail {
        Detail::Compact => compact(&record.timeline, clock),
        Detail::Verbose => record.timeline.iter().map(verbose).collect(),
    };
    let mut text = String::new();
    let mut day = None;
    for line in lines {
        if day != Some(clock.day(line.at)) {
            day = Some(clock.day(line.at));
            let _ = writeln!(text, "{} ({})", clock.date(line.at), clock.name());
        }
        let Line { at, kind, node_pool, text: what } = line;
        let pool = node_pool.unwrap_or_default();
        let _ = writeln!(text, "{}  {:<11}  {pool:<20}  {what}", clock.time_of_day(at), kind.word());
    }
    text
}

/// The summary: the whole, each NodePool with its nodes, pods without a place, violations.
#[must_use]
pub fn summary(record: &Record) -> String {
    let mut text = String::new();
    let totals = &record.totals;
    let span = record.settings.end.since(record.settings.start);
    let name = if record.settings.name.is_empty() { "The cluster" } else { &record.settings.name };
    let _ = writeln!(text, "{name}: {span} in {}, seed {}", record.settings.region, record.settings.seed);
    let _ = writeln!(
        text,
        "{} in total, at most {}/h; {} launches, at most {} nodes",
        dollars(totals.cost_micros, totals.estimated),
        price(totals.price_peak, totals.estimated),
        totals.launches,
        totals.nodes_peak
    );
    let _ = writeln!(text, "{} pods got a node, after {}", totals.pods_placed, waited(&totals.waits));
    let _ = writeln!(
        text,
        "{} evictions, {} pods lost with their instance, {} pods wait at the end",
        totals.evictions, totals.interrupted_pods, totals.waiting_at_end
    );
    text.push('\n');
    text.push_str(&pools(&record.node_pools));
    for pool in record.node_pools.iter().filter(|pool| !pool.kinds.is_empty()) {
        text.push('\n');
        text.push_str(&kinds(pool));
    }
    text.push_str(&unplaced(&record.unplaced));
    text.push_str(&blocked(record));
    text.push_str(&violations(record));
    if totals.estimated {
        text.push_str("\n~ contains estimated prices\n");
    }
    text
}

fn pools(pools: &[PoolSummary]) -> String {
    let head =
        ["NODEPOOL", "NODES", "PEAK", "COST/H", "COST", "CPU", "MEMORY", "WAIT P50", "P95", "EVICTIONS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for pool in pools {
        let evictions: Vec<String> =
            pool.evictions.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        rows.push(vec![
            pool.name.clone(),
            pool.nodes_last.to_string(),
            pool.nodes_peak.to_string(),
            price(pool.price_last, pool.estimated),
            dollars(pool.cost_micros, pool.estimated),
            percent(pool.cpu_used_ppm),
            percent(pool.memory_used_ppm),
            seconds(pool.waits.p50_millis),
            seconds(pool.waits.p95_millis),
            if evictions.is_empty() { "none".to_owned() } else { evictions.join(", ") },
        ]);
    }
    let right = Align::Right;
    table(&rows, &[Align::Left, right, right, right, right, right, right, right, right, Align::Left])
}

fn kinds(pool: &PoolSummary) -> String {
    let head = [pool.name.as_str(), "ZONE", "BOUGHT", "LAUNCHED", "NODES", "HOURS", "COST"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for kind in &pool.kinds {
        rows.push(vec![
            kind.instance_type.clone(),
            kind.zone.clone(),
            kind.capacity_type.to_string(),
            kind.launched.to_string(),
            kind.last.to_string(),
            hours(kind.run_millis),
            dollars(kind.cost_micros, pool.estimated),
        ]);
    }
    let (left, right) = (Align::Left, Align::Right);
    table(&rows, &[left, left, left, right, right, right, right])
}

fn unplaced(unplaced: &[UnplacedSummary]) -> String {
    let mut text = String::new();
    for (position, one) in unplaced.iter().enumerate() {
        if position == 0 {
            text.push_str("\nPods without a place\n");
        }
        let UnplacedSummary { workload, pods, waiting_at_end, example, .. } = one;
        let _ = writeln!(text, "  {workload}: {pods} pods, {waiting_at_end} of them wait at the end");
        if let Some(why) = &example.itself {
            let _ = writeln!(text, "    {why}");
        }
        for why in &example.node_pools {
            let _ = writeln!(text, "    {}: {}", why.node_pool, why.why);
        }
    }
    text
}

fn blocked(record: &Record) -> String {
    let mut text = String::new();
    for (position, one) in record.blocked.iter().enumerate() {
        if position == 0 {
            text.push_str("\nNodes that stay at the end\n");
        }
        let _ = writeln!(text, "  {}: {}", one.claim, one.why);
    }
    text
}

fn violations(record: &Record) -> String {
    let mut text = String::new();
    for (position, one) in record.violations.iter().enumerate() {
        if position == 0 {
            text.push_str("\nPlans that broke a rule and were not carried out\n");
        }
        let _ = writeln!(text, "  {} {}", clock(record).time_of_day(one.at), one.violation);
    }
    text
}

/// The clock by which a record shows times.
pub(crate) fn clock(record: &Record) -> Clock {
    Clock::of_offset(record.settings.utc_offset_seconds)
}

/// A line of the timeline as it is printed.
struct Line {
    at: Timestamp,
    kind: EntryKind,
    node_pool: Option<String>,
    text: String,
}

fn verbose(entry: &Entry) -> Line {
    let says_it_all = entry.object.is_empty() || entry.text.contains(&entry.object);
    let text = if says_it_all { entry.text.clone() } else { format!("{}: {}", entry.object, entry.text) };
    Line { at: entry.at, kind: entry.kind, node_pool: entry.node_pool.clone(), text }
}

/// What happens within a minute, of one kind and NodePool, in one line each, in the order of the first.
fn compact(entries: &[Entry], clock: Clock) -> Vec<Line> {
    let mut lines = Vec::new();
    let minute = |entry: &Entry| clock.time_of_day(entry.at)[..5].to_owned();
    for chunk in entries.chunk_by(|a, b| minute(a) == minute(b)) {
        let mut groups: Vec<Vec<&Entry>> = Vec::new();
        for entry in chunk.iter().filter(|entry| entry.kind != EntryKind::Cordon) {
            let alike = |group: &&mut Vec<&Entry>| {
                group
                    .first()
                    .is_some_and(|first| first.kind == entry.kind && first.node_pool == entry.node_pool)
            };
            match groups.iter_mut().find(alike) {
                Some(group) if !stands_alone(entry.kind) => group.push(entry),
                _ => groups.push(vec![entry]),
            }
        }
        lines.extend(groups.iter().filter_map(|group| merged(group)));
    }
    lines
}

/// Whether entries of a kind say something that cannot be counted.
fn stands_alone(kind: EntryKind) -> bool {
    match kind {
        EntryKind::Scenario
        | EntryKind::JobDone
        | EntryKind::Unplaced
        | EntryKind::Violation
        | EntryKind::Failed => true,
        EntryKind::Launch
        | EntryKind::InsufficientCapacity
        | EntryKind::Ready
        | EntryKind::Notice
        | EntryKind::Reclaimed
        | EntryKind::Interrupted
        | EntryKind::Cordon
        | EntryKind::Uncordon
        | EntryKind::Delete
        | EntryKind::Evict
        | EntryKind::Ended
        | EntryKind::NodeDeleted => false,
    }
}

fn merged(group: &[&Entry]) -> Option<Line> {
    let first = group.first()?;
    let what = match first.kind {
        EntryKind::Ready | EntryKind::Uncordon | EntryKind::NodeDeleted => counted(group.len(), "node"),
        EntryKind::Ended | EntryKind::Reclaimed | EntryKind::Notice => counted(group.len(), "instance"),
        EntryKind::Interrupted => counted(group.len(), "running pod"),
        EntryKind::Delete => tallied(group, "node", |text| text),
        EntryKind::Evict => tallied(group, "pod", |text| text),
        EntryKind::Launch => launches(group),
        _ => return Some(Line { ..verbose(first) }).map(|line| repeated(line, group.len())),
    };
    Some(Line { at: first.at, kind: first.kind, node_pool: first.node_pool.clone(), text: what })
}

fn repeated(line: Line, times: usize) -> Line {
    if times < 2 { line } else { Line { text: format!("{} (and {} more)", line.text, times - 1), ..line } }
}

fn launches(group: &[&Entry]) -> String {
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in group {
        let what = entry.text.split_once(", for ").map_or(entry.text.as_str(), |(what, _)| what);
        *tally.entry(what).or_default() += 1;
    }
    let words: Vec<String> = tally.iter().map(|(what, count)| format!("{count} {what}")).collect();
    words.join("; ")
}

fn tallied(group: &[&Entry], noun: &str, word: impl Fn(&str) -> &str) -> String {
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in group {
        *tally.entry(word(&entry.text)).or_default() += 1;
    }
    let words: Vec<String> =
        tally.iter().map(|(why, count)| format!("{} ({why})", counted(*count, noun))).collect();
    words.join(", ")
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A sum of money with two decimals: `~$63.39`.
fn dollars(micros: u64, estimated: bool) -> String {
    let cents = (micros + 5_000) / 10_000;
    format!("{}${}.{:02}", if estimated { "~" } else { "" }, cents / 100, cents % 100)
}

fn price(price: Price, estimated: bool) -> String {
    format!("{}{price}", if estimated { "~" } else { "" })
}

fn percent(ppm: u64) -> String {
    format!("{} %", (ppm + 5_000) / 10_000)
}

fn seconds(millis: u64) -> String {
    Duration::from_secs((millis + 500) / 1_000).to_string()
}

fn hours(millis: u64) -> String {
    let tenths = (millis + 180_000) / 360_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn waited(waits: &Waits) -> String {
    let Waits { p50_millis, p95_millis, max_millis, .. } = waits;
    format!(
        "{} (p50), {} (p95), {} at most",
        seconds(*p50_millis),
        seconds(*p95_millis),
        seconds(*max_millis)
    )
}

#[cfg(test)]
mod tests;
