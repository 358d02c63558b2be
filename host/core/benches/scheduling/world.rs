//! What can be launched: Karpenter's fake catalogue, or EC2's types in us-east-1 with a choice of NodePools.

use std::collections::BTreeMap;
use std::sync::Arc;

use whittle_catalog::catalog::Catalog;
use whittle_catalog::settings::NodeClassSettings;
use whittle_core::event::Event;
use whittle_core::model::instance_type::{CapacityType, InstanceType, Offering};
use whittle_core::model::labels;
use whittle_core::model::node_pool::{ConsolidationPolicy, DaemonSet, Disruption, NodeClass, NodePool};
use whittle_core::model::pod::Owner;
use whittle_core::model::price::Price;
use whittle_core::model::requirement::{Operator, Requirement};
use whittle_core::model::resources::Resources;

use crate::pods::{GIB, MIB, plain};

const REGION: &str = "us-east-1";
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const CPU: &str = "karpenter.k8s.aws/instance-cpu";
const GENERATION: &str = "karpenter.k8s.aws/instance-generation";
const CATEGORY: &str = "karpenter.k8s.aws/instance-category";

/// What one NodePool may launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// Karpenter's 400 fake types, no DaemonSets.
    Fake,
    /// c, m and r above the second generation, amd64, on demand, in three zones: Karpenter's usual NodePool.
    A,
    /// The same with at most 32 vCPU.
    A32,
    /// c, m and r above the fifth generation with 4 to 64 vCPU.
    G5,
    /// As `A`, and arm64.
    B,
    /// As `A32`, and arm64.
    B32,
    /// Everything that is for sale in the region, spot too. Its prices are estimates in part.
    All,
}

impl Offered {
    /// The word in the names of cases.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::A => "A",
            Self::A32 => "A32",
            Self::G5 => "G5",
            Self::B => "B",
            Self::B32 => "B32",
            Self::All => "all",
        }
    }

    /// What makes it known, before any pod.
    pub(crate) fn events(self) -> Vec<Event> {
        let mut events = vec![
            Event::NodeClass(NodeClass {
                name: "default".into(),
                ready: true,
                fingerprint: None,
                instance_types: self.instance_types(),
            }),
            Event::NodePool(Box::new(self.pool())),
        ];
        if self != Self::Fake {
            events.extend(daemon_sets().into_iter().map(Event::DaemonSet));
        }
        events
    }

    fn instance_types(self) -> Arc<[InstanceType]> {
        let zones = match self {
            Self::Fake => return (0..400).map(fake_type).collect(),
            Self::A | Self::A32 | Self::G5 | Self::B | Self::B32 => Some(ZONES.map(str::to_owned).to_vec()),
            Self::All => None,
        };
        let settings = NodeClassSettings { zones, ..NodeClassSettings::default() };
        let types = Catalog::embedded().instance_types(REGION, &settings);
        types.expect("the catalogue has the region").into()
    }

    fn requirements(self) -> Vec<Requirement> {
        let cpu_up_to = |cpus: u32| Requirement::new(CPU, Operator::Lt, [(cpus + 1).to_string()]);
        let above = |generation| Requirement::new(GENERATION, Operator::Gt, [generation]);
        let amd64 = || Requirement::equals(labels::ARCH, "amd64");
        let own = match self {
            Self::Fake | Self::All => return Vec::new(),
            Self::A => vec![above("2"), amd64()],
            Self::A32 => vec![above("2"), amd64(), cpu_up_to(32)],
            Self::G5 => {
                vec![above("5"), amd64(), Requirement::new(CPU, Operator::Gt, ["3"]), cpu_up_to(64)]
            }
            Self::B => vec![above("2")],
            Self::B32 => vec![above("2"), cpu_up_to(32)],
        };
        let common = [
            Requirement::new(CATEGORY, Operator::In, ["c", "m", "r"]),
            Requirement::equals(labels::CAPACITY_TYPE, CapacityType::OnDemand.label()),
        ];
        own.into_iter().chain(common).collect()
    }

    fn pool(self) -> NodePool {
        let limits = match self {
            // As Karpenter's benchmark has them: never reached, but looked at.
            Self::Fake => {
                [("cpu".to_owned(), 10_000_000_000), ("memory".to_owned(), 10_000_000 * GIB)].into()
            }
            Self::A | Self::A32 | Self::G5 | Self::B | Self::B32 | Self::All => BTreeMap::new(),
        };
        NodePool {
            name: "default".into(),
            weight: 0,
            node_class: "default".into(),
            requirements: self.requirements(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            limits,
            disruption: Disruption {
                consolidate_after: None,
                policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
                budgets: Vec::new(),
            },
            expire_after: None,
            termination_grace_period: None,
            replicas: None,
            ready: true,
            deleting: false,
        }
    }
}

/// Five pods on every node that come to 350m and 512Mi.
fn daemon_sets() -> Vec<DaemonSet> {
    let memory_mib = [128, 96, 96, 96, 96];
    let set = |(at, mib): (usize, u64)| {
        let name = format!("daemon-{at}");
        let owner = Some(Owner { kind: "DaemonSet".into(), name: name.clone() });
        let spec = whittle_core::model::pod::PodSpec { owner, ..plain(70, mib * MIB) };
        DaemonSet { namespace: "default".into(), name, spec: Arc::new(spec) }
    };
    memory_mib.into_iter().enumerate().map(set).collect()
}

/// One of Karpenter's 400 fake instance types.
pub(crate) fn fake_type(at: u64) -> InstanceType {
    let (cpus, memory_bytes) = (at + 1, 2 * (at + 1) * GIB);
    let name = format!("fake-it-{at}");
    let one = |value: &str| vec![value.to_owned()];
    let systems = ["darwin", "linux", "windows"].map(str::to_owned).to_vec();
    let labels = [(labels::INSTANCE_TYPE, one(&name)), (labels::ARCH, one("amd64")), (labels::OS, systems)];
    let offering = |(capacity_type, zone): (CapacityType, &str)| Offering {
        zone: zone.to_owned(),
        zone_id: format!("id-of-{zone}"),
        capacity_type,
        price: Price::from_micros(cpus * 100_000 + memory_bytes / 10_000),
        estimated: false,
        available: true,
        reservation: None,
    };
    let (spot, on_demand) = (CapacityType::Spot, CapacityType::OnDemand);
    let offerings = [(spot, "1"), (spot, "2"), (on_demand, "1"), (on_demand, "2"), (on_demand, "3")];
    InstanceType {
        name,
        labels: labels.map(|(key, values)| (key.to_owned(), values)).into(),
        capacity: Resources {
            cpu_millis: cpus * 1_000,
            memory_bytes,
            ephemeral_storage_bytes: 20 * GIB,
            pods: 10 * cpus,
            extended: BTreeMap::new(),
        },
        overhead: Resources { cpu_millis: 100, memory_bytes: 10 * MIB, ..Resources::default() },
        offerings: offerings.map(offering).to_vec(),
    }
}
