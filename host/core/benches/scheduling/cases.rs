//! The list of everything that is measured, by name.

use whittle_core::settings::{PreferencePolicy, Settings};

use crate::decision::{Before, Decision};
use crate::events::Change;
use crate::workloads::{Rules, Services, Workload};
use crate::world::Offered;

/// One thing to measure.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) subject: Subject,
}

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A decision.
    Decision(Decision),
    /// Events in a cluster that runs.
    Events(Change),
}

/// Numbers of pods of Karpenter's mix, and the nodes that Karpenter makes for them.
const K1: [(usize, usize); 9] = [
    (1, 1),
    (50, 10),
    (100, 20),
    (500, 100),
    (1_000, 200),
    (2_000, 400),
    (5_000, 1_000),
    (10_000, 2_000),
    (20_000, 4_000),
];

/// All cases, in the order in which they are run.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (pods, nodes) in K1 {
        let decision = Decision {
            nodes_of_karpenter: Some(nodes),
            ..on_nothing(Workload::Diverse(pods), Offered::Fake)
        };
        cases.push(Case { name: format!("K1/{pods}"), subject: Subject::Decision(decision) });
    }
    for (word, preferences) in [("respect", PreferencePolicy::Respect), ("ignore", PreferencePolicy::Ignore)]
    {
        let settings = Settings { preferences, ..Settings::default() };
        let decision = Decision { settings, ..on_nothing(Workload::Preferring(4_000), Offered::Fake) };
        cases.push(Case { name: format!("K2/{word}"), subject: Subject::Decision(decision) });
    }
    for (name, workload, offered) in priced().into_iter().chain(mixes()) {
        let subject = Subject::Decision(on_nothing(workload, offered));
        cases.push(Case { name: format!("{name}/{}", offered.name()), subject });
    }
    let onto = Decision { before: Before::Cluster, ..on_nothing(Workload::Diverse(10_000), Offered::Fake) };
    cases.push(Case { name: "K1-onto-cluster/10000".to_owned(), subject: Subject::Decision(onto) });
    cases.extend(
        events()
            .map(|(name, change)| Case { name: format!("state/{name}"), subject: Subject::Events(change) }),
    );
    cases
}

fn on_nothing(workload: Workload, offered: Offered) -> Decision {
    Decision {
        workload,
        offered,
        settings: Settings::default(),
        before: Before::Nothing,
        nodes_of_karpenter: None,
    }
}

const fn services(pods: usize, deployments: usize) -> Workload {
    Workload::Services(Services { pods, deployments, rules: Rules::None })
}

/// Workloads that are there for what the plan costs.
fn priced() -> [(&'static str, Workload, Offered); 16] {
    let bound = Workload::Services(Services { pods: 10_000, deployments: 150, rules: Rules::Some });
    [
        ("kgen-1k", Workload::Sizes(1_000), Offered::A),
        ("kgen-10k", Workload::Sizes(10_000), Offered::A),
        ("kgen-10k", Workload::Sizes(10_000), Offered::A32),
        ("kgen-100k", Workload::Sizes(100_000), Offered::A32),
        ("micro-1k", services(1_000, 50), Offered::A),
        ("micro-10k", services(10_000, 150), Offered::A),
        ("micro-10k", services(10_000, 150), Offered::A32),
        ("micro-10k", services(10_000, 150), Offered::G5),
        ("micro-100k", services(100_000, 200), Offered::A32),
        ("microC-10k", bound, Offered::B32),
        ("microC-10k", bound, Offered::B),
        ("big-2k", Workload::Large(2_000), Offered::A32),
        ("big-2k", Workload::Large(2_000), Offered::A),
        ("wide-1k", Workload::Wide, Offered::A32),
        ("wide-1k", Workload::Wide, Offered::A),
        ("basic-1k", Workload::Basic, Offered::A32),
    ]
}

/// Workloads that are there for what the decision takes: few kinds of pods and many, on everything for sale.
fn mixes() -> [(&'static str, Workload, Offered); 3] {
    [
        ("micro-10k", services(10_000, 150), Offered::All),
        ("group-poor-100k", services(100_000, 200), Offered::All),
        ("group-rich-100k", services(100_000, 10_000), Offered::All),
    ]
}

fn events() -> impl Iterator<Item = (&'static str, Change)> {
    let events = [
        ("everything", Change::Everything),
        ("pod-waits", Change::PodWaits),
        ("pod-changes", Change::PodChanges),
        ("pod-is-bound", Change::PodIsBound),
        ("pod-goes", Change::PodGoes),
        ("node-changes", Change::NodeChanges),
        ("node-joins", Change::NodeJoins),
        ("node-goes", Change::NodeGoes),
        ("snapshot-kept", Change::SnapshotKept),
    ];
    events.into_iter()
}
