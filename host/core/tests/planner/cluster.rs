//! A small cluster in readable words: `pool("general").taint("gpu")`, `pods("web", 3).cpu(500)`, `node("a")`.
//!
//! A pod's uid is its name, a NodeClaim is named like the `node(..)` it was made with, and its Node `node-<name>`.

pub(crate) mod catalogue;
pub(crate) mod nodes;
pub(crate) mod pods;
pub(crate) mod pools;
pub(crate) mod text;

use whittle_core::check::check;
use whittle_core::disrupt::drifted::{drifted, replacements};
use whittle_core::disrupt::{Round, disrupt};
use whittle_core::event::Event;
use whittle_core::interruption::interruption;
use whittle_core::lifecycle::{Due, lifecycle};
use whittle_core::model::time::{Duration, Timestamp};
use whittle_core::plan::{Action, Launch, Plan};
use whittle_core::provision::problem::Cache;
use whittle_core::provision::{provision, provision_in_karpenter_order};
use whittle_core::settings::Settings;
use whittle_core::state::ClusterState;

/// When everything in these tests starts: a day after the epoch, so that there is a past.
pub(crate) const START: Timestamp = Timestamp::from_millis(86_400_000);
/// One gibibyte in bytes.
pub(crate) const GIB: u64 = 1 << 30;

/// So many seconds after the start.
pub(crate) fn at(seconds: u64) -> Timestamp {
    START + secs(seconds)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Something that stands for changes to what is known.
pub(crate) trait Known {
    fn events(self) -> Vec<Event>;
}

impl Known for Event {
    fn events(self) -> Vec<Event> {
        vec![self]
    }
}

/// What is known about a cluster, and the decisions that come of it.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) state: ClusterState,
    cache: Cache,
}

impl Cluster {
    /// An empty cluster whose EC2NodeClass `default` can launch the whole catalogue.
    pub(crate) fn new() -> Self {
        Self::default().with(catalogue::class())
    }

    /// The same with settings of its own.
    pub(crate) fn set(settings: Settings) -> Self {
        Self { state: ClusterState::new(settings), ..Self::default() }.with(catalogue::class())
    }

    /// Takes in what has been known since long before the start.
    pub(crate) fn with(mut self, known: impl Known) -> Self {
        self.tell(known, Timestamp::EPOCH);
        self
    }

    pub(crate) fn tell(&mut self, known: impl Known, now: Timestamp) {
        for event in known.events() {
            self.state.apply(event, now);
        }
    }

    /// Decides for the waiting pods; a plan that breaks a rule fails the test.
    #[track_caller]
    pub(crate) fn provision(&mut self, now: Timestamp) -> Plan {
        let plan = provision(self.state.snapshot(), &mut self.cache, now, 7);
        assert_eq!(check(self.state.snapshot(), &plan, now), [], "the plan breaks no rule");
        plan
    }

    /// The plan in Karpenter's order; it breaks no rule either.
    #[track_caller]
    pub(crate) fn provision_in_karpenter_order(&mut self, now: Timestamp) -> Plan {
        let plan = provision_in_karpenter_order(self.state.snapshot(), &mut self.cache, now, 7);
        assert_eq!(check(self.state.snapshot(), &plan, now), [], "the plan breaks no rule");
        plan
    }

    /// Decides for the waiting pods and remembers where they are expected.
    #[track_caller]
    pub(crate) fn provision_and_expect(&mut self, now: Timestamp) -> Plan {
        let plan = self.provision(now);
        self.state.expect(&plan, now);
        plan
    }

    /// What provisioning comes to, in words.
    #[track_caller]
    pub(crate) fn provisioned(&mut self) -> Vec<String> {
        text::plan(&self.provision(START))
    }

    /// The launches that provisioning comes to.
    #[track_caller]
    pub(crate) fn launches(&mut self) -> Vec<Launch> {
        launches(&self.provision(START))
    }

    pub(crate) fn disrupt(&mut self, now: Timestamp) -> Round {
        disrupt(self.state.snapshot(), &mut self.cache, now, None)
    }

    /// Drifted nodes that may go at once, what keeps others, and then those that may be replaced, in words.
    pub(crate) fn drifted(&self, now: Timestamp) -> Vec<String> {
        let found = drifted(self.state.snapshot(), now);
        let replaced = found.with_pods.iter().map(|one| format!("replace {}", one.claim));
        text::round(&found.at_once).into_iter().chain(replaced).collect()
    }

    /// The next steps of nodes that are being replaced, in words.
    #[track_caller]
    pub(crate) fn replacements(&self, now: Timestamp) -> Vec<String> {
        let actions = replacements(self.state.snapshot(), now).actions;
        let plan = Plan { actions, ..Plan::default() };
        assert_eq!(check(self.state.snapshot(), &plan, now), [], "the plan breaks no rule");
        text::actions(&plan.actions)
    }

    /// What disruption comes to at the start, in words.
    pub(crate) fn disrupted(&mut self) -> Vec<String> {
        text::round(&self.disrupt(START))
    }

    pub(crate) fn lifecycle(&self, now: Timestamp) -> Due {
        lifecycle(self.state.snapshot(), now)
    }

    /// What is due in the lives of the NodeClaims, in words.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<String> {
        text::actions(&self.lifecycle(now).actions)
    }

    pub(crate) fn interruption(&self, now: Timestamp) -> Due {
        interruption(self.state.snapshot(), now)
    }
}

pub(crate) fn launches(plan: &Plan) -> Vec<Launch> {
    let launches = plan.actions.iter().filter_map(|action| match action {
        Action::Launch(launch) => Some((**launch).clone()),
        _ => None,
    });
    launches.collect()
}
