//! The loop on a clock of the wall: events in, decisions when they are due, plans carried out side by side.
//!
//! Nothing is awaited between an event and the state: writes run in tasks of their own and report back. A process that
//! does not lead, or has not seen everything yet, listens and does not decide.

mod heard;
mod inherited;
mod news;
mod outside;
mod said;
mod traced;
mod work;

use std::sync::Arc;
use std::time::Duration as Span;

use kube_client::Client;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::block_in_place;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use whittle_control::controller::Controller;
use whittle_control::in_flight::{Ended, InFlight, Key};
use whittle_control::ports::Cloud;
use whittle_core::event::Event;
use whittle_core::lifecycle::leftover::unlaunched;
use whittle_core::model::fingerprint::Fingerprint;
use whittle_core::model::node::Node;
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, DeleteReason, Plan};

use crate::book::Book;
use crate::claims::Claims;
use crate::cluster::nominations::{Renomination, renominations, stale_nominations};
use crate::cluster::writer::Writer;
use crate::cluster::{Facts, Nominating, Session, clock};
use crate::connect::Ways;
use crate::driver::inherited::Inherited;
use crate::driver::news::is_news;
use crate::driver::outside::Unsettled;
use crate::driver::said::log;
use crate::driver::work::{Done, Work};
use crate::intake::{InstanceTypes, Intake, Taken, Unclear};
use crate::lease::{RENEW_WITHIN, Renewed, Role};
use crate::metrics::standing::Detail;
use crate::metrics::{About, Metrics};
use crate::outside::Word;
use crate::pools;
use crate::registrations::Registrations;
use crate::serve::Asked;
use crate::tell::{self, Teller};
use crate::watch::{self as watches, Change, Kind};

/// Decisions are at least so far apart: what arrives within is decided about together.
const PACE: Duration = Duration::from_millis(50);
/// The clock may go back by so much before it is followed.
const CLOCK_JITTER: Duration = Duration::from_secs(5);
/// So many changes are taken in before a decision may be due again.
const CHANGES_AT_ONCE: usize = 1_000;
/// How often metrics and the status of NodePools are brought up to date.
const STAND_EVERY: Span = Span::from_secs(1);
/// The cloud's list is asked for so often at first, when the last process may have left something (Karpenter: 10 s, 20
/// times).
const LIST_AT_FIRST: Span = Span::from_secs(10);
/// For so many times.
const LISTS_AT_FIRST: u32 = 20;
/// And so often afterwards (Karpenter: 2 min).
const LIST_LATER: Span = Span::from_secs(120);
/// What is under way at the end is waited for so long.
const LAST_WORDS: Span = Span::from_secs(10);

/// Everything that the loop is made of.
pub struct Parts<C> {
    /// The ways to the API server.
    pub ways: Ways,
    /// The cloud.
    pub cloud: Arc<C>,
    /// Who decides.
    pub controller: Controller,
    /// Who knows instance types.
    pub types: Arc<dyn InstanceTypes>,
    /// What writes look up; shared with the cloud.
    pub book: Arc<Book>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Who asks how things stand, to write it into the metrics.
    pub asked: mpsc::Receiver<Asked>,
    /// How it behaves.
    pub settings: Settings,
}

/// How the loop behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The AWS region.
    pub region: String,
    /// Whether pods are nominated.
    pub nominating: Nominating,
    /// How many lanes of a plan are carried out at a time.
    pub writes_at_once: usize,
    /// Whether metrics tell of each node and pod.
    pub detail: Detail,
    /// Who this process is, for Events.
    pub identity: String,
}

/// What the loop hears from outside and what it says.
#[derive(Debug)]
pub struct Lines {
    /// Told when everything has been seen.
    pub synced: watch::Sender<bool>,
    /// Whether this process leads.
    pub role: watch::Receiver<Role>,
    /// When that was last certain.
    pub renewed: Renewed,
    /// Policies have changed.
    pub swapped: Arc<Notify>,
    /// Other instance types or prices are known.
    pub retyped: Arc<Notify>,
    /// The end.
    pub stop: watch::Receiver<bool>,
}

/// Why the loop ended before it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The lease was lost: another process may lead by now.
    #[error("the lease was lost: another one may lead by now")]
    Deposed,
    /// A watch ended, which none does.
    #[error("the watches ended")]
    WatchesEnded,
}

struct Driver<C> {
    client: Client,
    controller: Controller,
    intake: Intake,
    book: Arc<Book>,
    metrics: Arc<Metrics>,
    detail: Detail,
    teller: Teller,
    in_flight: InFlight,
    work: Work<C>,
    writer: Arc<Writer>,
    lines: Lines,
    is_synced: bool,
    decided: Timestamp,
    now: Timestamp,
    lists: u32,
    next_list: Instant,
    /// The uids of pods that have a nomination.
    nominated: std::collections::BTreeSet<String>,
    /// What NodePools were last said to stand like.
    standings: std::collections::BTreeMap<String, pools::Standing>,
    /// What NodeClaims were last said to stand like.
    claims: Claims,
    /// The fingerprints that were last written on EC2NodeClasses.
    prints: std::collections::BTreeMap<String, Fingerprint>,
    /// Whether the nodes of NodePools join.
    registrations: Registrations,
    /// What the cloud has said and was not seen to yet.
    unsettled: Vec<Unsettled>,
    /// What the last process has not seen through.
    inherited: Inherited,
}

/// Runs until it is told to stop. On `words` the cloud says what it says by itself.
///
/// # Errors
///
/// As [`Ending`] says.
pub async fn run<C>(
    parts: Parts<C>,
    lines: Lines,
    mut words: mpsc::UnboundedReceiver<Word>,
) -> Result<(), Ending>
where
    C: Cloud + Send + Sync + 'static,
{
    let Parts { ways, cloud, controller, types, book, metrics, mut asked, settings } = parts;
    let client = ways.client.clone();
    let (_watching, mut changes) = watches::start(&client);
    let (report, mut reports) = mpsc::unbounded_channel();
    let teller = Teller::start(ways.telling.clone(), settings.identity);
    let writer = Writer::new(ways, Arc::clone(&book), settings.region, settings.nominating);
    let mut driver = Driver {
        detail: settings.detail,
        teller,
        intake: Intake::new(Arc::clone(&book), types),
        work: Work::new(cloud, settings.writes_at_once, report),
        writer: Arc::new(writer),
        in_flight: InFlight::default(),
        is_synced: false,
        decided: Timestamp::EPOCH,
        now: clock(),
        lists: 0,
        next_list: Instant::now(),
        nominated: std::collections::BTreeSet::new(),
        standings: std::collections::BTreeMap::new(),
        claims: Claims::default(),
        prints: std::collections::BTreeMap::new(),
        registrations: Registrations::default(),
        unsettled: Vec::new(),
        inherited: Inherited::default(),
        client,
        controller,
        book,
        metrics,
        lines,
    };
    let ending = driver.turn((&mut changes, &mut reports, &mut asked), &mut words).await;
    driver.work.finish(LAST_WORDS).await;
    ending
}

impl<C: Cloud + Send + Sync + 'static> Driver<C> {
    async fn turn(
        &mut self,
        (changes, reports, asked): (
            &mut mpsc::Receiver<Change>,
            &mut mpsc::UnboundedReceiver<Done>,
            &mut mpsc::Receiver<Asked>,
        ),
        words: &mut mpsc::UnboundedReceiver<Word>,
    ) -> Result<(), Ending> {
        let mut stand = interval(STAND_EVERY);
        stand.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut stop, mut role) = (self.lines.stop.clone(), self.lines.role.clone());
        let (swapped, retyped) = (Arc::clone(&self.lines.swapped), Arc::clone(&self.lines.retyped));
        self.metrics.priced(&self.intake.priced());
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                changed = role.changed() => self.change_role(changed.is_ok())?,
                change = changes.recv() => {
                    self.tick();
                    self.take(change.ok_or(Ending::WatchesEnded)?);
                    for _ in 0..CHANGES_AT_ONCE {
                        let Ok(change) = changes.try_recv() else { break };
                        self.take(change);
                    }
                }
                done = reports.recv() => {
                    self.tick();
                    done.into_iter().for_each(|done| self.hear(done));
                    while let Ok(done) = reports.try_recv() {
                        self.hear(done);
                    }
                }
                Some(word) = words.recv() => {
                    self.tick();
                    let more = std::iter::from_fn(|| words.try_recv().ok()).take(CHANGES_AT_ONCE);
                    let all = std::iter::once(word).chain(more).collect();
                    self.hear_words(all);
                }
                () = swapped.notified() => {
                    self.tick();
                    self.controller.reconsider(self.now);
                }
                () = retyped.notified() => {
                    self.tick();
                    self.retype();
                }
                Some(answer) = asked.recv() => self.tell_metrics(answer),
                () = sleep_until(self.wake()) => self.tick(),
                _ = stand.tick() => self.stand(),
            }
            self.work.forget_ended();
            if self.leads() && self.is_due() {
                self.decide();
            }
        }
    }

    /// Time does not go back by a little. A clock that was far ahead and was set right is followed: everything would be due
    /// only when it is that late again.
    fn tick(&mut self) {
        let read = clock();
        if read + CLOCK_JITTER < self.now {
            tracing::warn!(ahead = %self.now.since(read), "the clock has gone back, and is followed");
            self.now = read;
            self.decided = self.decided.min(read);
            self.controller.reconsider(read);
        }
        self.now = self.now.max(read);
    }

    fn leads(&self) -> bool {
        let is_certain = self.lines.renewed.borrow().is_none_or(|renewed| renewed.elapsed() < RENEW_WITHIN);
        self.is_synced && is_certain && *self.lines.role.borrow() == Role::Leader
    }

    fn change_role(&mut self, is_known: bool) -> Result<(), Ending> {
        let role = *self.lines.role.borrow_and_update();
        self.metrics.leads(role == Role::Leader);
        match role {
            Role::Deposed => Err(Ending::Deposed),
            Role::Leader => {
                tracing::info!("this process leads");
                self.next_list = Instant::now();
                self.lists = 0;
                Ok(())
            }
            Role::Standby if is_known => Ok(()),
            Role::Standby => Err(Ending::Deposed),
        }
    }

    fn take(&mut self, change: Change) {
        if let Change::Trouble(kind, message) = &change {
            tracing::warn!(%kind, "{kind}: {message}");
            self.metrics.watch_failed(&kind.to_string());
        }
        let taken = self.intake.take(change);
        self.learn(taken);
        if !self.is_synced && self.intake.incomplete().is_empty() {
            self.is_synced = true;
            self.lines.synced.send_replace(true);
            self.metrics.synced(true);
            let snapshot = self.controller.snapshot();
            let (nodes, pods) = (snapshot.nodes.len(), snapshot.pods.len());
            tracing::info!(nodes, pods, claims = snapshot.claims.len(), "everything is listed");
        }
    }

    /// Tells every class with what it can launch by now.
    fn retype(&mut self) {
        let taken = self.intake.retell_classes();
        self.metrics.priced(&self.intake.priced());
        self.learn(taken);
    }

    fn learn(&mut self, taken: Taken) {
        for event in taken.events {
            if let Event::Pod(pod) = &event
                && pod.nominated_node.is_some()
            {
                self.nominated.insert(pod.uid.clone());
            }
            if is_news(&event, self.controller.snapshot()) {
                if let Event::Node(node) = &event {
                    self.warn_of_twins(node);
                }
                self.metrics.heard(&event, self.controller.snapshot(), self.now);
                self.controller.handle(event, self.now);
            }
        }
        for problem in taken.problems {
            self.report(problem);
        }
    }

    /// Two Nodes of one instance: which of them counts, the state says (`Snapshot::node_of_instance`).
    fn warn_of_twins(&self, node: &Node) {
        let other = self.controller.snapshot().node_of_instance(&node.provider_id);
        if let Some(other) = other.filter(|other| other.name != node.name) {
            let instance = &node.provider_id;
            let (node, other) = (&node.name, &other.name);
            tracing::warn!(
                node,
                other,
                instance,
                "two Nodes say that they are of one instance: the one made last counts"
            );
        }
    }

    fn report(&mut self, problem: Unclear) {
        let Unclear { kind, namespace, name, message, .. } = &problem;
        tracing::warn!(%kind, namespace, name, "not understood: {message}");
        self.metrics.unclear(&kind.to_string());
        if *kind == Kind::NodePool {
            let (name, standing) = (name.clone(), pools::invalid(message.clone()));
            self.publish(name, standing);
        }
        self.teller.tell([tell::of_unclear(&problem)], self.now);
    }

    /// When the loop has to look next though nothing happens.
    fn wake(&self) -> Instant {
        let due = if self.leads() { self.due_at() } else { None };
        let left = due.map_or(STAND_EVERY, |due| Span::from_millis(due.since(self.now).millis()));
        Instant::now() + left
    }

    fn due_at(&self) -> Option<Timestamp> {
        let wakes = [self.controller.next_wake(), self.in_flight.next()];
        let earliest = self.decided + PACE;
        wakes.into_iter().flatten().min().map(|at| at.max(earliest))
    }

    fn is_due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= self.now)
    }

    fn decide(&mut self) {
        let now = self.now;
        self.decided = now;
        if self.inherited.are_open(self.controller.snapshot(), now) {
            self.launch_what_was_not();
            return;
        }
        let start = Instant::now();
        // What is carried out belongs to it, however long after it that ends.
        let span = traced::decision();
        let _decides = span.enter();
        let about = if self.controller.is_provisioning_due(now) { About::Pods } else { About::Nodes };
        let mut plan = block_in_place(|| self.controller.decide(now));
        self.metrics.decided(start.elapsed(), about);
        self.say_what_waits(&plan);
        self.in_flight.take_up(&mut plan, now);
        self.spare_what_is_not_understood(&mut plan);
        traced::note(&span, &plan, self.controller.snapshot());
        if !plan.actions.is_empty() {
            self.carry_out(plan);
        }
        self.retaint();
        self.launch_what_was_not();
        self.nominate_anew();
    }

    /// A NodeClaim does not go for want of a Node that is there and is not understood.
    fn spare_what_is_not_understood(&mut self, plan: &mut Plan) {
        let Self { controller, intake, in_flight, now, .. } = self;
        plan.actions.retain(|action| {
            let Action::Delete(delete) = action else { return true };
            let claim = controller.snapshot().claims.get(&delete.claim);
            let node = claim.and_then(|claim| claim.node.as_deref()).unwrap_or_default();
            let for_want = matches!(delete.reason, DeleteReason::InstanceGone | DeleteReason::NodeDeleted);
            let spared = for_want && intake.is_unclear(Kind::Node, node);
            if spared {
                tracing::warn!(claim = delete.claim, node, "stays: its Node is there and is not understood");
                in_flight.end(&Key::of(action), Ended::Badly, *now);
            }
            !spared
        });
    }

    fn carry_out(&mut self, plan: Plan) {
        let snapshot = self.controller.snapshot();
        plan.actions.iter().for_each(log);
        self.metrics.planned(&plan, snapshot);
        let told = tell::of_plan(&plan, snapshot, &self.book);
        let session = Session::new(Arc::clone(&self.writer), Arc::new(Facts::of(&plan, snapshot)));
        self.teller.tell(told, self.now);
        self.work.carry_out(plan.actions, session, self.now);
    }

    /// Gives living nodes the taints that policies want, and takes off what they want no more.
    fn retaint(&mut self) {
        for one in self.controller.retaints() {
            if self.in_flight.start(Key::retaint(&one.claim), self.now) {
                tracing::info!(node = one.node, add = one.add.len(), remove = one.remove.len(), "taints");
                let session = Session::new(Arc::clone(&self.writer), Arc::default());
                self.work.retaint(one, session);
            }
        }
    }

    /// NodeClaims whose launch did not happen: the process that wrote them ended, or the cloud did not answer.
    fn launch_what_was_not(&mut self) {
        let now = self.now;
        let in_flight = &self.in_flight;
        let found =
            unlaunched(self.controller.snapshot(), now, |claim| in_flight.is_held(&Key::launch(claim), now));
        for one in found {
            if self.in_flight.start(Key::launch(&one.claim.name), now) {
                tracing::info!(claim = one.claim.name, "launch: its NodeClaim has no instance");
                let session = Session::new(Arc::clone(&self.writer), Arc::default());
                self.work.launch(one, session, now);
            }
        }
    }

    /// Whatever makes a nomination necessary anew is an event, and after each there is a decision.
    fn nominate_anew(&mut self) {
        if self.writer.nominating() != Nominating::Never {
            self.nominate_all(renominations(self.controller.snapshot()));
        }
    }

    /// What makes a nomination stale is that time goes by.
    fn take_stale_nominations_off(&mut self) {
        if self.writer.nominating() == Nominating::Never || self.nominated.is_empty() {
            return;
        }
        let snapshot = self.controller.snapshot();
        self.nominated.retain(|uid| {
            snapshot.pods.get(uid).is_some_and(|pod| pod.nominated_node.is_some() && pod.node.is_none())
        });
        self.nominate_all(stale_nominations(snapshot, &self.nominated, self.now));
    }

    fn nominate_all(&mut self, found: Vec<Renomination>) {
        for one in found {
            if self.in_flight.start(Key::renomination(&one.uid), self.now) {
                self.work.nominate(one, Arc::clone(&self.writer));
            }
        }
    }

    /// Asks the cloud what runs, now and then.
    fn list_instances(&mut self) {
        if Instant::now() < self.next_list {
            return;
        }
        self.lists = self.lists.saturating_add(1);
        let pause = if self.lists < LISTS_AT_FIRST { LIST_AT_FIRST } else { LIST_LATER };
        self.next_list = Instant::now() + pause;
        self.work.list(self.now);
    }
}
