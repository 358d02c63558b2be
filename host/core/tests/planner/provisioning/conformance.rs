//! What Karpenter does and no other test shows. `docs/conformance.md` names who holds what.

use whittle_core::event::Event;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::labels::{ARCH, CAPACITY_TYPE, INSTANCE_TYPE, NODE_POOL, OS, ZONE};
use whittle_core::model::requirement::Operator::{DoesNotExist, Exists, Gt, In, Lt};
use whittle_core::model::requirement::Requirement;

use crate::cluster::catalogue::{self, CATEGORY, CPUS};
use crate::cluster::nodes::node;
use crate::cluster::pods::{pod, pods};
use crate::cluster::pools::{PoolWords, attached_volume, daemon_set, pool, volume};
use crate::cluster::{Cluster, at};

#[test]
fn a_pod_that_wants_a_node_of_no_pool_is_nobodys_business() {
    let elsewhere = pod("web").needs(NODE_POOL, DoesNotExist, &[]);
    let why = "shop/web: the pod wants a node of no NodePool (karpenter.sh/nodepool DoesNotExist)";
    let mut cluster = Cluster::new().with(pool("general")).with(elsewhere.clone()).with(pod("other"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: other", why]);
    // kube-scheduler finds the node of somebody else by itself.
    let mut cluster = Cluster::new().with(pool("general")).with(node("a").unmanaged()).with(elsewhere);
    assert_eq!(cluster.provisioned(), [why]);
}

#[test]
fn labels_of_the_autoscalers_own_domains_cannot_be_asked_for_and_those_of_kubernetes_can() {
    let restricted = pod("web").select("karpenter.sh/custom", "x");
    let mut cluster = Cluster::new().with(pool("general")).with(restricted.clone()).with(pod("other"));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: other",
            "shop/web: the pod asks for the label karpenter.sh/custom, which no NodePool may promise"
        ]
    );
    let mut cluster = Cluster::new().with(pool("general")).with(restricted.or(ZONE, "b"));
    assert_eq!(cluster.provisioned(), ["general c.large/b/spot: web"], "an alternative without it will do");
    let labelled = pool("general").label("kubernetes.io/custom", "x");
    let mut cluster = Cluster::new().with(labelled).with(pod("web").select("kubernetes.io/custom", "x"));
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web"]);
}

#[test]
fn a_label_that_the_pool_sets_is_not_changed_by_a_pod_that_takes_any_value() {
    let labelled = pool("general").label("team", "red").needs("team", Exists, &[]);
    let launches = Cluster::new().with(labelled).with(pod("web").needs("team", Exists, &[])).launches();
    assert_eq!(launches[0].labels["team"], "red");
}

#[test]
fn what_ec2_decides_is_no_label_of_the_launch() {
    let open = pool("general").only(ZONE, &["a", "b"]).only(CATEGORY, &["c", "m"]).only(OS, &["linux"]);
    let launches = Cluster::new().with(open).with(pod("web")).launches();
    for key in [ZONE, CATEGORY, INSTANCE_TYPE] {
        assert_eq!(launches[0].labels.get(key), None, "{key}");
    }
}

#[test]
fn the_cheapest_offering_that_will_do_comes_first_whatever_is_asked() {
    let choices: [(&str, &[Option<&str>]); 3] = [
        (ARCH, &[None, Some("amd64"), Some("arm64")]),
        (ZONE, &[None, Some("b"), Some("c")]),
        (CAPACITY_TYPE, &[None, Some("spot"), Some("on-demand")]),
    ];
    let mut tried = 0;
    for (arch, zone, way) in choices[0].1.iter().flat_map(|arch| {
        choices[1].1.iter().flat_map(move |zone| choices[2].1.iter().map(move |way| (*arch, *zone, *way)))
    }) {
        let asked = [(ARCH, arch), (ZONE, zone), (CAPACITY_TYPE, way)];
        let all = asked.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
        // Half by the pod, half by the pool: it makes no difference.
        for by_pool in [false, true] {
            let (mut web, mut general) = (pod("web").cpu(3_000), pool("general"));
            for (key, value) in all.clone() {
                if by_pool {
                    general = general.only(key, &[value]);
                } else {
                    web = web.select(key, value);
                }
            }
            let launches = Cluster::new().with(general).with(web).launches();
            let types = catalogue::all();
            let will_do = types.iter().filter(|it| {
                it.allocatable().cpu_millis >= 3_000 && arch.is_none_or(|arch| it.labels[ARCH] == [arch])
            });
            let cheapest = will_do
                .flat_map(|it| &it.offerings)
                .filter(|offering| zone.is_none_or(|zone| offering.zone == zone))
                .filter(|offering| way.is_none_or(|way| offering.capacity_type.label() == way))
                .map(|offering| offering.price)
                .min();
            let first = &launches[0].offerings[0];
            assert_eq!(Some(first.price), cheapest, "{asked:?}");
            let wanted = if way == Some("on-demand") { CapacityType::OnDemand } else { CapacityType::Spot };
            assert_eq!(first.capacity_type, wanted, "{asked:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 54);
}

#[test]
fn a_daemon_is_as_large_as_its_newest_pod_and_as_its_template_without_one() {
    let small = || daemon_set(pods("logs", 0).cpu(100));
    let live = |name: &str, cpu, seconds| {
        pod(name).cpu(cpu).of_daemon_set("logs").on_node("elsewhere").started(at(seconds))
    };
    let cluster = Cluster::new().with(pool("general")).with(pod("web").cpu(1_000));
    let mut template = cluster.clone().with(small());
    assert_eq!(template.provisioned(), ["general c.large/a/spot: web"]);
    // Whatever is known first.
    for known in [
        cluster.clone().with(small()).with(live("old", 100, 1)).with(live("new", 1_500, 2)),
        cluster.with(live("new", 1_500, 2)).with(live("old", 100, 1)).with(small()),
    ] {
        assert_eq!(known.clone().provisioned(), ["general c.xlarge/a/spot: web"]);
        let mut without = known.with(Event::PodGone("new".into()));
        assert_eq!(without.provisioned(), ["general c.large/a/spot: web"]);
    }
}

#[test]
fn what_a_daemon_prefers_does_not_keep_it_from_a_node() {
    let daemon = pods("logs", 0).cpu(1_500).would_like(1, ZONE, "nowhere");
    let mut cluster = Cluster::new().with(pool("general")).with(daemon_set(daemon)).with(pod("web"));
    assert_eq!(cluster.provisioned(), ["general c.xlarge/a/spot: web"]);
}

#[test]
fn architectures_are_domains_too() {
    let spread = pods("web", 2).spread(ARCH, 1, |_| {});
    let mut cluster = Cluster::new().with(pool("general")).with(spread);
    assert_eq!(cluster.provisioned(), ["general c.large/a/spot: web-0", "general a.large/a/spot: web-1"]);
}

#[test]
fn a_preferred_zone_does_not_make_the_others_less_of_a_domain() {
    let spread = pods("web", 3).would_like(1, ZONE, "a").zone_spread(1);
    let mut cluster = Cluster::new().with(pool("general")).with(spread);
    assert_eq!(
        cluster.provisioned(),
        ["general c.large/a/spot: web-0", "general c.large/b/spot: web-1", "general c.large/c/spot: web-2"]
    );
}

#[test]
fn volumes_that_exclude_one_another_are_told_from_volumes_out_of_reach() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(volume("data", &["a", "b"]))
        .with(volume("logs", &["c"]))
        .with(pod("db").volume("data").volume("logs"))
        .with(pod("web"));
    assert_eq!(
        cluster.provisioned(),
        [
            "general c.large/a/spot: web",
            "shop/db: no node is within reach of all volumes of the pod: PersistentVolumeClaim shop/logs is \
             elsewhere than the others"
        ]
    );
}

#[test]
fn many_volumes_of_several_zones_come_to_the_one_zone_that_they_share() {
    let names = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];
    let mut cluster = Cluster::new().with(pool("general")).with(volume("w", &["c"]));
    let mut db = pod("db").volume("w");
    for name in names {
        cluster = cluster.with(volume(name, &["a", "b", "c"]));
        db = db.volume(name);
    }
    assert_eq!(cluster.with(db).provisioned(), ["general c.large/c/spot: db"]);
}

#[test]
fn a_wish_is_given_up_before_where_a_volume_is() {
    let wishful = pod("db").volume("data").would_like(100, ZONE, "a");
    let mut cluster = Cluster::new().with(pool("general")).with(volume("data", &["c"])).with(wishful);
    assert_eq!(cluster.provisioned(), ["general c.large/c/spot: db"]);
}

#[test]
fn a_pod_without_a_usable_volume_keeps_no_other_from_the_node() {
    let mut cluster = Cluster::new()
        .with(pool("general"))
        .with(attached_volume("data"))
        .with(pod("broken").volume("gone"))
        .with(pod("db").volume("data").needs(ARCH, In, &["arm64"]));
    assert_eq!(
        cluster.provisioned(),
        ["general a.large/a/spot: db", "shop/broken: PersistentVolumeClaim shop/gone does not exist"]
    );
}

#[test]
fn a_minimum_of_values_holds_with_every_operator_for_every_key_and_the_largest_counts() {
    let asks = |key: &str, operator, values: &[&str], least| {
        let asked = Requirement::new(key, operator, values.iter().copied());
        Requirement { min_values: Some(least), ..asked }
    };
    let short = |key: &str, wanted: u32, left: u32| {
        format!(
            "shop/web: general: the NodePool wants at least {wanted} values of {key}, {left} would be left"
        )
    };
    let placed = "general c.2xlarge/a/spot: web".to_owned();
    // Types for 7 CPUs are of the categories c and m and have 8, 16 or 64 CPUs.
    for (asked, expected) in [
        (vec![asks(CATEGORY, In, &["c", "m", "r"], 2)], placed.clone()),
        (vec![asks(CATEGORY, In, &["c", "m", "r"], 3)], short(CATEGORY, 3, 2)),
        (vec![asks(CATEGORY, Exists, &[], 2)], placed.clone()),
        (vec![asks(CPUS, Gt, &["8"], 2)], "general m.4xlarge/a/spot: web".to_owned()),
        (vec![asks(CPUS, Gt, &["8"], 3)], short(CPUS, 3, 2)),
        (vec![asks(CPUS, Lt, &["64"], 2)], placed.clone()),
        (vec![asks(CPUS, Lt, &["64"], 3)], short(CPUS, 3, 2)),
        // Two of one key: the larger. Two keys: both.
        (vec![asks(CATEGORY, Exists, &[], 1), asks(CATEGORY, In, &["c", "m"], 3)], short(CATEGORY, 3, 2)),
        (vec![asks(CATEGORY, Exists, &[], 2), asks(CPUS, Exists, &[], 3)], placed.clone()),
        (vec![asks(CATEGORY, Exists, &[], 2), asks(CPUS, Exists, &[], 4)], short(CPUS, 4, 3)),
    ] {
        let broad = pool("general").change(|pool| pool.requirements.clone_from(&asked));
        let mut cluster = Cluster::new().with(broad).with(pod("web").cpu(7_000));
        assert_eq!(cluster.provisioned(), [expected], "{asked:?}");
    }
}
