//! What policies cost: `cargo bench -p whittle-policy`, and behind `--` words that the names of the parts to run contain.
//!
//! A consultation of each hook by the size of its question, and beside it the same policy asked natively, in the same run;
//! what stands before the first consultation; what a directory that changes takes until it is in force; and what a
//! policy can hold up a decision by when it means harm. Times are medians, only as good as the machine is idle; fuel is
//! the same on every machine. Nothing here depends on how long something took.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use serde::de::DeserializeOwned;
use serde_json::Value;
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Hook, Kind, Question};
use whittle_core::model::time;
use whittle_guest_sdk::export::Hooks;
use whittle_guest_sdk::prelude::*;
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::author::bench::grown;
use whittle_policy::cache::Cache;
use whittle_policy::canned::{NOW, questions};
use whittle_policy::engine::Engine;
use whittle_policy::gate;
use whittle_policy::limits::Limits;
use whittle_policy::module::Module;
use whittle_policy::reload::{Looked, Reloader, SETTLE};
use whittle_policy::v0_1::json;

/// How many things a question is about.
const SIZES: [usize; 4] = [1, 10, 100, 500];
/// How often a question is asked.
const ASKED: usize = 201;
/// How often a set of policies is swapped for another.
const SWAPS: usize = 1_000;
/// How often what takes milliseconds is done.
const DONE: usize = 15;

/// How a stock policy reads its settings natively.
type Configure = fn(&str) -> Result<Box<dyn Hooks>, Vec<Complaint>>;

/// The policies that answer: one for each hook, and for each kind of question.
const ANSWERING: [(&str, Configure, &str, Kind); 6] = [
    ("spot-ratio", spot_ratio::configure_natively, "{\"onDemandBase\":2,\"spotPercent\":70}", Kind::Choose),
    (
        "load-test-isolation",
        load_test_isolation::configure_natively,
        "{\"workloads\":{\"namespaces\":[\"loadtest\"]},\"key\":\"ticket.example/loadtest\"}",
        Kind::Dress,
    ),
    (
        "prefer-generation",
        prefer_generation::configure_natively,
        "{\"atLeast\":7,\"bandPercent\":10}",
        Kind::JudgeOfferings,
    ),
    ("no-job-eviction", no_job_eviction::configure_natively, "{\"atMost\":\"48h\"}", Kind::Rest),
    ("payback", payback::configure_natively, "{\"within\":\"4h\",\"perPod\":\"0.005\"}", Kind::JudgeMoves),
    ("hostile", hostile::configure_natively, "{\"does\":\"behaves\"}", Kind::React),
];

/// What a module that means harm does, where the most that it can hold up a decision by is its limit.
const HARM: [&str; 9] = [
    "spins",
    "recurses",
    "allocates",
    "floodsTheLog",
    "trapsAlways",
    "answersMillions",
    "answersAGigabyte",
    "namesUnknownIds",
    "copiesForEver",
];

fn main() {
    let words: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let modules = built();
    let engine = Arc::new(Engine::new().expect("an engine"));
    if is_wanted("load") {
        load(&engine, &modules);
    }
    if is_wanted("consult") {
        consult(&engine, &modules);
    }
    if is_wanted("reload") {
        reload(&engine, &modules);
    }
    if is_wanted("memory") {
        memory(&engine, &modules);
    }
    if is_wanted("harm") {
        harm(&engine, &modules);
    }
}

/// The folder with the modules, built as `cargo xtask policies` builds them.
fn built() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["xtask", "policies"]).current_dir(&root).status();
    assert!(status.is_ok_and(|status| status.success()), "the policies do not build");
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    target.join("policies")
}

fn bytes(modules: &Path, name: &str) -> Vec<u8> {
    fs::read(modules.join(format!("{}.wasm", name.replace('-', "_")))).expect("a module that was built")
}

/// Half of so many runs took no longer.
fn median(times: usize, mut run: impl FnMut()) -> Duration {
    let mut spans: Vec<Duration> = (0..times)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    spans.sort_unstable();
    spans[spans.len() / 2]
}

fn micros(span: Duration) -> String {
    format!("{:.1}", span.as_secs_f64() * 1e6)
}

fn millis(span: Duration) -> String {
    format!("{:.1}", span.as_secs_f64() * 1e3)
}

/// The gate, the compiler, the cache: before the first consultation.
fn load(engine: &Engine, modules: &Path) {
    println!("\n{:<24}{:>8}{:>10}{:>13}{:>15}", "load", "KB", "gate ms", "compiled ms", "from cache ms");
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(&folder.path().join("compiled")).expect("a private folder");
    for name in ["payback", "spot-ratio", "interruption-fallback", "business-hours"] {
        let bytes = bytes(modules, name);
        let loaded = |cache| Module::load(engine, cache, &bytes).expect("a policy");
        let gate = median(DONE, || drop(gate::pass(&bytes)));
        let cold = median(3, || drop(loaded(None)));
        loaded(Some(&cache));
        let warm = median(DONE, || drop(loaded(Some(&cache))));
        let kilobytes = bytes.len() / 1_000;
        println!("{name:<24}{kilobytes:>8}{:>10}{:>13}{:>15}", millis(gate), millis(cold), millis(warm));
    }
}

/// Each hook by the size of its question. Every consultation has a fresh instance, configured anew.
fn consult(engine: &Engine, modules: &Path) {
    println!(
        "\n{:<24}{:<16}{:>7}{:>12}{:>12}{:>12}{:>11}",
        "consult", "QUESTION", "THINGS", "module µs", "native µs", "difference", "fuel"
    );
    let limits = Limits::default().patient();
    for (name, configure, settings, kind) in ANSWERING {
        let module = Module::load(engine, None, &bytes(modules, name)).expect("a policy");
        let reads = module.configure(engine, settings, limits).expect("settings that will do");
        let start = median(ASKED, || drop(module.configure(engine, settings, limits)));
        println!("{name:<24}{:<16}{:>7}{:>12}", "(configured)", "", micros(start));
        let native = configure(settings).expect("settings that will do");
        let question = Hook::ALL
            .into_iter()
            .flat_map(questions)
            .find(|question| question.kind() == kind && !question.is_empty())
            .expect("a question of this kind");
        for things in SIZES {
            let question = grown(&question, things);
            let ask = || module.consult(engine, (settings, limits), (&question, &reads, NOW));
            let consultation = ask();
            let answer = consultation.answer.expect("an answer");
            let as_module = median(ASKED, || drop(ask()));
            let natively = natively(native.as_ref(), &question, &reads);
            assert_eq!(json::answered(&question, natively.1).ok(), Some(answer), "{name}: {kind}");
            let more = as_module.saturating_sub(natively.0);
            println!(
                "{name:<24}{kind:<16}{things:>7}{:>12}{:>12}{:>12}{:>11}",
                micros(as_module),
                micros(natively.0),
                micros(more),
                consultation.cost.fuel
            );
        }
    }
}

/// How long the same policy takes natively, and what it answers. Copying the question is not part of it.
fn natively(policy: &dyn Hooks, question: &Question, reads: &Reads) -> (Duration, Value) {
    let shown = json::shown(question, reads);
    let now = NOW.millis();
    match question.kind() {
        Kind::Choose => {
            let (supplies, groups): (Vec<Supply>, Vec<PodGroup>) =
                (argument(&shown, "market"), argument(&shown, "groups"));
            let market = Market { now, supplies: &supplies };
            timed(|| policy.capacity().expect("the hook").choose_all(&market, &groups))
        }
        Kind::Dress => {
            let groups: Vec<PodGroup> = argument(&shown, "groups");
            timed(|| policy.taints().expect("the hook").dress_all(now, &groups))
        }
        Kind::JudgeOfferings => {
            let (types, offerings): (Vec<InstanceType>, Vec<Offering>) =
                (argument(&shown, "types"), argument(&shown, "offerings"));
            let node_pool: String = argument(&shown, "node_pool");
            let catalog = Catalog { now, node_pool: &node_pool, types: &types, offerings: &offerings };
            timed(|| policy.offerings().expect("the hook").judge_all(&catalog))
        }
        Kind::Rest => {
            let nodes: Vec<Node> = argument(&shown, "nodes");
            timed(|| policy.consolidation().expect("the hook").rest_all(now, &nodes))
        }
        Kind::JudgeMoves => {
            let (nodes, moves): (Vec<Node>, Vec<Move>) =
                (argument(&shown, "nodes"), argument(&shown, "moves"));
            timed(|| {
                policy.consolidation().expect("the hook").judge_all(&Round { now, nodes: &nodes }, &moves)
            })
        }
        Kind::React => {
            let notices: Vec<Notice> = argument(&shown, "notices");
            timed(|| policy.interruption().expect("the hook").react_all(now, &notices))
        }
        Kind::Review => {
            let nodes: Vec<Node> = argument(&shown, "nodes");
            timed(|| policy.taints().expect("the hook").review(now, &nodes))
        }
    }
}

fn argument<T: DeserializeOwned>(shown: &Value, name: &str) -> T {
    serde_json::from_value(shown[name].clone()).expect("what a guest is shown")
}

fn timed<A: Serialize>(ask: impl Fn() -> A) -> (Duration, Value) {
    let span = median(ASKED, || drop(ask()));
    (span, serde_json::to_value(ask()).expect("an answer"))
}

/// From files that have settled until they are in force; the wait for them to settle comes on top.
fn reload(engine: &Arc<Engine>, modules: &Path) {
    println!("\n{:<40}{:>14}", "reload", "in force ms");
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let list = |percent: usize| {
        format!(
            "policies:\n- {{name: ratio, module: spot-ratio.wasm, settings: {{spotPercent: {percent}}}}}\n"
        )
    };
    let ratio = bytes(modules, "spot-ratio");
    fs::write(at("spot-ratio.wasm"), &ratio).expect("a file");
    for (what, state) in [("compiled anew", None), ("from the cache of compiled modules", Some(at("state")))]
    {
        let advisor = Arc::new(Advisor::new(Arc::clone(engine), Patience::Simulation));
        let mut now = NOW;
        let spans = (0..DONE).map(|round| {
            // Each with an advisor that has not seen the module: what is in force already is not loaded again.
            let advisor = match round {
                0 => Arc::clone(&advisor),
                _ => Arc::new(Advisor::new(Arc::clone(engine), Patience::Simulation)),
            };
            fs::write(at("policies.yaml"), list(round)).expect("a file");
            let mut reloader =
                Reloader::new(folder.path(), advisor, state.as_deref()).expect("a private folder");
            now = now + time::Duration::from_secs(1);
            reloader.look(now);
            let start = Instant::now();
            assert!(matches!(reloader.look(now + SETTLE), Looked::Swapped(_)));
            start.elapsed()
        });
        let mut spans: Vec<Duration> = spans.collect();
        spans.sort_unstable();
        println!("{what:<40}{:>14}", millis(spans[spans.len() / 2]));
    }
    let advisor = Arc::new(Advisor::new(Arc::clone(engine), Patience::Simulation));
    let mut reloader = Reloader::new(folder.path(), advisor, None).expect("no folder");
    let mut now = NOW;
    let mut swap = |round: usize| {
        fs::write(at("policies.yaml"), list(round % 100)).expect("a file");
        now = now + time::Duration::from_secs(1);
        reloader.look(now);
        let start = Instant::now();
        assert!(matches!(reloader.look(now + SETTLE), Looked::Swapped(_)));
        start.elapsed()
    };
    swap(99);
    let mut spans: Vec<Duration> = (0..ASKED).map(swap).collect();
    spans.sort_unstable();
    println!("{:<40}{:>14}", "other settings, the module as before", millis(spans[spans.len() / 2]));
}

/// What the process holds while sets of policies come and go, each with a module that the one before did not have.
fn memory(engine: &Arc<Engine>, modules: &Path) {
    println!("\n{:<24}{:>16}", "memory", "resident KiB");
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(&folder.path().join("compiled")).expect("a private folder");
    let loaded = ["spot-ratio", "critical-on-demand"].map(|name| bytes(modules, name));
    let reads = Reads::default();
    let settings = ["{\"spotPercent\":70}", "{\"minPriority\":1000}"];
    let question = questions(Hook::Capacity).pop().expect("a question");
    for swap in 0..=SWAPS {
        let module = Module::load(engine, Some(&cache), &loaded[swap % 2]).expect("a policy");
        let asked = (settings[swap % 2], Limits::default().patient());
        assert!(module.consult(engine, asked, (&question, &reads, NOW)).answer.is_ok());
        if swap % (SWAPS / 4) == 0 {
            println!("{:<24}{:>16}", format!("after {swap} swaps"), resident_kibibytes());
        }
    }
}

/// What the process holds in memory, as the kernel counts it.
fn resident_kibibytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A consultation with the limits that a policy has unless it is given others.
fn harm(engine: &Engine, modules: &Path) {
    println!("\n{:<24}{:>12}{:>12}", "harm", "median ms", "fuel");
    let module = Module::load(engine, None, &bytes(modules, "hostile")).expect("a policy");
    let limits = Limits::default();
    let question = questions(Hook::Capacity).pop().expect("a question");
    for deed in HARM {
        let settings = format!("{{\"does\":\"{deed}\"}}");
        let ask = || {
            module.consult(
                engine,
                (&settings, limits),
                (&question, &Reads::default(), time::Timestamp::from_millis(9)),
            )
        };
        let consultation = ask();
        assert!(consultation.answer.is_err() || deed == "floodsTheLog", "{deed} did no harm");
        println!("{deed:<24}{:>12}{:>12}", millis(median(DONE, || drop(ask()))), consultation.cost.fuel);
    }
}
