//! The policies in force, and how they are asked.
//!
//! A decision takes a set at its start and keeps it to its end; a swap is the exchange of one pointer, so a decision
//! that is under way goes on with the set that it has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use whittle_control::ports::policies::{Counsel, Policies};
use whittle_core::advice::merge::{Mode, Voice, merge};
use whittle_core::advice::restrict::{restrict, widen};
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Advice, Answer, Hook, Kind, Question};
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::time::Timestamp;

use crate::attachments::NodePools;
use crate::breaker::Breaker;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::generation::{Attached, Generation};
use crate::guest::{Level, Log};
use crate::module::{Consultation, Cost};

/// Whether the clock may end a consultation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It may: decisions that people wait for.
    Production,
    /// Only fuel may, which is the same in every run: simulation and replay.
    Simulation,
}

/// Lines of policies' logs that are kept for whoever asks.
const LINES_MAX: usize = 200;

/// Questions of one kind that are kept are no larger than this: they are asked again before a swap.
const RECORDED_MAX: usize = 2_000;

/// The policies in force.
#[derive(Debug)]
pub struct Advisor {
    engine: Arc<Engine>,
    patience: Patience,
    current: RwLock<Arc<Generation>>,
    health: Mutex<Health>,
}

/// What is known of how policies do.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// By policy and hook.
    pub(crate) records: BTreeMap<(String, Hook), Record>,
    /// What policies wrote lately.
    pub(crate) lines: VecDeque<Written>,
    /// When policies were asked last, by the clock of whoever asks: that of a simulation is not that of the machine.
    pub(crate) asked_at: Option<Timestamp>,
    recorded: BTreeMap<Kind, (Question, Timestamp)>,
}

/// How a policy does with one hook.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) breaker: Breaker,
    pub(crate) asked: u64,
    pub(crate) faults: u64,
    pub(crate) last_fault: Option<(Timestamp, String, Vec<String>)>,
    pub(crate) most: Cost,
}

/// A line that a policy wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The policy's name, as it is attached.
    pub policy: String,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub text: String,
}

impl Advisor {
    /// An advisor without policies.
    #[must_use]
    pub fn new(engine: Arc<Engine>, patience: Patience) -> Self {
        Self { engine, patience, current: RwLock::default(), health: Mutex::default() }
    }

    /// The engine that policies run in.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The set in force.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        // A panic elsewhere cannot leave a pointer half-written.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a set in force, whole and at once. Policies that are new, or have new settings, start with a clean slate.
    pub fn swap(&self, generation: Generation) {
        let before = self.current();
        let is_same = |policy: &Attached| {
            before
                .policies
                .iter()
                .any(|old| old.attachment == policy.attachment && old.module.digest == policy.module.digest)
        };
        let same: BTreeSet<&str> = generation
            .policies
            .iter()
            .filter(|policy| is_same(policy))
            .map(|policy| policy.attachment.name.as_str())
            .collect();
        self.health().records.retain(|(policy, _), _| same.contains(policy.as_str()));
        let generation = Arc::new(generation);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = generation;
    }

    /// The last questions asked, one of each kind.
    #[must_use]
    pub fn recorded(&self) -> Vec<(Question, Timestamp)> {
        self.health().recorded.values().cloned().collect()
    }

    pub(crate) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn consult(&self, policy: &Attached, question: &Question, now: Timestamp) -> Result<Answer, String> {
        let key = (policy.attachment.name.clone(), question.hook());
        {
            let mut health = self.health();
            health.asked_at = health.asked_at.max(Some(now));
            let record = health.records.entry(key.clone()).or_default();
            if !record.breaker.is_closed(now) {
                let last = record.last_fault.as_ref().map(|(_, message, _)| message.clone());
                return Err(Fault::Open { last: last.unwrap_or_default() }.to_string());
            }
        }
        let limits = match self.patience {
            Patience::Production => policy.attachment.limits,
            Patience::Simulation => policy.attachment.limits.patient(),
        };
        let settings = (policy.attachment.settings.as_str(), limits);
        // Nothing is locked while a policy thinks.
        let Consultation { answer, cost, log } =
            policy.module.consult(&self.engine, settings, (question, &policy.reads, now));
        let mut health = self.health();
        write_down(&mut health.lines, &key.0, log, now);
        let record = health.records.entry(key).or_default();
        record.asked += 1;
        record.most.fuel = record.most.fuel.max(cost.fuel);
        record.most.took = record.most.took.max(cost.took);
        match answer {
            Ok(answer) => {
                record.breaker.succeeded();
                Ok(answer)
            }
            Err(fault) => {
                record.faults += 1;
                record.breaker.failed(now);
                record.last_fault = Some((now, fault.to_string(), fault.backtrace().to_vec()));
                Err(fault.to_string())
            }
        }
    }
}

fn write_down(lines: &mut VecDeque<Written>, policy: &str, log: Log, now: Timestamp) {
    let left_out =
        (log.left_out > 0).then(|| (Level::Warn, format!("{} more lines were left out", log.left_out)));
    let written = log.lines.into_iter().map(|line| (line.level, line.text)).chain(left_out);
    for (level, text) in written {
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(Written { policy: policy.to_owned(), at: now, level, text });
    }
}

impl Policies for Advisor {
    fn counsel(&self, node_pools: &BTreeMap<String, NodePool>) -> Box<dyn Counsel + '_> {
        let generation = self.current();
        let concerned = generation.policies.iter().map(|policy| concerned(policy, node_pools)).collect();
        let name = generation.digest.map(|digest| digest.to_string()).unwrap_or_default();
        Box::new(Held { advisor: self, generation, concerned, name })
    }
}

/// The NodePools that a policy is about; `None` for all, those included that are still to come.
fn concerned(policy: &Attached, node_pools: &BTreeMap<String, NodePool>) -> Option<BTreeSet<String>> {
    match &policy.attachment.node_pools {
        NodePools::All => None,
        NodePools::Named(names) => Some(names.clone()),
        NodePools::Labelled(labels) => {
            let carries_all =
                |pool: &&NodePool| labels.iter().all(|(key, value)| pool.labels.get(key) == Some(value));
            Some(node_pools.values().filter(carries_all).map(|pool| pool.name.clone()).collect())
        }
    }
}

/// The set that one decision is made with.
struct Held<'a> {
    advisor: &'a Advisor,
    generation: Arc<Generation>,
    /// For each policy the NodePools that it is about.
    concerned: Vec<Option<BTreeSet<String>>>,
    name: String,
}

impl Counsel for Held<'_> {
    fn generation(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> &Reads {
        &self.generation.reads
    }

    fn answers(&self, hook: Hook) -> bool {
        let answers = |policy: &Attached| policy.attachment.mode.is_some() && policy.hooks.contains(&hook);
        self.generation.policies.iter().any(answers)
    }

    fn is_obeyed(&self, policy: &str, hook: Hook) -> bool {
        self.generation.policies.iter().any(|attached| {
            attached.attachment.name == policy
                && attached.attachment.mode == Some(Mode::Enforce)
                && attached.hooks.contains(&hook)
        })
    }

    fn ask(&mut self, question: &Question, now: Timestamp) -> Advice {
        if question.is_empty() {
            return Advice::neutral(question);
        }
        if question.len() <= RECORDED_MAX && self.answers(question.hook()) {
            self.advisor.health().recorded.insert(question.kind(), (question.clone(), now));
        }
        let mut voices = Vec::new();
        for (policy, concerned) in self.generation.policies.iter().zip(&self.concerned) {
            let Some(mode) = policy.attachment.mode else { continue };
            if !policy.hooks.contains(&question.hook()) {
                continue;
            }
            let (places, answer) = match concerned {
                None => ((0..question.len()).collect(), self.advisor.consult(policy, question, now)),
                Some(pools) => {
                    let Some(part) = restrict(question, |pool| pools.contains(pool)) else { continue };
                    let answer = self.advisor.consult(policy, &part.question, now);
                    let answer = answer.map(|answer| widen(question, &part.places, answer));
                    (part.places, answer)
                }
            };
            let on_failure = policy.attachment.on_failure;
            voices.push(Voice { policy: policy.attachment.name.clone(), mode, on_failure, places, answer });
        }
        merge(question, &voices)
    }
}
