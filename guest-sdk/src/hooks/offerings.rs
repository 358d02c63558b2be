//! The hook `offerings`: which instance types may be bought where and how, and what their price is worth.

use crate::bindings::offerings::exports::whittle::policy::offerings::{
    InstanceType, Judgement, Offering, Verdict,
};
use crate::bindings::policy::whittle::policy::types::{Instant, Label};

/// Judges what can be bought.
///
/// ```
/// use whittle_guest_sdk::prelude::*;
///
/// /// Adds the price of a licence to each node, whatever its size.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(rename_all = "camelCase")]
/// struct Licence {
///     per_node: Money,
/// }
///
/// impl Offerings for Licence {
///     fn judge(&self, _catalog: &Catalog<'_>, offering: &Offering) -> Option<OfferingVerdict> {
///         let dearer = offering.price.saturating_add(self.per_node.micros());
///         Some(OfferingVerdict::Scale(integer::parts_per_million(dearer, offering.price)))
///     }
/// }
///
/// export_policy!(Licence: Offerings);
/// # fn main() {
/// let types = [instance_type("m7g.large")];
/// let offerings = [offering(0, "a", CapacityType::OnDemand).priced(100_000)];
/// let catalog = Catalog { now: 0, node_pool: "general", types: &types, offerings: &offerings };
/// let verdict = Licence { per_node: Money::from_micros(50_000) }.judge(&catalog, &offerings[0]);
/// assert_eq!(verdict, Some(OfferingVerdict::Scale(1_500_000)));
/// # }
/// ```
pub trait Offerings {
    /// What to say about one offering; `None` keeps it as it is.
    fn judge(&self, catalog: &Catalog<'_>, offering: &Offering) -> Option<Verdict>;

    /// What to say about all offerings: those that are not to be kept as they are.
    fn judge_all(&self, catalog: &Catalog<'_>) -> Vec<Judgement> {
        let verdicts = (0..).zip(catalog.offerings);
        verdicts
            .filter_map(|(place, offering)| {
                let verdict = self.judge(catalog, offering)?;
                Some(Judgement { offering: place, verdict })
            })
            .collect()
    }
}

/// Everything that a NodePool can buy at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Catalog<'a> {
    /// The time.
    pub now: Instant,
    /// The NodePool.
    pub node_pool: &'a str,
    /// The instance types.
    pub types: &'a [InstanceType],
    /// Where and how they can be bought.
    pub offerings: &'a [Offering],
}

impl<'a> Catalog<'a> {
    /// The instance type of an offering; `None` for an offering that is not of this catalogue.
    #[must_use]
    pub fn type_of(&self, offering: &Offering) -> Option<&'a InstanceType> {
        self.types.get(usize::try_from(offering.instance_type).ok()?)
    }
}

impl InstanceType {
    /// The value of a label that nodes of this type carry, as far as the policy reads it.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        value_of(&self.labels, key)
    }
}

/// The value of a label in a list of them.
pub(crate) fn value_of<'a>(labels: &'a [Label], key: &str) -> Option<&'a str> {
    labels.iter().find(|label| label.key == key).map(|label| label.value.as_str())
}
