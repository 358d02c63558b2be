//! Policies are swapped while decisions are made: from what lies in a directory, as tools and the kubelet put it there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use whittle_control::ports::policies::Policies as _;
use whittle_core::advice::{Answer, Hook, Question, capacity};
use whittle_core::model::time::{Duration, Timestamp};
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::canned::{NOW, questions};
use whittle_policy::reload::{DETACH_AFTER, Looked, Reloader, SETTLE};
use whittle_policy::watch::Watch;
use whittle_tests::modules::module;

use crate::build::{ENGINE, directory, generation};

/// A `policies.yaml` with the spot ratio at so many per cent.
fn ratio(percent: u32) -> String {
    format!("policies:\n- {{name: ratio, module: spot-ratio.wasm, settings: {{spotPercent: {percent}}}}}\n")
}

fn advisor() -> Arc<Advisor> {
    Arc::new(Advisor::new(Arc::clone(&ENGINE), Patience::Simulation))
}

/// Ten pods of one workload.
fn ten_pods() -> Question {
    let Some(Question::Choose(mut question)) = questions(Hook::Capacity).pop() else {
        panic!("not a choice")
    };
    question.groups.truncate(1);
    question.groups[0].pending = 10;
    question.groups[0].running.clear();
    Question::Choose(question)
}

/// How many of ten pods the policies in force put on spot; `None` when they have no opinion.
fn spot_of_ten(answer: &Answer) -> Option<u32> {
    let Answer::Choose(choices) = answer else { panic!("not a choice") };
    let capacity::Choice::Split(split) = &choices[0] else { return None };
    let on_spot = split.shares.iter().filter(|share| share.prefer[0].label() == "spot");
    Some(on_spot.map(|share| share.pods).sum())
}

fn in_force(advisor: &Advisor) -> Option<u32> {
    spot_of_ten(&advisor.counsel(&BTreeMap::new()).ask(&ten_pods(), NOW).answer)
}

/// Looks until what lies there has settled, and gives what it came to and when.
fn look(reloader: &mut Reloader, now: Timestamp) -> Looked {
    match reloader.look(now) {
        Looked::Settling(until) => reloader.look(until),
        other => other,
    }
}

#[test]
fn a_file_that_is_still_being_written_is_waited_for() {
    let folder = directory(&ratio(50), &["spot-ratio"]);
    let advisor = advisor();
    let mut reloader = Reloader::new(folder.path(), Arc::clone(&advisor), None).unwrap();
    assert_eq!(reloader.look(NOW), Looked::Settling(NOW + SETTLE));
    fs::write(folder.path().join("policies.yaml"), ratio(60)).unwrap();
    let later = NOW + Duration::from_millis(100);
    assert_eq!(reloader.look(later), Looked::Settling(later + SETTLE));
    assert!(matches!(reloader.look(later + SETTLE), Looked::Swapped(_)));
    assert_eq!(in_force(&advisor), Some(6));
    assert_eq!(reloader.look(later + SETTLE), Looked::Unchanged);
}

#[test]
fn what_is_refused_says_why_and_leaves_what_is_in_force() {
    let folder = directory(&ratio(50), &["spot-ratio"]);
    let advisor = advisor();
    let mut reloader = Reloader::new(folder.path(), Arc::clone(&advisor), None).unwrap();
    look(&mut reloader, NOW);
    let at = |name: &str| folder.path().join(name);
    let whole = module("spot-ratio");
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("spot-ratio.wasm", b"not wasm".to_vec(), "spot-ratio.wasm\n  found    text\n"),
        (
            "spot-ratio.wasm",
            whole[..whole.len() / 2].to_vec(),
            "spot-ratio.wasm\n  found    a file that ends too early",
        ),
        (
            "policies.yaml",
            ratio(101).into_bytes(),
            "policies.yaml policies[0].settings.spotPercent\n  found    101\n  expected 0 to 100",
        ),
        ("policies.yaml", b"policies: [".to_vec(), "policies.yaml\n"),
    ];
    for (name, bytes, expected) in cases {
        let before = fs::read(at(name)).unwrap();
        fs::write(at(name), bytes).unwrap();
        let Looked::Refused(problems) = look(&mut reloader, NOW) else { panic!("{name} is taken") };
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with(expected), "{}", told[0]);
        assert_eq!(in_force(&advisor), Some(5));
        assert_eq!(reloader.status(NOW).refused.map(|refused| refused.problems), Some(told));
        fs::write(at(name), before).unwrap();
        look(&mut reloader, NOW);
    }
    assert_eq!(reloader.status(NOW).refused, None);
}

#[test]
fn a_pin_that_does_not_fit_is_refused() {
    let pinned = ratio(50).replace("settings", &format!("sha256: \"{}\", settings", "0".repeat(64)));
    let refused = generation(&pinned, &["spot-ratio"]).unwrap_err();
    assert!(
        refused.contains("policies[0].sha256") && refused.contains("the digest of spot-ratio.wasm"),
        "{refused}"
    );
}

#[test]
fn an_empty_or_missing_directory_detaches_nothing() {
    let folder = directory(&ratio(50), &["spot-ratio"]);
    let advisor = advisor();
    let mut reloader = Reloader::new(folder.path(), Arc::clone(&advisor), None).unwrap();
    look(&mut reloader, NOW);
    for name in ["spot-ratio.wasm", "policies.yaml"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let long_after = NOW + DETACH_AFTER + DETACH_AFTER;
    assert!(matches!(look(&mut reloader, long_after), Looked::Unreadable(_)));
    fs::remove_dir(folder.path()).unwrap();
    assert!(matches!(look(&mut reloader, long_after), Looked::Unreadable(_)));
    assert_eq!(in_force(&advisor), Some(5));
}

#[test]
fn a_module_that_vanishes_detaches_its_policy_after_half_a_minute() {
    let folder = directory(&ratio(50), &["spot-ratio"]);
    let advisor = advisor();
    let mut reloader = Reloader::new(folder.path(), Arc::clone(&advisor), None).unwrap();
    look(&mut reloader, NOW);
    fs::remove_file(folder.path().join("spot-ratio.wasm")).unwrap();
    look(&mut reloader, NOW);
    assert_eq!(in_force(&advisor), Some(5));
    let due = reloader.next_due().unwrap();
    assert_eq!(look(&mut reloader, due - Duration::from_millis(1)), Looked::Unchanged);
    assert!(matches!(look(&mut reloader, due), Looked::Swapped(_)));
    assert_eq!(in_force(&advisor), None);
    assert_eq!(reloader.status(due).warnings, ["spot-ratio.wasm is gone: its policies are detached"]);
    assert_eq!(look(&mut reloader, due + DETACH_AFTER), Looked::Unchanged);
    fs::write(folder.path().join("spot-ratio.wasm"), module("spot-ratio")).unwrap();
    assert!(matches!(look(&mut reloader, due), Looked::Swapped(_)));
    assert_eq!(in_force(&advisor), Some(5));
}

#[test]
fn a_restart_beside_an_empty_or_broken_directory_starts_with_the_last_good_set() {
    let state = tempfile::tempdir().unwrap();
    let good = directory(&ratio(70), &["spot-ratio"]);
    let mut first = Reloader::new(good.path(), advisor(), Some(state.path())).unwrap();
    look(&mut first, NOW);
    drop(first);
    let broken = directory(&ratio(70), &[]);
    fs::write(broken.path().join("spot-ratio.wasm"), b"\0asm\x01\0\0\0").unwrap();
    for folder in [tempfile::tempdir().unwrap(), broken] {
        let advisor = advisor();
        let mut restarted = Reloader::new(folder.path(), Arc::clone(&advisor), Some(state.path())).unwrap();
        assert!(restarted.start(NOW));
        look(&mut restarted, NOW);
        assert_eq!(in_force(&advisor), Some(7));
        assert!(restarted.status(NOW).from_last_good);
        // What was compiled before the restart is not compiled again.
        assert_eq!(advisor.current().policies[0].module.compiled_in, None);
    }
}

/// Puts a version of a ConfigMap in place as the kubelet does: a folder of its own, then the link to it swapped.
fn mount(root: &Path, version: u32, percent: u32) {
    let name = format!("..{version}");
    fs::create_dir(root.join(&name)).unwrap();
    fs::write(root.join(&name).join("policies.yaml"), ratio(percent)).unwrap();
    fs::write(root.join(&name).join("spot-ratio.wasm"), module("spot-ratio")).unwrap();
    symlink(&name, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    for file in ["policies.yaml", "spot-ratio.wasm"] {
        if version == 1 {
            symlink(format!("..data/{file}"), root.join(file)).unwrap();
        }
    }
    if version > 1 {
        fs::remove_dir_all(root.join(format!("..{}", version - 1))).unwrap();
    }
}

/// Waits until `told` hears of a swap, and gives what is in force then.
struct Watched {
    advisor: Arc<Advisor>,
    swaps: std::sync::mpsc::Receiver<Looked>,
    _watch: Watch,
}

impl Watched {
    fn start(root: &Path) -> Self {
        let advisor = advisor();
        let reloader = Reloader::new(root, Arc::clone(&advisor), None).unwrap();
        let (tell, swaps) = channel();
        let watch = Watch::start(reloader, move |looked, _| {
            if !matches!(looked, Looked::Settling(_)) {
                tell.send(looked.clone()).ok();
            }
        });
        Self { advisor, swaps, _watch: watch.unwrap() }
    }

    /// Waits for the next look that came to something other than a swap under way.
    fn next(&self) -> Looked {
        self.swaps.recv().unwrap()
    }

    /// Waits until so many of ten pods go to spot. Between two states there may be others, such as a link that leads
    /// nowhere for a moment.
    fn until(&self, spot: u32) {
        while in_force(&self.advisor) != Some(spot) {
            self.next();
        }
    }
}

#[test]
fn a_config_map_that_is_swapped_comes_into_force() {
    let root = tempfile::tempdir().unwrap();
    mount(root.path(), 1, 20);
    let watched = Watched::start(root.path());
    for (version, percent) in [(2, 40), (3, 60), (4, 80)] {
        watched.until(percent / 10 - 2);
        mount(root.path(), version, percent);
    }
    watched.until(8);
}

#[test]
fn a_copy_and_an_editors_rename_come_into_force_and_a_broken_file_does_not() {
    let root = directory(&ratio(20), &["spot-ratio"]);
    let watched = Watched::start(root.path());
    watched.until(2);
    fs::write(root.path().join("policies.yaml"), ratio(40)).unwrap();
    watched.until(4);
    fs::write(root.path().join(".policies.yaml.swp"), ratio(60)).unwrap();
    fs::rename(root.path().join(".policies.yaml.swp"), root.path().join("policies.yaml")).unwrap();
    watched.until(6);
    fs::write(root.path().join("spot-ratio.wasm"), b"broken").unwrap();
    while !matches!(watched.next(), Looked::Refused(_)) {}
    assert_eq!(in_force(&watched.advisor), Some(6));
}

#[test]
fn a_thousand_swaps_lose_no_decision_and_mix_none() {
    const SWAPS: u32 = 1_000;
    let advisor = advisor();
    let sets = [20, 80].map(|percent| crate::build::contents(&ratio(percent), &["spot-ratio"]));
    let digests = sets.each_ref().map(|contents| contents.digest.to_string());
    let load = |number: u32| {
        let before = advisor.current();
        let loader = whittle_policy::generation::Loader {
            engine: &ENGINE,
            cache: None,
            before: &before,
            recorded: &[],
        };
        loader.load(&sets[number as usize % 2], &whittle_policy::generation::Vanished::default()).unwrap()
    };
    advisor.swap(load(0));
    let stop = AtomicBool::new(false);
    let mut generations = Vec::new();
    let seen: Mutex<BTreeSet<(String, Vec<Option<u32>>)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // At least one decision after the last swap.
                loop {
                    let was_last = stop.load(Ordering::SeqCst);
                    let mut counsel = advisor.counsel(&BTreeMap::new());
                    let answers: Vec<_> =
                        (0..3).map(|_| spot_of_ten(&counsel.ask(&ten_pods(), NOW).answer)).collect();
                    seen.lock().unwrap().insert((counsel.generation().to_owned(), answers));
                    if was_last {
                        break;
                    }
                }
            });
        }
        for number in 1..=SWAPS {
            advisor.swap(load(number));
            generations.push(Arc::downgrade(&advisor.current()));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let expected = |digest: &String, spot| (digest.clone(), vec![Some(spot); 3]);
    let possible = BTreeSet::from([expected(&digests[0], 2), expected(&digests[1], 8)]);
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_subset(&possible), "{seen:?}");
    assert!(seen.contains(&expected(&digests[0], 2)));
    // The set before the last is let go of: nothing keeps the thousand that were in force.
    assert_eq!(generations.iter().filter(|generation| generation.strong_count() > 0).count(), 1);
}

#[test]
fn modules_that_were_swapped_out_are_let_go_of() {
    const SWAPS: u32 = 40;
    let state = tempfile::tempdir().unwrap();
    let cache = whittle_policy::cache::Cache::open(&state.path().join("compiled")).unwrap();
    let critical =
        "policies:\n- {name: critical, module: critical-on-demand.wasm, settings: {minPriority: 1000}}\n";
    let sets = [
        crate::build::contents(&ratio(20), &["spot-ratio"]),
        crate::build::contents(critical, &["critical-on-demand"]),
    ];
    let advisor = advisor();
    let mut modules = Vec::new();
    for number in 0..SWAPS {
        // A set has nothing of the one before it: each swap loads a module, and one goes.
        let before = advisor.current();
        let (engine, cache) = (&ENGINE, Some(&cache));
        let loader = whittle_policy::generation::Loader { engine, cache, before: &before, recorded: &[] };
        let contents = &sets[number as usize % 2];
        advisor.swap(loader.load(contents, &whittle_policy::generation::Vanished::default()).unwrap());
        modules.push(Arc::downgrade(&advisor.current().policies[0].module));
    }
    assert_eq!(modules.iter().filter(|module| module.strong_count() > 0).count(), 1);
}
