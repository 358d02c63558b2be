//! The page as text: what is embedded, what cannot break out, how large it gets.

use std::collections::BTreeMap;

use serde_json::Value;
use whittle_core::check::{Rule, Violation};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::price::Price;
use whittle_core::model::resources::Resources;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::why::change::{Change, Remedy};
use whittle_core::why::{Blocker, MoveBlocked, NodePoolWhy, Unplaced, Why};

use super::html;
use crate::journal::{Entry, EntryKind};
use crate::record::nodes::{NodeList, NodeSummary, PodSummary};
use crate::record::{
    PlanViolation, PoolSample, PoolSummary, Record, RecordSettings, Sample, Totals, UnplacedSummary, Waits,
};

const START: Timestamp = Timestamp::from_millis(1_767_571_200_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOSTILE: &str = "</script><script>alert(1)</script><!-- {{record}} {{script}} \" ' & \u{2028} \u{2029} <img src=x onerror=a()>";

/// How large a simulation was.
#[derive(Clone, Copy)]
struct Size {
    pools: u64,
    nodes: u64,
    pods_per_node: u64,
    minutes: u64,
    lines: u64,
}

const SMALL: Size = Size { pools: 2, nodes: 3, pods_per_node: 4, minutes: 5, lines: 6 };

fn at(minute: u64) -> Timestamp {
    Timestamp::from_millis(START.millis() + minute * MINUTE.millis())
}

fn pool(number: u64) -> String {
    format!("pool-{number}")
}

fn record(size: Size) -> Record {
    let waits = Waits { pods: 100, p50_millis: 41_000, p95_millis: 97_000, max_millis: 120_000 };
    Record {
        settings: RecordSettings {
            name: "Black Friday".to_owned(),
            directory: "shop".to_owned(),
            description: None,
            region: "eu-central-1".to_owned(),
            is_region_default: false,
            seed: u64::MAX,
            start: START,
            end: at(size.minutes),
            utc_offset_seconds: 3_600,
        },
        totals: Totals {
            cost_micros: 1_234_567_894,
            estimated: true,
            price_peak: Price::from_micros(18_441_600),
            nodes_peak: size.nodes,
            launches: size.nodes,
            pods_placed: size.nodes * size.pods_per_node,
            waits,
            evictions: 7,
            interrupted_pods: 5,
            waiting_at_end: 3,
            decisions: 11,
        },
        node_pools: (0..size.pools).map(|number| summary(number, waits)).collect(),
        unplaced: vec![unplaced("Deployment shop/web")],
        blocked: vec![MoveBlocked { claim: "pool-0-00001".to_owned(), why: Blocker::NodeDoNotDisrupt }],
        violations: vec![violation("general-1")],
        timeline: (0..size.lines).map(|number| entry(number, EntryKind::Launch)).collect(),
        samples: (0..size.minutes).map(|minute| sample(size, minute)).collect(),
        peak: node_list(size, at(1)),
        last: node_list(size, at(size.minutes)),
    }
}

fn summary(number: u64, waits: Waits) -> PoolSummary {
    PoolSummary {
        name: pool(number),
        cost_micros: 1_000_003 + number,
        estimated: false,
        price_last: Price::ZERO,
        price_peak: Price::from_micros(403_200),
        nodes_last: 1,
        nodes_peak: 2,
        cpu_used_ppm: 812_345,
        memory_used_ppm: 654_321,
        waits,
        evictions: BTreeMap::from([("empty".to_owned(), 7)]),
        kinds: Vec::new(),
    }
}

fn unplaced(workload: &str) -> UnplacedSummary {
    let (resource, instance_types, too_large) = ("cpu".to_owned(), 9, 7);
    let (limit, used, needed) = (8_000, 7_500, 2_000);
    let why = Why::Limit { resource: resource.clone(), limit, used, needed, instance_types, too_large };
    let node_pools = vec![NodePoolWhy { node_pool: pool(0), why }];
    let raised = Change::RaiseLimit { node_pool: pool(0), resource, from: limit, to: 10_000 };
    let (pod, name, remedy) = ("1".to_owned(), workload.to_owned(), Remedy::Change(raised));
    let example = Unplaced { pod, name, node_pools, itself: None, remedy };
    UnplacedSummary { workload: workload.to_owned(), pods: 4, waiting_at_end: 3, first: at(1), example }
}

fn violation(subject: &str) -> PlanViolation {
    let (subject, message) = (subject.to_owned(), "9 of 8 cpu".to_owned());
    PlanViolation { at: at(2), violation: Violation { rule: Rule::Limits, subject, message } }
}

fn entry(number: u64, kind: EntryKind) -> Entry {
    let object = format!("pool-0-{number:05x}");
    Entry {
        at: START,
        kind,
        node_pool: Some(pool(0)),
        object,
        text: "m7i.2xlarge spot at $0.1340".to_owned(),
    }
}

fn sample(size: Size, minute: u64) -> Sample {
    let node_pools = (0..size.pools).map(|number| PoolSample {
        name: pool(number),
        price: Price::from_micros(1_000_000 + minute),
        spot: minute,
        on_demand: 2,
        reserved: 0,
        cpu_requested_millis: 700_000 + minute,
        cpu_allocatable_millis: 800_000 + minute,
        memory_requested_bytes: 70 << 30,
        memory_allocatable_bytes: 80 << 30,
    });
    let price = Price::from_micros(1_000_000 + minute) * size.pools;
    Sample { at: at(minute), price, waiting_pods: minute % 7, pods: 25, node_pools: node_pools.collect() }
}

fn node_list(size: Size, at: Timestamp) -> NodeList {
    let node = |number: u64| NodeSummary {
        node_pool: pool(number % size.pools),
        name: format!("ip-10-0-{}-{}.eu-central-1.compute.internal", number / 250, number % 250),
        claim: format!("pool-0-{number:05x}"),
        instance_type: "m7i.2xlarge".to_owned(),
        zone: "eu-central-1a".to_owned(),
        capacity_type: Some(CapacityType::Spot),
        price: Price::from_micros(134_000),
        estimated: true,
        launched: START,
        ready: true,
        allocatable: Resources { cpu_millis: 7_910, memory_bytes: 30 << 30, ..Resources::default() },
        used: Resources { cpu_millis: 250 * size.pods_per_node, ..Resources::default() },
        pods: (0..size.pods_per_node).map(|pod| on_node(number, pod)).collect(),
    };
    NodeList {
        at,
        price: Price::from_micros(134_000) * size.nodes,
        nodes: (0..size.nodes).map(node).collect(),
    }
}

fn on_node(node: u64, pod: u64) -> PodSummary {
    let name = format!("payments/checkout-api-6f7c9d5b8-{node:04}{pod:02}");
    PodSummary { name, daemon: pod == 0, cpu_millis: 250, memory_bytes: 512 << 20 }
}

/// The JSON in the script element with this id, as a browser reads it: up to the first closing tag.
fn embedded(page: &str, id: &str) -> Value {
    let opening = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, after) = page.split_once(&opening).expect("the element opens");
    let (json, _) = after.split_once("</script>").expect("the element closes");
    serde_json::from_str(json).expect("what it holds is JSON")
}

#[test]
fn the_page_carries_the_record_as_it_is() {
    let record = record(SMALL);
    let page = html(&record);
    let json = serde_json::to_value(&record).expect("a record is data");
    assert_eq!(embedded(&page, "record"), json);
    assert_eq!(json["samples"].as_array().map(Vec::len), Some(5));
    assert!(page.contains("<title>Black Friday</title>"));
}

#[test]
fn what_only_rust_can_say_travels_beside_the_record() {
    let expected = serde_json::json!({
        "seed": "18446744073709551615",
        "kinds": [{ "kind": "launch", "word": "launch" }],
        "unplaced": [[{
            "nodePool": "pool-0",
            "why": "the NodePool's limit of 8 cpu has no room for one more node \
                    (7500m in use or planned, the smallest that would do adds 2; \
                    too large for what is left: 7 of 9 types)",
        }]],
        "remedies": ["smallest change: raise spec.limits.cpu of NodePool pool-0 from 8 to 10"],
        "blocked": ["the node asks to be left alone (karpenter.sh/do-not-disrupt)"],
        "violations": [violation("general-1").violation.to_string()],
        "leftOut": [],
        "podsLeftOut": { "peak": {}, "last": {} },
    });
    assert_eq!(embedded(&html(&record(SMALL)), "words"), expected);
}

#[test]
fn hostile_names_stay_inside_the_json_and_the_title() {
    let plain = html(&record(SMALL));
    let mut record = record(SMALL);
    record.settings.name = HOSTILE.to_owned();
    record.settings.description = Some(HOSTILE.to_owned());
    record.timeline[0].text = HOSTILE.to_owned();
    record.timeline[0].object = HOSTILE.to_owned();
    record.peak.nodes[0].name = HOSTILE.to_owned();
    record.peak.nodes[0].pods[0].name = HOSTILE.to_owned();
    record.node_pools[0].name = HOSTILE.to_owned();
    record.unplaced = vec![unplaced(HOSTILE)];
    record.violations = vec![violation(HOSTILE)];
    let page = html(&record);
    assert_eq!(embedded(&page, "record"), serde_json::to_value(&record).expect("a record is data"));
    assert_eq!(embedded(&page, "words")["violations"][0], record.violations[0].violation.to_string());
    for markup in ["<script", "</script", "<!--", "<img", "<"] {
        assert_eq!(page.matches(markup).count(), plain.matches(markup).count(), "{markup}");
    }
    let (_, body) = page.split_once("<main").expect("the title is before");
    assert!(!body.contains(['\u{2028}', '\u{2029}']));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = html(&record(SMALL));
    assert!(page.contains("default-src 'none'"));
    for outward in
        ["src=\"", "url(http", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "<link rel=\"stylesheet"]
    {
        assert!(!page.contains(outward), "{outward}");
    }
    let elsewhere = page.matches("http").count();
    let allowed = page.matches("http-equiv").count() + page.matches("http://www.w3.org/2000/svg").count();
    assert_eq!(elsewhere, allowed);
}

#[test]
fn a_thousand_nodes_with_ten_thousand_pods_are_shown_whole() {
    let page =
        html(&record(Size { pools: 5, nodes: 1_000, pods_per_node: 10, minutes: 1_440, lines: 5_000 }));
    assert_eq!(embedded(&page, "words")["leftOut"], Value::Array(Vec::new()));
    assert!(page.len() < 8 << 20, "{} bytes", page.len());
}

#[test]
fn a_record_without_bounds_makes_a_page_with_bounds_that_says_what_it_leaves_out() {
    let size = Size { pools: 30, nodes: 3_000, pods_per_node: 30, minutes: 5_000, lines: 50_000 };
    let mut record = record(size);
    record.timeline.push(entry(50_000, EntryKind::Violation));
    let page = html(&record);
    assert!(page.len() < 20 << 20, "{} bytes", page.len());

    let (shown, words) = (embedded(&page, "record"), embedded(&page, "words"));
    assert_eq!(shown["totals"], serde_json::to_value(&record.totals).expect("totals are data"));
    assert_eq!(shown["nodePools"], serde_json::to_value(&record.node_pools).expect("summaries are data"));
    assert_eq!(
        shown["timeline"].as_array().and_then(|lines| lines.last()).map(|line| &line["kind"]),
        Some(&"violation".into())
    );
    assert_eq!(shown["samples"][0]["at"], START.millis());
    let left_out = words["leftOut"].as_array().expect("a list");
    let counted =
        left_out.iter().map(|one| (one["what"].as_str(), one["shown"].as_u64(), one["total"].as_u64()));
    assert_eq!(
        counted.collect::<Vec<_>>(),
        [
            (Some("timeline"), Some(10_000), Some(50_001)),
            (Some("samples"), shown["samples"].as_array().map(|samples| samples.len() as u64), Some(5_000)),
            (Some("peak"), Some(2_000), Some(3_000)),
            (Some("last"), Some(2_000), Some(3_000)),
            (Some("peakPods"), Some(20_000), Some(60_000)),
            (Some("lastPods"), Some(20_000), Some(60_000)),
        ]
    );
    let name = shown["peak"]["nodes"][0]["name"].as_str().expect("a name");
    assert_eq!(words["podsLeftOut"]["peak"][name], 20);
}

#[test]
fn thinned_curves_keep_their_ends_and_their_peaks() {
    let mut record = record(Size { pools: 30, nodes: 1, pods_per_node: 1, minutes: 5_000, lines: 0 });
    record.samples[2_345].waiting_pods = 999;
    record.samples[3_456].price = Price::from_micros(u64::from(u32::MAX));
    let page = embedded(&html(&record), "record");
    let shown: Vec<u64> = page["samples"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|sample| sample["at"].as_u64())
        .collect();
    let kept = |position: usize| shown.contains(&record.samples[position].at.millis());
    assert_eq!([0, 2_345, 3_456, 4_999].map(kept), [true; 4]);
    assert!((300..=600).contains(&shown.len()), "{}", shown.len());
    assert!(shown.is_sorted());
}
