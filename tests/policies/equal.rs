//! A stock policy decides the same as a module and as the native code that its own tests run.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use whittle_core::advice::{Answer, Question};
use whittle_core::model::time::Timestamp;
use whittle_guest_sdk::export::Hooks;
use whittle_guest_sdk::prelude::*;
use whittle_policy::limits::Limits;
use whittle_policy::v0_1::json;

use crate::build::{ENGINE, loaded};
use crate::questions;

/// How a stock policy reads its settings natively.
type Configure = fn(&str) -> Result<Box<dyn Hooks>, Vec<Complaint>>;

/// The stock policies, with settings that use all they have.
const STOCK: &[(&str, Configure, &str)] = &[
    (
        "business-hours",
        business_hours::configure_natively,
        r#"{"timeZone": "Asia/Seoul", "windows": [{"begins": "0 9 * * 1-5", "lasts": "9h"}], "letEmptyGo": true}"#,
    ),
    (
        "critical-on-demand",
        critical_on_demand::configure_natively,
        r#"{"minPriority": 1000, "workloads": [{"labels": {"tier": "critical"}}]}"#,
    ),
    (
        "interruption-fallback",
        interruption_fallback::configure_natively,
        r#"{"reclaims": 10, "window": "15m", "calmReclaims": 1, "calmFor": "20m", "returnPercent": 20,
            "offeringReclaims": 3}"#,
    ),
    (
        "load-test-isolation",
        load_test_isolation::configure_natively,
        r#"{"workloads": {"namespaces": ["loadtest"]}, "key": "ticket.example/loadtest", "quarantine": true}"#,
    ),
    ("no-job-eviction", no_job_eviction::configure_natively, r#"{"atMost": "48h"}"#),
    ("payback", payback::configure_natively, r#"{"within": "4h", "perPod": "0.005", "perNode": "0.01"}"#),
    (
        "prefer-generation",
        prefer_generation::configure_natively,
        r#"{"atLeast": 7, "bandPercent": 10, "neverBelow": 3, "categories": ["web", "critical", "5", "6"]}"#,
    ),
    (
        "spot-ratio",
        spot_ratio::configure_natively,
        r#"{"onDemandBase": 2, "spotPercent": 70, "workloads": {"labels": {"tier": "web"}}, "fallBack": true}"#,
    ),
];

/// How many questions each policy is asked.
const QUESTIONS: u32 = 64;

#[test]
fn stock_policies_answer_the_same_natively_and_as_modules() {
    for (name, configure, settings) in STOCK {
        let module = loaded(name);
        let native = configure(settings).unwrap_or_else(|complaints| panic!("{name}: {complaints:?}"));
        let limits = Limits::default().patient();
        let reads = module.configure(&ENGINE, settings, limits).unwrap();
        for hook in &module.hooks {
            let mut runner =
                TestRunner::new(Config { cases: QUESTIONS, failure_persistence: None, ..Config::default() });
            let strategy = (questions::of(*hook), questions::now());
            let outcome = runner.run(&strategy, |(question, now)| {
                let consultation = module.consult(&ENGINE, (settings, limits), (&question, &reads, now));
                let as_module =
                    consultation.answer.map_err(|fault| TestCaseError::fail(fault.to_string()))?;
                let shown = json::shown(&question, &reads);
                let answer = ask(native.as_ref(), &question, shown, now);
                let natively = json::answered(&question, answer).unwrap();
                prop_assert_eq!(&as_module, &natively);
                prop_assert_eq!(question.check(&natively, now), Ok(()));
                Ok(())
            });
            outcome.unwrap_or_else(|error| panic!("{name}, {hook}: {error}"));
        }
    }
}

#[test]
fn the_same_question_takes_the_same_fuel() {
    let Some((name, _, settings)) = STOCK.iter().find(|(name, _, _)| *name == "spot-ratio") else { panic!() };
    let module = loaded(name);
    let limits = Limits::default().patient();
    let question = whittle_policy::canned::questions(whittle_core::advice::Hook::Capacity).remove(1);
    let reads = module.configure(&ENGINE, settings, limits).unwrap();
    let ask = || module.consult(&ENGINE, (settings, limits), (&question, &reads, Timestamp::EPOCH)).cost.fuel;
    assert_eq!(ask(), ask());
}

#[test]
fn every_stock_policy_is_compared() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut folders: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    let compared: Vec<&str> = STOCK.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(compared, folders);
}

/// Asks natively, by way of the JSON of what a guest is shown.
fn ask(
    policy: &dyn Hooks,
    question: &Question,
    shown: serde_json::Value,
    now: Timestamp,
) -> serde_json::Value {
    let now = now.millis();
    match question {
        Question::Choose(_) => {
            let (supplies, groups): (Vec<Supply>, Vec<PodGroup>) =
                (argument(&shown, "market"), argument(&shown, "groups"));
            let market = Market { now, supplies: &supplies };
            answer(&policy.capacity().unwrap().choose_all(&market, &groups))
        }
        Question::Dress(_) => {
            answer(&policy.taints().unwrap().dress_all(now, &argument::<Vec<PodGroup>>(&shown, "groups")))
        }
        Question::Review(_) => {
            answer(&policy.taints().unwrap().review(now, &argument::<Vec<Node>>(&shown, "nodes")))
        }
        Question::JudgeOfferings(_) => {
            let (types, offerings): (Vec<InstanceType>, Vec<Offering>) =
                (argument(&shown, "types"), argument(&shown, "offerings"));
            let node_pool: String = argument(&shown, "node_pool");
            let catalog = Catalog { now, node_pool: &node_pool, types: &types, offerings: &offerings };
            answer(&policy.offerings().unwrap().judge_all(&catalog))
        }
        Question::Rest(_) => {
            let nodes: Vec<Node> = argument(&shown, "nodes");
            answer(&policy.consolidation().unwrap().rest_all(now, &nodes))
        }
        Question::JudgeMoves(_) => {
            let (nodes, moves): (Vec<Node>, Vec<Move>) =
                (argument(&shown, "nodes"), argument(&shown, "moves"));
            answer(&policy.consolidation().unwrap().judge_all(&Round { now, nodes: &nodes }, &moves))
        }
        Question::React(_) => {
            let notices: Vec<Notice> = argument(&shown, "notices");
            answer(&policy.interruption().unwrap().react_all(now, &notices))
        }
    }
}

fn argument<T: DeserializeOwned>(shown: &serde_json::Value, name: &str) -> T {
    serde_json::from_value(shown[name].clone()).unwrap()
}

fn answer<T: Serialize>(answer: &T) -> serde_json::Value {
    serde_json::to_value(answer).unwrap()
}

/// An answer that is not of the kind that was asked for is found where answers are checked.
#[test]
fn an_answer_to_another_question_is_refused() {
    let question = whittle_policy::canned::questions(whittle_core::advice::Hook::Capacity).remove(1);
    let wrong = question.check(&Answer::Rest(Vec::new()), Timestamp::EPOCH).unwrap_err();
    assert_eq!(wrong.to_string(), "found rest, expected an answer to choose");
}
