//! The record as text for a terminal: the timeline and the summary. Estimated money is marked with `~`.

mod stays;
pub mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whittle_core::model::price::Price;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::why::Unplaced;
use whittle_core::why::change::Remedy;

use super::text::table::{Align, table};
use super::{PoolSummary, Record, UnplacedSummary, Waits};
use crate::journal::{Entry, EntryKind};
use crate::scenario::clock::Clock;
use crate::words::{counted, rounded};

/// How much of the timeline is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What happens within a minute of the same kind and NodePool is one line.
    Compact,
    /// Every entry is a line.
    Verbose,
}

/// What has to be known before reading on: the region when nobody chose it. Empty otherwise.
pub(crate) fn head(region: &str, is_region_default: bool) -> String {
    if is_region_default { format!("no region given: {region}\n") } else { String::new() }
}

/// The timeline.
#[must_use]
pub fn timeline(record: &Record, detail: Detail) -> String {
    let clock = clock(record);
    let lines = match detail {
        Detail::Compact => compact(&record.timeline, clock),
        Detail::Verbose => record.timeline.iter().map(verbose).collect(),
    };
    let mut text = head(&record.settings.region, record.settings.is_region_default);
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

/// The summary: the whole, each NodePool with its nodes, pods without a place, nodes that stay, violations.
#[must_use]
pub fn summary(record: &Record, detail: Detail) -> String {
    let mut text = totals(record);
    text.push('\n');
    text.push_str(&pools(&record.node_pools));
    for pool in record.node_pools.iter().filter(|pool| !pool.kinds.is_empty()) {
        text.push('\n');
        text.push_str(&kinds(pool));
    }
    text.push_str(&unplaced(&record.unplaced));
    text.push_str(&stays::text(&record.blocked, detail));
    if record.totals.estimated {
        text.push_str("\n~ contains estimated prices\n");
    }
    text.push_str(&violations(record));
    text
}

fn totals(record: &Record) -> String {
    let mut text = String::new();
    let (settings, totals) = (&record.settings, &record.totals);
    let names = [settings.name.as_str(), settings.directory.as_str(), "The cluster"];
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let span = rounded(settings.end.since(settings.start));
    let _ = writeln!(text, "{name}: {span} in {}, seed {}", settings.region, settings.seed);
    let _ = writeln!(
        text,
        "{} in total, at most {}/h; {}, at most {}",
        dollars(totals.cost_micros, totals.estimated),
        price(totals.price_peak, totals.estimated),
        counted(totals.launches, "launch"),
        counted(totals.nodes_peak, "node")
    );
    let placed = counted(totals.pods_placed, "pod");
    let _ = writeln!(text, "{placed} got a node, after {}", waited(&totals.waits));
    let _ = writeln!(
        text,
        "{}, {} lost with their instance, {} at the end",
        counted(totals.evictions, "eviction"),
        counted(totals.interrupted_pods, "pod"),
        waiting(totals.waiting_at_end)
    );
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
        let wait = if *waiting_at_end == 1 { "waits" } else { "wait" };
        let pods = counted(*pods, "pod");
        let _ = writeln!(text, "  {workload}: {pods}, {waiting_at_end} of them {wait} at the end");
        if let Some(why) = &example.itself {
            let _ = writeln!(text, "    {why}");
        }
        for why in &example.node_pools {
            let _ = writeln!(text, "    {}: {}", why.node_pool, why.why);
        }
        text.push_str(&remedy(example));
    }
    text
}

/// A line with what would give a pod a place; none where that was not looked for.
pub(crate) fn remedy(unplaced: &Unplaced) -> String {
    match &unplaced.remedy {
        Remedy::Change(_) | Remedy::NoSingleChange => format!("    {}\n", unplaced.remedy),
        Remedy::NotTried => String::new(),
    }
}

/// How many violations are listed; a plan that is made again and again breaks the same rule each time.
const VIOLATIONS_SHOWN_MAX: usize = 10;

/// The rules that plans broke, and in the last line what that means.
fn violations(record: &Record) -> String {
    let mut text = String::new();
    let Some(first) = record.violations.first() else { return text };
    text.push_str("\nActions that broke a rule and were left out of their plans\n");
    for one in record.violations.iter().take(VIOLATIONS_SHOWN_MAX) {
        let _ = writeln!(text, "  {} {}", clock(record).time_of_day(one.at), one.violation);
    }
    if let more @ 1.. = record.violations.len().saturating_sub(VIOLATIONS_SHOWN_MAX) {
        let _ = writeln!(text, "  … and {more} more");
    }
    let mut times: Vec<Timestamp> = record.violations.iter().map(|one| one.at).collect();
    times.dedup();
    let were = if times.len() == 1 { "was" } else { "were" };
    let plans = counted(times.len() as u64, "plan");
    let _ = writeln!(text, "\n{plans} {were} not carried out as made: {}", first.violation);
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
        | EntryKind::Failed
        | EntryKind::Policy => true,
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
    let count = group.len() as u64;
    let what = match first.kind {
        EntryKind::Ready | EntryKind::Uncordon | EntryKind::NodeDeleted => counted(count, "node"),
        EntryKind::Ended | EntryKind::Reclaimed | EntryKind::Notice => counted(count, "instance"),
        EntryKind::Interrupted => counted(count, "running pod"),
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
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in group {
        *tally.entry(word(&entry.text)).or_default() += 1;
    }
    let words: Vec<String> =
        tally.iter().map(|(why, count)| format!("{} ({why})", counted(*count, noun))).collect();
    words.join(", ")
}

/// `2 pods wait`, `1 pod waits`.
fn waiting(pods: u64) -> String {
    format!("{} {}", counted(pods, "pod"), if pods == 1 { "waits" } else { "wait" })
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
