//! Decisions with advice: policies are asked, what they say is laid over a copy of the state, and the core decides on
//! that copy as on any other.
//!
//! Without a policy that answers, nothing is asked, nothing is copied, and the core is called as if this were not here.

mod marks;
mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whittle_core::advice::apply::{choose, dress, hide, keep, keep_sides};
use whittle_core::advice::ask::supplies::{Catalogue, catalogue, market};
use whittle_core::advice::ask::{Group, nodes, waiting};
use whittle_core::advice::capacity::{self, Choice, Supply};
use whittle_core::advice::history::History;
use whittle_core::advice::interruption::{self, Reaction};
use whittle_core::advice::judged::{Judged, judge, restore};
use whittle_core::advice::limits::TAINTS_WAIT;
use whittle_core::advice::taints::{DressQuestion, Outfit, ReviewQuestion};
use whittle_core::advice::{Advice, Answer, Hook, Question};
use whittle_core::disrupt::{Round, disrupt};
use whittle_core::event::{Event, Notice, NoticeKind};
use whittle_core::interruption::meant;
use whittle_core::model::instance_type::InstanceType;
use whittle_core::model::node_pool::NodePool;
use whittle_core::model::pod::Owner;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Heard, Plan, Retaint};
use whittle_core::provision::problem::Cache;
use whittle_core::provision::provision;
use whittle_core::state::{ClusterState, Snapshot};
use whittle_core::why::change::Remedy;
use whittle_core::why::{Unplaced, Why};

use crate::advised::marks::Marks;
use crate::ports::policies::{Counsel, NoPolicies, Policies};

/// So many kinds of nodes are launched for one decision at most: each kind that policies ask for is decided about
/// anew. Pods beyond them wait for the next.
const OUTFITS_MAX: usize = 16;

/// Offerings are judged anew at the latest after so long, for policies to whom time matters.
const JUDGED_FOR: Duration = Duration::from_secs(60);

/// A move that is turned down uses up budget and room that another may have, so a round is looked at anew without it.
/// More looks than this in one round would be paid by everybody who waits for the loop; the next round goes on.
const LOOKS_MAX: usize = 8;

/// What asking policies needs from one decision to the next. All of it may be lost.
#[derive(Clone, Debug)]
pub(crate) struct Advised {
    policies: Arc<dyn Policies>,
    /// The digest of the set that was asked last.
    generation: String,
    history: History,
    /// Workloads, by namespace and owner, whose pods are divided by capacity type. Lost with a restart and found again
    /// when pods of theirs wait.
    divided: BTreeSet<(String, Option<Owner>)>,
    /// Pods that are to wait, until when, and why.
    held: BTreeMap<String, (Timestamp, String)>,
    /// What was said about the offerings of a NodePool, and for what it was said.
    judged: BTreeMap<String, JudgedPool>,
    /// Moves that are put off, by NodeClaim, and until when.
    postponed: BTreeMap<String, Timestamp>,
    /// What living nodes carry because policies want it.
    marks: Marks,
    heard: Vec<Heard>,
}

/// Judgements on the offerings of a NodePool, and what they were asked for.
#[derive(Clone, Debug)]
struct JudgedPool {
    generation: String,
    at: Timestamp,
    pool: NodePool,
    types: Arc<[InstanceType]>,
    unavailable: Vec<whittle_core::state::OfferingKey>,
    history: History,
    /// `None` when nothing was said.
    judged: Option<Judged>,
}

impl Default for Advised {
    fn default() -> Self {
        Self::new(Arc::new(NoPolicies))
    }
}

impl Advised {
    pub(crate) fn new(policies: Arc<dyn Policies>) -> Self {
        let generation = policies.counsel(&BTreeMap::new()).generation().to_owned();
        Self {
            policies,
            generation,
            divided: BTreeSet::new(),
            history: History::default(),
            held: BTreeMap::new(),
            judged: BTreeMap::new(),
            postponed: BTreeMap::new(),
            marks: Marks::default(),
            heard: Vec::new(),
        }
    }

    /// What policies have said since this was asked last.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Whether other policies are in force than when this was asked last. What the old ones wanted is forgotten: nobody
    /// is left to say when a pod that they hold may go on.
    pub(crate) fn is_swapped(&mut self) -> bool {
        let policies = Arc::clone(&self.policies);
        let counsel = policies.counsel(&BTreeMap::new());
        if counsel.generation() == self.generation {
            return false;
        }
        counsel.generation().clone_into(&mut self.generation);
        self.held.clear();
        self.divided.clear();
        self.postponed.clear();
        true
    }

    /// When a pod that is to wait has waited, or a move that was put off is due.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let held = self.held.values().map(|(until, _)| *until);
        held.chain(self.postponed.values().copied()).filter(|until| *until > now).min()
    }

    /// Whether a pod has waited for as long as it was to.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.held.values().any(|(until, _)| *until <= now)
    }

    /// Takes an event in before the state does: what it says about EC2 is remembered, and a notice becomes what it is
    /// taken for; `None` when nothing is to come of it.
    pub(crate) fn hear(&mut self, event: Event, snapshot: &Snapshot, now: Timestamp) -> Option<Event> {
        self.history.note(&event, snapshot, now);
        match event {
            Event::PodGone(uid) => {
                self.held.remove(&uid);
                Some(Event::PodGone(uid))
            }
            Event::Notice(notice) => {
                let reaction = self.react(&notice, snapshot, now);
                meant(notice, reaction).map(Event::Notice)
            }
            other => Some(other),
        }
    }

    fn react(&mut self, notice: &Notice, snapshot: &Snapshot, now: Timestamp) -> Reaction {
        let policies = Arc::clone(&self.policies);
        let mut counsel = policies.counsel(&snapshot.node_pools);
        if !counsel.answers(Hook::Interruption) {
            return Reaction::Default;
        }
        let Some(asked) = nodes::notice(snapshot, notice, counsel.reads()) else { return Reaction::Default };
        let claim = asked.node.claim.clone();
        let question = Question::React(interruption::Question { notices: vec![asked] });
        let advice = counsel.ask(&question, now);
        self.note(&advice, |_| format!("node {claim}"));
        let Answer::React(reactions) = advice.answer else { return Reaction::Default };
        let reaction = reactions.first().copied().unwrap_or(Reaction::Default);
        // EC2 takes back what it takes back: that node is kept clear by the drain that is coming.
        if reaction == Reaction::Cordon && notice.kind != NoticeKind::Reclaim {
            self.marks.keep_clear(claim);
        }
        reaction
    }

    /// Looks at the living nodes: what policies want them to carry, and what nobody wants them to carry any more.
    pub(crate) fn review(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let policies = Arc::clone(&self.policies);
        let mut counsel = policies.counsel(&snapshot.node_pools);
        let let_go = self.marks.let_go(|policy| counsel.is_obeyed(policy, Hook::Taints));
        self.heard.extend(let_go);
        if !counsel.answers(Hook::Taints) {
            return;
        }
        let nodes = nodes::living_nodes(snapshot, counsel.reads());
        let advice = counsel.ask(&Question::Review(ReviewQuestion { nodes: nodes.clone() }), now);
        let shadows = advice.said.iter().filter(|said| !said.obeyed).cloned().collect();
        let shadows = Advice { said: shadows, ..advice.clone() };
        let name =
            |place: usize| nodes.get(place).map_or_else(String::new, |node| format!("node {}", node.claim));
        self.note(&shadows, name);
        let Answer::Review(changes) = advice.answer else { return };
        let heard = self.marks.take_in(&nodes, changes);
        self.heard.extend(heard);
    }

    /// The taints by which nodes differ from what policies want.
    pub(crate) fn retaints(&mut self, snapshot: &Snapshot) -> Vec<Retaint> {
        self.marks.differences(snapshot)
    }

    /// Decides about the pods that need a place.
    pub(crate) fn provision(
        &mut self,
        state: &ClusterState,
        cache: &mut Cache,
        (now, seed): (Timestamp, u64),
    ) -> Plan {
        let policies = Arc::clone(&self.policies);
        let snapshot = state.snapshot();
        let mut counsel = policies.counsel(&snapshot.node_pools);
        let hooks = [Hook::Capacity, Hook::Taints, Hook::Offerings];
        if !hooks.into_iter().any(|hook| counsel.answers(hook)) {
            self.held.clear();
            return provision(snapshot, cache, now, seed);
        }
        self.held.retain(|_, (until, _)| *until > now);
        let held: BTreeSet<String> = self.held.keys().cloned().collect();
        let groups = waiting(snapshot, now, counsel.reads(), &held);
        let market = market(snapshot, &self.history, now);
        let choices = self.ask_choices(counsel.as_mut(), (&groups, &market), now);
        let outfits = self.ask_outfits(counsel.as_mut(), &groups, now);
        self.ask_offerings(counsel.as_mut(), snapshot, now);
        self.hold(&groups, &choices, &outfits, now);
        self.remember_sides(&groups, &choices);

        let mut copy = state.clone();
        choose(&mut copy, (&groups, &choices), &market, now);
        let known = self.judged.iter();
        let judged: BTreeMap<&str, &Judged> =
            known.filter_map(|(pool, known)| Some((pool.as_str(), known.judged.as_ref()?))).collect();
        judge(&mut copy, &judged, now);
        hide(&mut copy, self.held.keys(), now);
        let mut plan = self.by_outfit((state, copy), (&groups, &outfits), cache, (now, seed));
        restore(&mut plan, snapshot, &judged);
        self.report_held(snapshot, &mut plan);
        plan
    }

    /// Decides once for the pods to whose nodes nothing is added, and once for each outfit.
    fn by_outfit(
        &self,
        (state, copy): (&ClusterState, ClusterState),
        (groups, outfits): (&[Group], &[Outfit]),
        cache: &mut Cache,
        (now, seed): (Timestamp, u64),
    ) -> Plan {
        let mut by_outfit: BTreeMap<Dress, Vec<&Group>> = BTreeMap::new();
        for (group, outfit) in groups.iter().zip(outfits) {
            let dress = Dress::of(outfit);
            if !dress.is_none() {
                by_outfit.entry(dress).or_default().push(group);
            }
        }
        if by_outfit.is_empty() {
            return provision(copy.snapshot(), cache, now, seed);
        }
        let dressed = |groups: &[&Group]| -> Vec<String> {
            groups.iter().flat_map(|group| group.pods.iter().cloned()).collect()
        };
        let all: Vec<String> = by_outfit.values().flat_map(|groups| dressed(groups)).collect();
        let mut plain = copy.clone();
        hide(&mut plain, &all, now);
        let mut plan = provision(plain.snapshot(), cache, now, seed);
        for (round, (worn, own)) in by_outfit.iter().take(OUTFITS_MAX).enumerate() {
            let mut dressed_up = copy.clone();
            dressed_up.expect(&plan, now);
            let own: BTreeSet<String> = dressed(own).into_iter().collect();
            let others = waiting(state.snapshot(), now, &whittle_core::advice::words::Reads::default(), &own);
            hide(&mut dressed_up, others.iter().flat_map(|group| &group.pods), now);
            dress(&mut dressed_up, &worn.outfit(), now);
            // Names of NodeClaims come from the seed: each decision has its own.
            let seed = seed.wrapping_add(1 + u64::try_from(round).unwrap_or(u64::MAX));
            let mut more = provision(dressed_up.snapshot(), &mut Cache::default(), now, seed);
            more.report.unplaced.retain(|unplaced| own.contains(&unplaced.pod));
            plan.actions.append(&mut more.actions);
            plan.report.unplaced.append(&mut more.report.unplaced);
        }
        plan
    }

    fn ask_choices(
        &mut self,
        counsel: &mut dyn Counsel,
        (groups, market): (&[Group], &[Supply]),
        now: Timestamp,
    ) -> Vec<Choice> {
        let asked = groups.iter().map(|group| group.words.clone()).collect();
        let question = Question::Choose(capacity::Question { market: market.to_vec(), groups: asked });
        if !counsel.answers(Hook::Capacity) {
            return vec![Choice::Default; groups.len()];
        }
        let advice = counsel.ask(&question, now);
        self.note(&advice, |place| about(groups, place));
        match advice.answer {
            Answer::Choose(choices) => choices,
            _ => vec![Choice::Default; groups.len()],
        }
    }

    fn ask_outfits(&mut self, counsel: &mut dyn Counsel, groups: &[Group], now: Timestamp) -> Vec<Outfit> {
        if !counsel.answers(Hook::Taints) {
            return vec![Outfit::default(); groups.len()];
        }
        let asked = groups.iter().map(|group| group.words.clone()).collect();
        let advice = counsel.ask(&Question::Dress(DressQuestion { groups: asked }), now);
        self.note(&advice, |place| about(groups, place));
        match advice.answer {
            Answer::Dress(outfits) => outfits,
            _ => vec![Outfit::default(); groups.len()],
        }
    }

    /// Asks about the offerings of each NodePool where something has changed.
    fn ask_offerings(&mut self, counsel: &mut dyn Counsel, snapshot: &Snapshot, now: Timestamp) {
        self.judged.retain(|pool, _| snapshot.node_pools.contains_key(pool));
        if !counsel.answers(Hook::Offerings) {
            self.judged.clear();
            return;
        }
        for pool in snapshot.node_pools.values() {
            let Some(class) = snapshot.node_classes.get(&pool.node_class) else { continue };
            let unavailable: Vec<_> = snapshot
                .unavailable
                .iter()
                .filter(|(_, until)| **until > now)
                .map(|(key, _)| key.clone())
                .collect();
            let is_current = self.judged.get(&pool.name).is_some_and(|known| {
                known.generation == counsel.generation()
                    && known.pool == *pool
                    && Arc::ptr_eq(&known.types, &class.instance_types)
                    && known.unavailable == unavailable
                    && known.history == self.history
                    && now.since(known.at) < JUDGED_FOR
            });
            if is_current {
                continue;
            }
            let reads = counsel.reads().clone();
            let Some(Catalogue { question, places }) =
                catalogue(snapshot, pool, (&self.history, now), &reads)
            else {
                self.judged.remove(&pool.name);
                continue;
            };
            let question = Question::JudgeOfferings(question);
            let advice = counsel.ask(&question, now);
            self.note_offerings(&advice, &pool.name);
            let Answer::JudgeOfferings(judgements) = advice.answer else { continue };
            let known = JudgedPool {
                generation: counsel.generation().to_owned(),
                at: now,
                pool: pool.clone(),
                types: Arc::clone(&class.instance_types),
                unavailable,
                history: self.history.clone(),
                judged: Judged::new(&class.instance_types, &places, &judgements),
            };
            self.judged.insert(pool.name.clone(), known);
        }
    }

    /// Remembers which pods are to wait, because a policy says so or because one fails to say what their node needs.
    fn hold(&mut self, groups: &[Group], choices: &[Choice], outfits: &[Outfit], now: Timestamp) {
        for ((group, choice), outfit) in groups.iter().zip(choices).zip(outfits) {
            let until = match choice {
                Choice::Hold(hold) => Some((now + hold.span, format!("a policy holds it: {}", hold.reason))),
                Choice::Default | Choice::Split(_) if outfit.wait => {
                    let left = TAINTS_WAIT.saturating_sub(group.words.waiting);
                    Some((now + left, format!("it waits for its node's taints: {}", outfit.reason)))
                }
                Choice::Default | Choice::Split(_) => None,
            };
            if let Some(until) = until {
                self.held.extend(group.pods.iter().map(|uid| (uid.clone(), until.clone())));
            }
        }
    }

    /// Remembers whose pods are divided, and whose no longer are.
    fn remember_sides(&mut self, groups: &[Group], choices: &[Choice]) {
        for (group, choice) in groups.iter().zip(choices) {
            let workload = (group.words.namespace.clone(), group.words.owner.clone());
            match choice {
                Choice::Split(_) => self.divided.insert(workload),
                Choice::Default => self.divided.remove(&workload),
                Choice::Hold(_) => continue,
            };
        }
    }

    /// Pods that are to wait have no place, and a reason.
    fn report_held(&self, snapshot: &Snapshot, plan: &mut Plan) {
        for (uid, (_, words)) in &self.held {
            let Some(pod) = snapshot.pods.get(uid).filter(|pod| pod.is_provisionable()) else { continue };
            let itself = Some(Why::Policy { message: words.clone() });
            let (pod, name) = (uid.clone(), pod.full_name());
            plan.report.unplaced.push(Unplaced {
                pod,
                name,
                node_pools: Vec::new(),
                itself,
                remedy: Remedy::NotTried,
            });
        }
    }

    /// Looks for nodes that need not be, and asks which of them may go.
    pub(crate) fn disrupt(
        &mut self,
        state: &ClusterState,
        cache: &mut Cache,
        now: Timestamp,
        only: Option<&[whittle_core::disrupt::Move]>,
    ) -> Round {
        let policies = Arc::clone(&self.policies);
        let snapshot = state.snapshot();
        let mut counsel = policies.counsel(&snapshot.node_pools);
        self.postponed.clear();
        let asks = counsel.answers(Hook::Consolidation);
        if !asks && self.divided.is_empty() {
            return disrupt(snapshot, cache, now, only);
        }
        let mut copy = state.clone();
        keep_sides(&mut copy, &self.divided, now);
        if !asks {
            return disrupt(copy.snapshot(), cache, now, only);
        }
        let mut kept = self.rest(counsel.as_mut(), snapshot, &mut copy, now);
        let mut turned_down = BTreeSet::new();
        for look in 1.. {
            let mut round = disrupt(copy.snapshot(), cache, now, only);
            let blocked = self.judge_moves(counsel.as_mut(), snapshot, now, &mut round);
            let is_last = blocked.is_empty() || only.is_some() || look == LOOKS_MAX;
            turned_down.extend(blocked.iter().map(|blocked| blocked.claim.clone()));
            kept.extend(blocked);
            if is_last {
                // What stands in a policy's way is not also in another's.
                round.blocked.retain(|blocked| !turned_down.contains(&blocked.claim));
                round.blocked.append(&mut kept);
                return round;
            }
            keep(&mut copy, &turned_down, now);
        }
        Round::default()
    }

    /// Writes down who said what, and who failed.
    fn note(&mut self, advice: &Advice, about: impl Fn(usize) -> String) {
        for said in &advice.said {
            self.heard.push(Heard {
                policy: said.policy.clone(),
                about: about(said.subject),
                words: said.words.clone(),
                obeyed: said.obeyed,
                failed: false,
            });
        }
        self.note_faults(advice);
    }

    fn note_faults(&mut self, advice: &Advice) {
        for fault in &advice.faults {
            self.heard.push(Heard {
                policy: fault.policy.clone(),
                about: fault.hook.name().to_owned(),
                words: format!("it {}; {}", fault.message, fault.instead),
                obeyed: false,
                failed: true,
            });
        }
    }

    /// Of offerings there are thousands, so what is said about them is counted.
    fn note_offerings(&mut self, advice: &Advice, pool: &str) {
        let mut counts: BTreeMap<(&str, bool), [usize; 2]> = BTreeMap::new();
        for said in &advice.said {
            let forbids = usize::from(said.words.starts_with("forbid"));
            let counts = counts.entry((said.policy.as_str(), said.obeyed)).or_default();
            counts[0] += forbids;
            counts[1] += 1 - forbids;
        }
        for ((policy, obeyed), [forbidden, scaled]) in counts {
            self.heard.push(Heard {
                policy: policy.to_owned(),
                about: format!("NodePool {pool}"),
                words: format!("{forbidden} offerings forbidden, {scaled} at another price"),
                obeyed,
                failed: false,
            });
        }
        self.note_faults(advice);
    }
}

/// A group in words.
fn about(groups: &[Group], place: usize) -> String {
    let Some(group) = groups.get(place) else { return String::new() };
    let words = &group.words;
    match &words.owner {
        Some(owner) => format!("{} {}/{}", owner.kind, words.namespace, owner.name),
        None => format!("pods in {}", words.namespace),
    }
}

/// What tells the nodes of one outfit from those of another: what they carry, not why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dress(Outfit);

impl Dress {
    fn of(outfit: &Outfit) -> Self {
        let mut dress = Outfit { reason: String::new(), wait: false, ..outfit.clone() };
        dress.taints.sort();
        dress.startup_taints.sort();
        Self(dress)
    }

    fn is_none(&self) -> bool {
        self.0 == Outfit::default()
    }

    fn outfit(&self) -> Outfit {
        self.0.clone()
    }
}
