//! What a pod's volumes say about where it can be, and what they take of what a node can attach.
//!
//! Which volumes a claim stands for, and why it can be nowhere, is the border's work.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::ObjectKey;
use crate::model::node_pool::{VolumeBinding, VolumeClaim};
use crate::model::pod::Pod;
use crate::model::requirement::{Operator, Requirement};

/// Volumes are joined into one list of alternatives as long as it is no longer than this: a pod with ten volumes of
/// three zones each has three ways to be placed and not sixty thousand.
const ALTERNATIVES_MAX: usize = 64;

/// What a pod's volumes take of the number that a node can attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachments {
    /// By CSI driver, how many volumes that no other pod mounts.
    pub own: BTreeMap<String, u32>,
    /// By CSI driver, the claims that other pods mount too: on one node each counts once.
    pub shared: BTreeSet<(String, ObjectKey)>,
}

impl Attachments {
    /// Whether nothing is attached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }
}

/// Ways to be placed, one of which must hold.
type Alternatives = Vec<Vec<Requirement>>;

/// What the volumes of a pod come to.
pub(super) struct Mounted {
    pub(super) alternatives: Vec<Alternatives>,
    pub(super) attachments: Attachments,
    pub(super) impossible: Option<String>,
}

/// What the volumes of a pod come to. `is_shared` says whether more than one pod mounts a claim.
pub(super) fn mounted(
    pod: &Pod,
    claims: &BTreeMap<ObjectKey, VolumeClaim>,
    is_shared: &dyn Fn(&ObjectKey) -> bool,
) -> Mounted {
    let mut joined =
        Mounted { alternatives: Vec::new(), attachments: Attachments::default(), impossible: None };
    let names: BTreeSet<&String> = pod.volume_claims.iter().collect();
    for name in names {
        let key = (pod.spec.namespace.clone(), name.clone());
        let found = match claims.get(&key) {
            None => Err("does not exist".to_owned()),
            Some(claim) => match &claim.binding {
                VolumeBinding::Impossible(why) => Err(why.clone()),
                VolumeBinding::Nodes(alternatives) => Ok((claim, alternatives)),
            },
        };
        let (claim, alternatives) = match found {
            Ok(found) => found,
            Err(why) => return nowhere(format_reason(&key, claims.contains_key(&key), &why)),
        };
        if !alternatives.is_empty() && !join(&mut joined.alternatives, alternatives) {
            let why = format!(
                "no node is within reach of all volumes of the pod: PersistentVolumeClaim {}/{name} is elsewhere \
                 than the others",
                key.0
            );
            return nowhere(why);
        }
        if let Some(driver) = &claim.driver {
            if is_shared(&key) {
                joined.attachments.shared.insert((driver.clone(), key));
            } else {
                *joined.attachments.own.entry(driver.clone()).or_default() += 1;
            }
        }
    }
    joined
}

fn format_reason((namespace, name): &ObjectKey, exists: bool, why: &str) -> String {
    let separator = if exists { ": " } else { " " };
    format!("PersistentVolumeClaim {namespace}/{name}{separator}{why}")
}

fn nowhere(why: String) -> Mounted {
    Mounted { alternatives: Vec::new(), attachments: Attachments::default(), impossible: Some(why) }
}

/// Joins the alternatives of one more volume; says whether anything is left.
fn join(volumes: &mut Vec<Alternatives>, more: &Alternatives) -> bool {
    let Some(last) = volumes.last_mut() else {
        volumes.push(more.clone());
        return true;
    };
    let mut product: Alternatives = Vec::new();
    for (one, other) in last.iter().flat_map(|one| more.iter().map(move |other| (one, other))) {
        if let Some(both) = together(one, other)
            && !product.contains(&both)
        {
            product.push(both);
        }
    }
    if product.len() > ALTERNATIVES_MAX {
        volumes.push(more.clone());
        return true;
    }
    *last = product;
    !last.is_empty()
}

/// Both at once; `None` where a label would need two values.
fn together(one: &[Requirement], other: &[Requirement]) -> Option<Vec<Requirement>> {
    let mut both = one.to_vec();
    for more in other {
        let same = |known: &Requirement| {
            known.key == more.key && [known.operator, more.operator] == [Operator::In, Operator::In]
        };
        if let Some(at) = both.iter().position(same) {
            both[at].values.retain(|value| more.values.contains(value));
            if both[at].values.is_empty() {
                return None;
            }
        } else if !both.contains(more) {
            both.push(more.clone());
        }
    }
    Some(both)
}
