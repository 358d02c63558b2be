//! What is to be said of a NodeClaim beside how far it is: whether it may be consolidated, has drifted, how its drain goes,
//! and whether its node is what was bought.
//!
//! Nothing here is decided by: whoever shows it to people asks for it, and decisions look at what it is made of.

use crate::disrupt::candidates::{Quiet, quiet};
use crate::drift::drift;
use crate::lifecycle::drain::{deadline, is_drained};
use crate::lifecycle::volumes::awaited;
use crate::model::fingerprint::{Fingerprint, MadeFrom, VERSION};
use crate::model::node::{Node, NodeClaim};
use crate::model::time::{Duration, Timestamp};
use crate::state::Snapshot;

/// A node must report so many of a hundred parts of what was bought (Karpenter: consistency check).
const REPORTED_PERCENT: u64 = 90;
/// When a pod came or went is said again only when it is so much later (Karpenter: deduplicated).
const POD_EVENT_STEP: Duration = Duration::from_secs(5);

/// What is to be said of a NodeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Conditions that are to be there.
    pub conditions: Vec<Said>,
    /// Conditions that are not to be there.
    pub absent: Vec<Topic>,
    /// When a pod last came or went.
    pub last_pod_event: Option<Timestamp>,
    /// When its drain must be over.
    pub terminate_by: Option<Timestamp>,
    /// What it says that it was made from, where that is to be said anew.
    pub made_from: MadeFrom,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which.
    pub topic: Topic,
    /// Whether it is so; `None` when it is not known yet.
    pub is_so: Option<bool>,
    /// Why, in a word.
    pub reason: &'static str,
    /// Why, in a sentence; empty where the word says it all.
    pub message: String,
}

/// What conditions are about (Karpenter's types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The node has been quiet for long enough.
    Consolidatable,
    /// The node is not what is asked for any more.
    Drifted,
    /// All pods that leave have left.
    Drained,
    /// All volumes that are waited for are detached.
    VolumesDetached,
    /// The instance is being ended.
    InstanceTerminating,
    /// The node reports what was bought.
    ConsistentStateFound,
}

impl Topic {
    /// The type of the condition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consolidatable => "Consolidatable",
            Self::Drifted => "Drifted",
            Self::Drained => "Drained",
            Self::VolumesDetached => "VolumesDetached",
            Self::InstanceTerminating => "InstanceTerminating",
            Self::ConsistentStateFound => "ConsistentStateFound",
        }
    }
}

/// How far the end of a NodeClaim is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Pods have to leave.
    Draining {
        /// How many.
        pods: usize,
    },
    /// Volumes have to be detached.
    Detaching {
        /// How many.
        volumes: usize,
    },
    /// The instance has to end, or has ended.
    Terminating {
        /// Whether volumes were given up, because time was up.
        volumes_given_up: bool,
    },
}

/// When the drain of a NodeClaim must be over, if it ends and there is such a time.
#[must_use]
pub fn ends_by(claim: &NodeClaim) -> Option<Timestamp> {
    claim.deleting.and_then(|since| deadline(claim, since))
}

/// How far the end of a NodeClaim is; `None` for one that stays.
#[must_use]
pub fn ending(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> Option<Ending> {
    let since = claim.deleting?;
    let over = Ending::Terminating { volumes_given_up: false };
    let node = snapshot.node_of_claim(claim).filter(|_| !snapshot.terminated.contains(&claim.name));
    let Some(node) = node else { return Some(over) };
    let pods = snapshot.pods_on(&node.name).filter(|pod| is_drained(pod, now)).count();
    if pods > 0 {
        return Some(Ending::Draining { pods });
    }
    let volumes = awaited(snapshot, node, now).len();
    let is_late = deadline(claim, since).is_some_and(|at| at <= now);
    Some(match volumes {
        0 => over,
        _ if is_late => Ending::Terminating { volumes_given_up: true },
        volumes => Ending::Detaching { volumes },
    })
}

impl Standing {
    fn say(&mut self, topic: Topic, is_so: Option<bool>, reason: &'static str, message: String) {
        self.conditions.push(Said { topic, is_so, reason, message });
    }
}

/// What is to be said of a NodeClaim at `now`.
#[must_use]
pub fn standing(snapshot: &Snapshot, claim: &NodeClaim, now: Timestamp) -> Standing {
    let mut standing = Standing { made_from: made_from_now(snapshot, claim), ..Standing::default() };
    let none = String::new;
    // Of one that ends it does not matter any more, and what was said stays.
    if claim.deleting.is_none() {
        match quiet(snapshot, claim, now) {
            Quiet::Yes(_) => standing.say(Topic::Consolidatable, Some(true), "Consolidatable", none()),
            Quiet::At(_) | Quiet::Never(_) => standing.absent.push(Topic::Consolidatable),
        }
        match drift(snapshot, claim, now) {
            Some(drift) => standing.say(Topic::Drifted, Some(true), drift.reason(), none()),
            None => standing.absent.push(Topic::Drifted),
        }
    }
    if claim.registered.is_some()
        && let Some(ending) = ending(snapshot, claim, now)
    {
        let (drained, detached) = (Topic::Drained, Topic::VolumesDetached);
        match ending {
            Ending::Draining { pods } => {
                standing.say(drained, None, "Draining", format!("{pods} pods have to leave"));
            }
            Ending::Detaching { volumes } => {
                let message = format!("{volumes} volumes have to be detached");
                standing.say(drained, Some(true), "Drained", none());
                standing.say(detached, None, "AwaitingVolumeDetachment", message);
            }
            Ending::Terminating { volumes_given_up } => {
                standing.say(drained, Some(true), "Drained", none());
                if volumes_given_up {
                    standing.say(detached, Some(false), "TerminationGracePeriodElapsed", none());
                } else {
                    standing.say(detached, Some(true), "VolumesDetached", none());
                }
                standing.say(Topic::InstanceTerminating, Some(true), "InstanceTerminating", none());
            }
        }
    }
    if let Some(node) = snapshot.node_of_claim(claim).filter(|_| claim.initialized.is_some()) {
        match lacking(claim, node) {
            None => standing.say(Topic::ConsistentStateFound, Some(true), "ConsistentStateFound", none()),
            Some(lack) => {
                standing.say(Topic::ConsistentStateFound, Some(false), "ConsistencyCheckFailed", lack)
            }
        }
    }
    standing.last_pod_event = claim.last_pod_event;
    standing.terminate_by = ends_by(claim);
    standing
}

/// Whether what is to be said differs enough from what was said last. That pods come and go all the time is not said all
/// the time.
#[must_use]
pub fn is_news(said: &Standing, now: &Standing) -> bool {
    let later = match (said.last_pod_event, now.last_pod_event) {
        (Some(said), Some(last)) => last >= said + POD_EVENT_STEP,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let rest = |standing: &Standing| Standing { last_pod_event: None, ..standing.clone() };
    later || rest(said) != rest(now)
}

/// What a node lacks of what was bought, in words. Only what its pods were promised is looked at.
fn lacking(claim: &NodeClaim, node: &Node) -> Option<String> {
    let bought = &claim.instance.as_ref()?.capacity;
    claim.requests.iter().find_map(|(name, _)| {
        let (found, expected) = (node.capacity.get(name), bought.get(name));
        let is_enough = u128::from(found) * 100 >= u128::from(expected) * u128::from(REPORTED_PERCENT);
        let shown = |amount| crate::why::amount::shown(name, amount);
        (!is_enough).then(|| {
            format!("the node has {} {name}, its instance type has {}", shown(found), shown(expected))
        })
    })
}

/// What a NodeClaim is to say that it was made from: where its fingerprints were made in another way than ours, or not at
/// all, the ones of now. So nothing is replaced because another program, or another release, looks at it. One that was
/// drifted already stays so: of it only the way is said anew.
fn made_from_now(snapshot: &Snapshot, claim: &NodeClaim) -> MadeFrom {
    let anew = |known: &Option<Fingerprint>, asked: Option<Fingerprint>| match (known, asked) {
        (Some(known), _) if known.version == VERSION => Some(known.clone()),
        (Some(known), Some(asked)) if claim.drifted.is_some() => {
            Some(Fingerprint { hash: known.hash.clone(), ..asked })
        }
        (_, asked) => asked,
    };
    let pool = snapshot.node_pools.get(&claim.node_pool).map(crate::model::node_pool::NodePool::fingerprint);
    let class = snapshot.node_classes.get(&claim.node_class).and_then(|class| class.fingerprint.clone());
    MadeFrom {
        node_pool: anew(&claim.made_from.node_pool, pool),
        node_class: anew(&claim.made_from.node_class, class),
    }
}
