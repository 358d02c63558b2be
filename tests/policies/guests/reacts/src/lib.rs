//! A guest of the tests that reacts to notices as its settings say: no stock policy does.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// What it does about each kind of notice. Without one, as without it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
pub struct Reacts {
    rebalance: Deed,
    maintenance: Deed,
    state_change: Deed,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Deed {
    #[default]
    Default,
    Ignore,
    Cordon,
    ReplaceThenDrain,
    DrainNow,
}

impl Interruption for Reacts {
    fn react(&self, _now: Instant, notice: &Notice) -> Reaction {
        let deed = match notice.kind {
            Kind::Reclaim => Deed::Default,
            Kind::Rebalance => self.rebalance,
            Kind::Maintenance => self.maintenance,
            Kind::StateChange => self.state_change,
        };
        match deed {
            Deed::Default => Reaction::Default,
            Deed::Ignore => Reaction::Ignore,
            Deed::Cordon => Reaction::Cordon,
            Deed::ReplaceThenDrain => Reaction::ReplaceThenDrain,
            Deed::DrainNow => Reaction::DrainNow,
        }
    }
}

export_policy!(Reacts: Interruption);
