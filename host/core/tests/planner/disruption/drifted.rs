//! Nodes that are not what is asked for any more: in what they differ, which go, and how they are replaced.

use whittle_core::disrupt::drifted::{REPLACED_WITHIN, given_up, wants_places};
use whittle_core::drift::{CloudDrift, Drift, SOLD_NO_MORE_AFTER, drift};
use whittle_core::event::Event;
use whittle_core::model::fingerprint::{Fingerprint, VERSION};
use whittle_core::model::labels;
use whittle_core::model::node_pool::{BudgetNodes, DisruptionReason, NodeClass, NodePool};
use whittle_core::model::requirement::Operator;
use whittle_core::model::time::Timestamp;

use crate::cluster::nodes::{Machine, carried_out, node};
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, pool, taint};
use crate::cluster::{Cluster, START, at, catalogue, launches, secs, text};

/// A node of the NodePool `general` as it is now.
fn stamped(machine: Machine, pool: &NodePool) -> Machine {
    machine.claim(|claim| claim.made_from.node_pool = Some(pool.fingerprint()))
}

/// A node that was made from another template.
fn old(name: &str) -> Machine {
    stamped(node(name), &pool("general").change(|pool| drop(pool.labels.insert("team".into(), "a".into()))))
}

fn print(version: &str, hash: &str) -> Fingerprint {
    Fingerprint { version: version.into(), hash: hash.into() }
}

/// What is found of the node `a`.
fn found(cluster: &Cluster, now: Timestamp) -> Option<Drift> {
    let snapshot = cluster.state.snapshot();
    drift(snapshot, &snapshot.claims["a"], now)
}

#[test]
fn in_what_a_node_differs_is_a_table() {
    let now = pool("general");
    let of_class = |class: &str, made: &str| {
        let class = NodeClass { fingerprint: Some(print(VERSION, class)), ..catalogue::class() };
        let made = print(VERSION, made);
        (class, stamped(node("a"), &pool("general")).claim(|claim| claim.made_from.node_class = Some(made)))
    };
    let cloud = |found| {
        let provider_id = "aws:///a/i-a".into();
        Event::InstanceDrift { provider_id, found: Some(found) }
    };
    let plain = || Cluster::new().with(now.clone());
    let (other_class, made_of_it) = of_class("2", "1");
    let (same_class, made_of_same) = of_class("1", "1");
    let needs = |key: &str, values: &[&str]| Cluster::new().with(pool("general").only(key, values));
    let cases = [
        ("nothing is known", plain().with(node("a")), None),
        ("it is the same", plain().with(stamped(node("a"), &now)), None),
        ("the template", plain().with(old("a")), Some(Drift::NodePool)),
        (
            "a fingerprint of somebody else",
            plain().with(node("a").claim(|claim| claim.made_from.node_pool = Some(print("v3", "1")))),
            None,
        ),
        ("there is no instance yet", plain().with(old("a").unlaunched()), None),
        ("the NodePool is gone", Cluster::new().with(old("a")), None),
        ("a requirement that holds", needs(labels::ZONE, &["a", "b"]).with(node("a")), None),
        ("a requirement", needs(labels::ZONE, &["b"]).with(node("a")), Some(Drift::Requirements)),
        ("a label of its own", needs("team", &["shop"]).with(node("a")), Some(Drift::Requirements)),
        (
            "a label that must not be there",
            Cluster::new().with(pool("general").needs("team", Operator::DoesNotExist, &[])).with(node("a")),
            None,
        ),
        (
            "a well-known label that nobody has said",
            needs(labels::TENANCY, &["default"]).with(node("a")),
            None,
        ),
        ("the class", plain().with(other_class).with(made_of_it.clone()), Some(Drift::NodeClass)),
        ("the class is the same", plain().with(same_class).with(made_of_same), None),
        (
            "the template before the class",
            plain()
                .with(NodeClass { fingerprint: Some(print(VERSION, "2")), ..catalogue::class() })
                .with(old("a").claim(|claim| claim.made_from.node_class = Some(print(VERSION, "1")))),
            Some(Drift::NodePool),
        ),
        (
            "the image",
            plain().with(node("a")).with(cloud(CloudDrift::Ami)),
            Some(Drift::Cloud(CloudDrift::Ami)),
        ),
        (
            "the image is one of them again",
            plain()
                .with(node("a"))
                .with(cloud(CloudDrift::Ami))
                .with(Event::InstanceDrift { provider_id: "aws:///a/i-a".into(), found: None }),
            None,
        ),
    ];
    for (case, cluster, expected) in cases {
        assert_eq!(found(&cluster, START), expected, "{case}");
    }
}

#[test]
fn a_type_that_is_sold_no_more_is_held_against_a_node_only_once_it_is_an_hour_old() {
    let types: Vec<_> = catalogue::all().iter().filter(|kind| kind.name != "m.large").cloned().collect();
    let class = NodeClass { instance_types: types.into(), ..catalogue::class() };
    let young = node("a").claim(|claim| claim.created = START);
    let cluster = Cluster::new().with(class.clone()).with(pool("general")).with(young);
    let old_enough = START + SOLD_NO_MORE_AFTER;
    assert_eq!(found(&cluster, at(3_599)), None);
    assert_eq!(found(&cluster, old_enough), Some(Drift::InstanceType));
    let cluster = cluster.with(NodeClass { ready: false, ..class });
    assert_eq!(found(&cluster, old_enough), None, "what a class lists that is not ready says nothing");
}

#[test]
fn empty_drifted_nodes_go_at_once_and_the_others_in_the_order_in_which_they_drifted() {
    let since = |machine: Machine, secs| machine.claim(|claim| claim.drifted = Some(at(secs)));
    let cluster = Cluster::new()
        .with(pool("general"))
        .with(since(old("a"), 20))
        .with(since(old("b"), 10))
        .with(old("c"))
        .with(old("d"))
        .with(node("e"))
        .with(pods("web", 1).on("a"))
        .with(pods("api", 1).on("b"));
    let expected = ["c Drifted", "d Drifted", "replace b", "replace a"];
    assert_eq!(cluster.drifted(at(30)), expected);
}

#[test]
fn a_node_need_not_be_quiet_to_be_replaced_but_nobody_may_be_expected_on_it() {
    let never = pool("general").change(|pool| pool.disruption.consolidate_after = None);
    let mut cluster = Cluster::new().with(never).with(old("a").busy(START));
    assert_eq!(cluster.drifted(START), ["a Drifted"]);
    cluster.tell(pod("waits"), START);
    assert_eq!(text::plan(&cluster.provision_and_expect(START)), ["waits on a"]);
    assert_eq!(cluster.drifted(at(1)), [] as [&str; 0]);
    assert_eq!(cluster.drifted(at(20)), ["a Drifted"]);
}

#[test]
fn budgets_count_for_drift_alone_or_for_every_reason() {
    let limited_by = |reasons: &[DisruptionReason]| {
        let pool = pool("general").budget(BudgetNodes::Count(1), reasons);
        ["a", "b", "c"].map(old).into_iter().fold(Cluster::new().with(pool), Cluster::with)
    };
    let used_up = "the disruption budget of NodePool general is used up";
    let limited = ["a Drifted".to_owned(), format!("b: {used_up}"), format!("c: {used_up}")];
    assert_eq!(limited_by(&[DisruptionReason::Drifted]).drifted(START), limited);
    assert_eq!(limited_by(&[]).drifted(START), limited);
    let all = ["a Drifted", "b Drifted", "c Drifted"];
    assert_eq!(limited_by(&[DisruptionReason::Empty]).drifted(START), all);
}

#[test]
fn pods_keep_a_drifted_node_unless_its_drain_is_bounded_in_time() {
    let protected = || pods("web", 1).do_not_disrupt().on("a");
    let cluster = Cluster::new().with(pool("general")).with(old("a")).with(protected());
    let why = "a: pod shop/web-0 asks to be left alone (karpenter.sh/do-not-disrupt)";
    assert_eq!(cluster.drifted(START), [why]);
    let bounded = old("a").claim(|claim| claim.termination_grace_period = Some(secs(60)));
    let cluster = Cluster::new().with(pool("general")).with(bounded.clone()).with(protected());
    assert_eq!(cluster.drifted(START), ["replace a"]);
    let asks = bounded.node(|node| node.do_not_disrupt = true);
    let cluster = Cluster::new().with(pool("general")).with(asks).with(protected());
    assert_eq!(cluster.drifted(START), ["a: the node asks to be left alone (karpenter.sh/do-not-disrupt)"]);
}

/// A drifted node with two pods, the replacement of which has begun.
fn replaced() -> Cluster {
    let mut cluster =
        Cluster::new().with(pool("general")).with(old("a")).with(pods("web", 2).cpu(500).on("a"));
    cluster.state.replace("a", START);
    cluster
}

#[test]
fn a_node_is_replaced_in_steps_and_goes_only_when_its_pods_could_go_elsewhere() {
    let mut cluster = replaced();
    assert!(wants_places(cluster.state.snapshot(), START));
    let plan = cluster.provision_and_expect(START);
    assert_eq!(text::plan(&plan), ["general c.large/a/spot: web-0 web-1"]);
    assert!(!wants_places(cluster.state.snapshot(), START));
    assert_eq!(cluster.replacements(START), ["cordon a (Disrupted(Drifted))"]);
    cluster.tell(old("a").marked(taint(labels::DISRUPTED_TAINT)), START);
    assert_eq!(cluster.replacements(at(1)), [] as [&str; 0]);
    let launch = launches(&plan).remove(0);
    cluster.tell(carried_out(&launch, at(1)), at(1));
    assert_eq!(cluster.replacements(at(1)), [] as [&str; 0], "its replacement is on its way");
    cluster.tell(carried_out(&launch, at(1)).joined(), at(40));
    assert_eq!(cluster.replacements(at(40)), ["delete a (Disrupted(Drifted))"]);
    assert_eq!(given_up(cluster.state.snapshot(), at(40)).len(), 0);
}

#[test]
fn what_was_begun_is_gone_on_with_after_a_restart() {
    let marked = old("a").marked(taint(labels::DISRUPTED_TAINT)).claim(|claim| claim.disrupted = Some(START));
    let mut cluster = Cluster::new().with(pool("general")).with(marked).with(pods("web", 1).on("a"));
    assert_eq!(cluster.replacements(at(5)), [] as [&str; 0], "nobody has looked for places yet");
    assert!(wants_places(cluster.state.snapshot(), at(5)));
    assert_eq!(launches(&cluster.provision_and_expect(at(5))).len(), 1);
    assert_eq!(cluster.due(at(5)), [] as [&str; 0], "it stays closed");
}

#[test]
fn a_replacement_that_cannot_be_or_takes_too_long_or_is_not_needed_any_more_is_given_up() {
    let names =
        |cluster: &Cluster, now| given_up(cluster.state.snapshot(), now).into_iter().collect::<Vec<_>>();
    let mut late = replaced();
    late.provision_and_expect(START);
    assert_eq!(names(&late, START + REPLACED_WITHIN - secs(1)), [] as [&str; 0]);
    assert_eq!(names(&late, START + REPLACED_WITHIN), ["a"]);

    let mut changed_back = replaced();
    changed_back
        .tell(pool("general").change(|pool| drop(pool.labels.insert("team".into(), "a".into()))), at(1));
    assert_eq!(names(&changed_back, at(1)), ["a"]);

    let mut nowhere = replaced();
    nowhere.tell(NodeClass { ready: false, ..catalogue::class() }, at(1));
    nowhere.provision_and_expect(at(1));
    assert_eq!(names(&nowhere, at(1)), ["a"]);
}

#[test]
fn a_node_that_stays_after_all_is_opened_again() {
    let mut cluster = replaced();
    cluster.provision_and_expect(START);
    cluster
        .tell(old("a").marked(taint(labels::DISRUPTED_TAINT)).claim(|it| it.disrupted = Some(START)), at(1));
    cluster.state.keep("a");
    assert_eq!(cluster.due(at(1)), ["uncordon a"]);
    assert_eq!(cluster.state.snapshot().nominations.len(), 0, "its pods are expected nowhere else any more");
}

#[test]
fn pods_of_a_replaced_node_go_to_nodes_that_are_there_and_to_new_ones() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(old("a"))
        .with(old("b"))
        .with(pods("web", 3).cpu(600).on("a"))
        .with(pods("api", 1).cpu(600).on("b"));
    cluster.state.replace("a", START);
    let plan = cluster.provision_and_expect(START);
    let expected = ["general c.large/a/spot: web-2", "web-0 on b", "web-1 on b"];
    assert_eq!(text::plan(&plan), expected);
    assert_eq!(cluster.replacements(START), ["cordon a (Disrupted(Drifted))"]);
}
