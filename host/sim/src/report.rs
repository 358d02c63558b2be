//! The record as one HTML page that needs nothing else: no network, no font, no script from elsewhere.
//!
//! ```text
//!  Record ─trim─► Record, what was left out ─JSON─┐
//!         └─words─► reasons, rules and kinds ─JSON─┴► page.html ◄─ page.css, *.js
//! ```
//!
//! The page carries the record's JSON as it is and formats its integers; what only Rust can say (a reason in words)
//! travels beside it. Names and texts of a cluster are hostile input: in the JSON nothing is left that could end a
//! script element, and the scripts write text, never markup. Absent on purpose: any drawing in Rust.

mod trim;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;
use whittle_core::why::Unplaced;

use crate::journal::EntryKind;
use crate::record::Record;
use crate::report::trim::{LeftOut, PodsLeftOut, Trimmed};

const PAGE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/page.css");

/// The scripts in the order in which they need one another.
const SCRIPTS: [&str; 9] = [
    include_str!("report/format.js"),
    include_str!("report/dom.js"),
    include_str!("report/world.js"),
    include_str!("report/charts.js"),
    include_str!("report/cursor.js"),
    include_str!("report/packing.js"),
    include_str!("report/sections.js"),
    include_str!("report/timeline.js"),
    include_str!("report/start.js"),
];

/// The record as a page of HTML, complete in itself.
///
/// A record beyond what a browser shows with ease is thinned, and the page says what it leaves out; the numbers of
/// [`Record::totals`] and [`Record::node_pools`] are always all there.
///
/// # Panics
///
/// Never for a record that a simulation made: its JSON has no key that is not a string.
#[must_use]
pub fn html(record: &Record) -> String {
    let Trimmed { record, left_out, pods_left_out } = trim::trim(record);
    let words = words(&record, left_out, pods_left_out);
    let title = title(&record);
    let (record, words) = (embeddable(&record), embeddable(&words));
    let script = format!("(() => {{\n'use strict';\n{}}})();", SCRIPTS.concat());
    fill(PAGE, |name| match name {
        "title" => escaped(&title),
        "style" => STYLE.to_owned(),
        "record" => record.clone(),
        "words" => words.clone(),
        "script" => script.clone(),
        _ => String::new(),
    })
}

/// What the page needs beside the record because only Rust knows how to say it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Words<'a> {
    /// The seed in digits: a JavaScript number does not hold all of them.
    seed: String,
    kinds: Vec<KindWord>,
    /// The reasons of each entry of [`Record::unplaced`], in its order.
    unplaced: Vec<Vec<WhyWords<'a>>>,
    /// What would give the pods of each entry a place, in its order; empty where that was not looked for.
    remedies: Vec<String>,
    /// What keeps each node of [`Record::blocked`], in its order.
    blocked: Vec<String>,
    /// Each entry of [`Record::violations`], in its order.
    violations: Vec<String>,
    left_out: Vec<LeftOut>,
    pods_left_out: PodsLeftOut,
}

#[derive(Serialize)]
struct KindWord {
    kind: EntryKind,
    word: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WhyWords<'a> {
    /// Empty when the reason lies in the pod itself.
    node_pool: &'a str,
    why: String,
}

fn words(record: &Record, left_out: Vec<LeftOut>, pods_left_out: PodsLeftOut) -> Words<'_> {
    let kinds: BTreeSet<EntryKind> = record.timeline.iter().map(|entry| entry.kind).collect();
    Words {
        seed: record.settings.seed.to_string(),
        kinds: kinds.into_iter().map(|kind| KindWord { kind, word: kind.word() }).collect(),
        unplaced: record.unplaced.iter().map(|one| whys(&one.example)).collect(),
        remedies: record.unplaced.iter().map(|one| one.example.remedy.to_string()).collect(),
        blocked: record.blocked.iter().map(|one| one.why.to_string()).collect(),
        violations: record.violations.iter().map(|one| one.violation.to_string()).collect(),
        left_out,
        pods_left_out,
    }
}

fn whys(unplaced: &Unplaced) -> Vec<WhyWords<'_>> {
    if let Some(why) = &unplaced.itself {
        return vec![WhyWords { node_pool: "", why: why.to_string() }];
    }
    if unplaced.node_pools.is_empty() {
        return vec![WhyWords { node_pool: "", why: "there is no NodePool".to_owned() }];
    }
    let pools = unplaced.node_pools.iter();
    pools.map(|pool| WhyWords { node_pool: &pool.node_pool, why: pool.why.to_string() }).collect()
}

fn title(record: &Record) -> String {
    match record.settings.name.as_str() {
        "" => format!("A cluster in {}", record.settings.region),
        name => name.to_owned(),
    }
}

/// JSON that can stand in a script element: nothing in it closes the element, opens a comment or ends a line.
fn embeddable(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("every key is a string");
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // Outside strings JSON has none of these, so each is inside one, where the escape means the same.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => text.push(other),
        }
    }
    text
}

/// Text that can stand in HTML, in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The template with each `{{name}}` replaced. What is put in is not looked at again, so no text can name a part.
fn fill(template: &str, part: impl Fn(&str) -> String) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(&part(name));
        rest = behind;
    }
    page.push_str(rest);
    page
}
