//! The words that clusters are made of: labels, values, amounts, tolerations.

use arbitrary::Arbitrary;
use whittle_core::model::labels;
use whittle_core::model::requirement::{Operator, Requirement, Toleration, TolerationOperator};

/// What a label has to be like.
#[derive(Arbitrary, Clone, Debug)]
pub(super) struct Wish {
    pub(super) key: Key,
    pub(super) operator: Compared,
    values: Vec<Value>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Compared {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    Gte,
    Lte,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Key {
    Zone,
    Hostname,
    CapacityType,
    InstanceType,
    Arch,
    Cpus,
    Rack,
    Pool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Value {
    A,
    B,
    C,
    Spot,
    OnDemand,
    Small,
    Amd64,
    Two,
    Huge,
    Negative,
    Pool,
    Empty,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Zone {
    A,
    B,
    C,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Resource {
    Cpu,
    Memory,
    Storage,
    Pods,
    Gpu,
    Nodes,
    Other,
}

/// Ordinary amounts mostly, and those at the ends of what a number holds.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Amount {
    Nothing,
    One,
    Hundred,
    Thousands(u8),
    Gib(u8),
    Half,
    Max,
    Any(u64),
}

#[derive(Arbitrary, Clone, Debug)]
pub(super) enum Tolerated {
    Everything,
    Special,
    Other(Value),
}

impl Wish {
    /// The requirement, as far as the conversion from manifests would let it through.
    pub(super) fn made(&self) -> Requirement {
        let texts = self.values.iter().take(3).map(|value| value.text().to_owned());
        let number = || vec![self.values.first().and_then(|value| value.number()).unwrap_or("0").to_owned()];
        let listed = || if self.values.is_empty() { vec!["a".to_owned()] } else { texts.clone().collect() };
        let (operator, values) = match self.operator {
            Compared::In => (Operator::In, listed()),
            Compared::NotIn => (Operator::NotIn, listed()),
            Compared::Exists => (Operator::Exists, Vec::new()),
            Compared::DoesNotExist => (Operator::DoesNotExist, Vec::new()),
            Compared::Gt => (Operator::Gt, number()),
            Compared::Lt => (Operator::Lt, number()),
            Compared::Gte => (Operator::Gte, number()),
            Compared::Lte => (Operator::Lte, number()),
        };
        Requirement::new(self.key.label(), operator, values)
    }
}

impl Key {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Zone => labels::ZONE,
            Self::Hostname => labels::HOSTNAME,
            Self::CapacityType => labels::CAPACITY_TYPE,
            Self::InstanceType => labels::INSTANCE_TYPE,
            Self::Arch => labels::ARCH,
            Self::Cpus => "karpenter.k8s.aws/instance-cpu",
            Self::Rack => "example.com/rack",
            Self::Pool => labels::NODE_POOL,
        }
    }
}

impl Value {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
            Self::Small => "m.small",
            Self::Amd64 => "amd64",
            Self::Two => "2",
            Self::Huge => "9223372036854775807",
            Self::Negative => "-1",
            Self::Pool => "p0",
            Self::Empty => "",
        }
    }

    pub(super) fn number(self) -> Option<&'static str> {
        match self {
            Self::Two | Self::Huge | Self::Negative => Some(self.text()),
            Self::A
            | Self::B
            | Self::C
            | Self::Spot
            | Self::OnDemand
            | Self::Small
            | Self::Amd64
            | Self::Pool
            | Self::Empty => None,
        }
    }
}

impl Resource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Storage => "ephemeral-storage",
            Self::Pods => "pods",
            Self::Gpu => "nvidia.com/gpu",
            Self::Nodes => "nodes",
            Self::Other => "example.com/thing",
        }
    }
}

impl Amount {
    /// Below 2^63, as the conversion from manifests promises.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::One => 1,
            Self::Hundred => 100,
            Self::Thousands(count) => u64::from(count) * 1_000,
            Self::Gib(count) => u64::from(count) << 30,
            Self::Half => 1 << 62,
            Self::Max => (1 << 63) - 1,
            Self::Any(amount) => amount >> 1,
        }
    }
}

impl Tolerated {
    pub(super) fn made(&self) -> Toleration {
        let special = Some("special".to_owned());
        let (key, operator) = match self {
            Self::Everything => (None, TolerationOperator::Exists),
            Self::Special => (special, TolerationOperator::Exists),
            Self::Other(value) => (special, TolerationOperator::Equal(value.text().to_owned())),
        };
        Toleration { key, operator, effect: None }
    }
}
