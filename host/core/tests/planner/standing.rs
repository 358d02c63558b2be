//! What is said of NodeClaims: their conditions, and what else is written into them.

use whittle_core::lifecycle::standing::{Standing, is_news, standing};
use whittle_core::model::fingerprint::{Fingerprint, MadeFrom, VERSION};
use whittle_core::model::labels::DISRUPTED_TAINT;
use whittle_core::model::node::VolumeAttachment;
use whittle_core::model::time::Timestamp;

use crate::cluster::nodes::{Machine, node};
use crate::cluster::pods::pod;
use crate::cluster::pools::{PoolWords, pool, taint};
use crate::cluster::{Cluster, START, at, secs};
use whittle_core::event::Event;

fn of_a(cluster: &Cluster, now: Timestamp) -> Standing {
    let snapshot = cluster.state.snapshot();
    standing(snapshot, &snapshot.claims["a"], now)
}

/// Its conditions in words: `Drained=Unknown Draining: …`, then `no Drifted`.
fn words(cluster: &Cluster, now: Timestamp) -> Vec<String> {
    let found = of_a(cluster, now);
    let said = found.conditions.iter().map(|said| {
        let status = match said.is_so {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let message = if said.message.is_empty() { String::new() } else { format!(": {}", said.message) };
        format!("{}={status} {}{message}", said.topic.name(), said.reason)
    });
    said.chain(found.absent.iter().map(|topic| format!("no {}", topic.name()))).collect()
}

fn quiet(machine: Machine) -> Cluster {
    Cluster::new().with(pool("general")).with(machine)
}

fn leaving() -> Machine {
    node("a").leaving(START).marked(taint(DISRUPTED_TAINT))
}

#[test]
fn what_is_said_of_a_node_claim_follows_its_life() {
    let consistent = "ConsistentStateFound=True ConsistentStateFound";
    let attachment = VolumeAttachment { name: "x".into(), node: "node-a".into(), volume: None };
    let attached = Event::VolumeAttachment(attachment);
    let hurried = || leaving().claim(|claim| claim.termination_grace_period = Some(secs(60)));
    let old = Fingerprint { version: VERSION.into(), hash: "old".into() };
    let drifted = node("a").claim(|claim| claim.made_from.node_pool = Some(old));
    let never = pool("general").change(|pool| pool.disruption.consolidate_after = None);
    let cases: [(&str, Cluster, &[&str]); 9] = [
        ("is being launched", quiet(node("a").unlaunched()), &["no Consolidatable", "no Drifted"]),
        (
            "runs and is quiet",
            quiet(node("a")),
            &["Consolidatable=True Consolidatable", consistent, "no Drifted"],
        ),
        (
            "was busy just now",
            quiet(node("a").busy(at(89))),
            &[consistent, "no Consolidatable", "no Drifted"],
        ),
        (
            "is never consolidated",
            Cluster::new().with(never).with(node("a")),
            &[consistent, "no Consolidatable", "no Drifted"],
        ),
        (
            "has drifted",
            quiet(drifted),
            &["Consolidatable=True Consolidatable", "Drifted=True NodePoolDrifted", consistent],
        ),
        (
            "is drained",
            quiet(leaving()).with(pod("web").on("a")).with(attached.clone()),
            &["Drained=Unknown Draining: 1 pods have to leave", consistent],
        ),
        (
            "waits for volumes",
            quiet(leaving()).with(attached.clone()),
            &[
                "Drained=True Drained",
                "VolumesDetached=Unknown AwaitingVolumeDetachment: 1 volumes have to be detached",
                consistent,
            ],
        ),
        (
            "has given up waiting for volumes",
            quiet(hurried()).with(attached),
            &[
                "Drained=True Drained",
                "VolumesDetached=False TerminationGracePeriodElapsed",
                "InstanceTerminating=True InstanceTerminating",
                consistent,
            ],
        ),
        (
            "ends",
            quiet(leaving()),
            &[
                "Drained=True Drained",
                "VolumesDetached=True VolumesDetached",
                "InstanceTerminating=True InstanceTerminating",
                consistent,
            ],
        ),
    ];
    for (state, cluster, expected) in cases {
        assert_eq!(words(&cluster, at(90)), expected, "a NodeClaim that {state}");
    }
}

#[test]
fn a_node_that_has_less_than_nine_tenths_of_what_was_bought_is_not_consistent() {
    let with_memory =
        |percent: u64| {
            let asks = node("a").claim(|claim| claim.requests.set("memory", 1));
            quiet(asks.node(|node| {
                node.capacity.memory_bytes = (node.capacity.memory_bytes * percent).div_ceil(100)
            }))
        };
    let found =
        |cluster: &Cluster| words(cluster, START).into_iter().find(|word| word.starts_with("Consistent"));
    assert_eq!(found(&with_memory(90)).as_deref(), Some("ConsistentStateFound=True ConsistentStateFound"));
    let said = found(&with_memory(89)).expect("a condition");
    assert!(said.starts_with("ConsistentStateFound=False ConsistencyCheckFailed: the node has "), "{said}");
}

#[test]
fn when_pods_come_and_go_all_the_time_it_is_said_every_five_seconds() {
    let busy = |seconds| of_a(&quiet(node("a").busy(at(seconds))), at(10));
    assert!(is_news(&of_a(&quiet(node("a")), at(10)), &busy(0)));
    assert!(!is_news(&busy(0), &busy(4)));
    assert!(is_news(&busy(0), &busy(5)));
    assert!(is_news(&busy(0), &Standing { terminate_by: Some(at(9)), ..busy(0) }));
}

#[test]
fn the_end_of_a_drain_is_said_only_where_it_has_one() {
    let by = |machine: Machine| of_a(&quiet(machine), at(1)).terminate_by;
    assert_eq!(by(leaving()), None);
    assert_eq!(by(leaving().claim(|claim| claim.termination_grace_period = Some(secs(60)))), Some(at(60)));
    let stays = node("a").claim(|claim| claim.termination_grace_period = Some(secs(60)));
    assert_eq!(by(stays), None);
}

#[test]
fn what_somebody_else_wrote_of_where_a_claim_comes_from_is_said_anew_and_one_that_has_drifted_stays_so() {
    let print = |version: &str, hash: &str| Some(Fingerprint { version: version.into(), hash: hash.into() });
    let now = Some(pool("general").fingerprint());
    let says = |known: Option<Fingerprint>, drifted: Option<Timestamp>| {
        let machine = node("a").claim(|claim| {
            claim.made_from = MadeFrom { node_pool: known, node_class: None };
            claim.drifted = drifted;
        });
        of_a(&quiet(machine), START).made_from.node_pool
    };
    assert_eq!(says(None, None), now);
    assert_eq!(says(print("v3", "1"), None), now);
    assert_eq!(says(print("v3", "1"), Some(START)), print(VERSION, "1"));
    assert_eq!(says(print(VERSION, "old"), None), print(VERSION, "old"), "our own is never taken back");
}
