//! Something outside a simulation interrupts it: time stops there, and the loop looks at everything anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use whittle_control::ports::policies::{Counsel, Policies};
use whittle_core::advice::capacity::{Choice, Hold};
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Advice, Answer, Hook, Question};
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_sim::journal::EntryKind;
use whittle_sim::policies::{PolicySource, Source};
use whittle_sim::record::Record;
use whittle_sim::run::{Options, Progress, simulate_watched};
use whittle_sim::watcher::{Interruption, Watcher};

/// Policies that hold every pod for an hour, until others are in force that say nothing.
#[derive(Clone, Debug, Default)]
struct Holding {
    is_over: Arc<AtomicBool>,
}

impl Policies for Holding {
    fn counsel(&self, _node_pools: &BTreeMap<String, NodePool>) -> Box<dyn Counsel + '_> {
        Box::new(Held { is_over: self.is_over.load(Ordering::SeqCst), reads: Reads::default() })
    }
}

impl PolicySource for Holding {
    fn policies(&self) -> Arc<dyn Policies> {
        Arc::new(self.clone())
    }

    fn swap(&self, directory: &str) -> Result<String, String> {
        Err(format!("there is no {directory}"))
    }
}

struct Held {
    is_over: bool,
    reads: Reads,
}

impl Counsel for Held {
    fn generation(&self) -> &str {
        if self.is_over { "after" } else { "before" }
    }

    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn answers(&self, hook: Hook) -> bool {
        !self.is_over && hook == Hook::Capacity
    }

    fn is_obeyed(&self, _policy: &str, hook: Hook) -> bool {
        self.answers(hook)
    }

    fn ask(&mut self, question: &Question, _now: Timestamp) -> Advice {
        let hold = Choice::Hold(Hold { span: Duration::from_secs(3_600), reason: "not yet".into() });
        let answer = Answer::Choose(vec![hold; question.len()]);
        Advice { answer, ..Advice::neutral(question) }
    }
}

/// Swaps the policies once, at a moment at which nothing else happens.
struct Swapping {
    holding: Holding,
    at: Duration,
}

impl Watcher for Swapping {
    fn progress(&mut self, _progress: Progress) {}

    fn wait(&mut self, next: Duration) -> Option<Interruption> {
        let is_due = next > self.at && !self.holding.is_over.swap(true, Ordering::SeqCst);
        is_due.then(|| Interruption { elapsed: self.at, text: "others are in force".into() })
    }
}

fn watched(at: Duration) -> Record {
    let holding = Holding::default();
    let options = Options { policies: Some(Source(Arc::new(holding.clone()))), ..Options::default() };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/small");
    let mut watcher = Swapping { holding, at };
    simulate_watched(&dir, &options, &mut watcher).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn policies_that_come_into_force_between_two_happenings_decide_at_that_moment() {
    let at = Duration::from_millis(100_123);
    let record = watched(at);
    let first = |kind| record.timeline.iter().find(|entry| entry.kind == kind).map(|entry| entry.at);
    let swapped = record.settings.start + at;
    assert_eq!(
        (first(EntryKind::Policy), first(EntryKind::Launch)),
        (Some(swapped), Some(swapped)),
        "twelve pods were held until then"
    );
}
