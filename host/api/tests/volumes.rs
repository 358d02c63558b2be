//! Where volumes can be, and what attaches them.

use std::collections::BTreeMap;

use whittle_api::convert::volume::{Volumes, volume_claim, volume_limits};
use whittle_api::manifest::{File, Loaded, Manifests, parse};
use whittle_core::model::node_pool::VolumeBinding;
use whittle_core::model::requirement::{Operator, Requirement};

fn read(text: &str) -> Manifests {
    let manifests = parse(&[File { name: "x.yaml".into(), text: text.into() }]);
    assert_eq!(manifests.problems, [], "{text}");
    manifests
}

fn objects<T: Clone>(loaded: &[Loaded<T>]) -> Vec<T> {
    loaded.iter().map(|one| one.object.clone()).collect()
}

#[test]
fn a_claim_says_where_its_volume_is_or_may_be_made() {
    let cluster = read(include_str!("manifests/volumes.yaml"));
    let (volumes, classes) = (objects(&cluster.persistent_volumes), objects(&cluster.storage_classes));
    let index = Volumes::new(&volumes, &classes);
    let found: BTreeMap<String, VolumeBinding> = cluster
        .persistent_volume_claims
        .iter()
        .map(|claim| volume_claim(&claim.object, &index))
        .map(|claim| (claim.name, claim.binding))
        .collect();
    let zone = |zones: &[&str]| {
        vec![Requirement::new("topology.kubernetes.io/zone", Operator::In, zones.iter().copied())]
    };
    let nowhere = |why: &str| VolumeBinding::Impossible(why.to_owned());
    let wanted = [
        ("bound-ebs", VolumeBinding::Nodes(vec![zone(&["a"])])),
        ("bound-local", VolumeBinding::Nodes(vec![])),
        (
            "bound-by-host",
            VolumeBinding::Nodes(vec![vec![Requirement::equals("kubernetes.io/hostname", "node-1")]]),
        ),
        ("bound-anywhere", VolumeBinding::Nodes(vec![])),
        ("bound-to-nothing", nowhere("PersistentVolume gone does not exist")),
        (
            "half-bound",
            nowhere(
                "the binding to PersistentVolume ebs is not complete: there is no annotation pv.kubernetes.io/bind-completed",
            ),
        ),
        ("lost", nowhere("the PersistentVolumeClaim has lost its volume")),
        ("going", nowhere("the PersistentVolumeClaim is being deleted")),
        ("bound-to-going", nowhere("PersistentVolume going is being deleted")),
        ("in-tree", VolumeBinding::Nodes(vec![zone(&["a"])])),
        ("in-tree-class", VolumeBinding::Nodes(vec![])),
        (
            "compute-type",
            nowhere(
                "StorageClass compute-type wants nodes with the label eks.amazonaws.com/compute-type, which only EKS Auto Mode has",
            ),
        ),
        ("default-class", VolumeBinding::Nodes(vec![zone(&["b", "c"]), zone(&["d"])])),
        ("no-class", nowhere("the PersistentVolumeClaim is not bound and wants no StorageClass")),
        ("missing-class", nowhere("StorageClass missing does not exist")),
        (
            "immediate",
            nowhere(
                "the PersistentVolumeClaim is not bound although StorageClass immediate binds immediately",
            ),
        ),
        (
            "auto-mode",
            nowhere(
                "StorageClass auto makes volumes only for nodes of EKS Auto Mode (ebs.csi.eks.amazonaws.com)",
            ),
        ),
    ];
    assert_eq!(found, wanted.map(|(name, binding)| (name.to_owned(), binding)).into());
    let claim = objects(&cluster.persistent_volume_claims)
        .into_iter()
        .find(|one| one.metadata.name.as_deref() == Some("default-class"));
    let alone = volume_claim(&claim.unwrap(), &Volumes::default()).binding;
    assert_eq!(alone, nowhere("the PersistentVolumeClaim names no StorageClass and there is no default one"));
}

#[test]
fn the_driver_of_a_claim_is_that_of_its_volume_or_class_under_its_present_name() {
    let cluster = read(include_str!("manifests/volumes.yaml"));
    let (volumes, classes) = (objects(&cluster.persistent_volumes), objects(&cluster.storage_classes));
    let index = Volumes::new(&volumes, &classes);
    let claims = objects(&cluster.persistent_volume_claims);
    let driver_of = |name: &str| {
        let named = claims.iter().find(|claim| claim.metadata.name.as_deref() == Some(name));
        volume_claim(named.unwrap(), &index).driver
    };
    for (claim, wanted) in [
        ("bound-ebs", Some("ebs.csi.aws.com")),
        ("in-tree", Some("ebs.csi.aws.com")),
        ("in-tree-class", Some("ebs.csi.aws.com")),
        ("default-class", Some("ebs.csi.aws.com")),
        ("bound-by-host", Some("other")),
        // NFS and local disks are not attached by anybody.
        ("bound-anywhere", None),
        ("bound-local", None),
        ("bound-to-nothing", None),
        ("missing-class", None),
    ] {
        assert_eq!(driver_of(claim).as_deref(), wanted, "{claim}");
    }
}

#[test]
fn a_csi_node_says_how_many_volumes_each_driver_attaches() {
    let text = |count: &str| {
        format!(
            "{{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {{name: node-1}}, spec: {{drivers: [\
             {{name: ebs.csi.aws.com, nodeID: i-1, allocatable: {{count: {count}}}}}, {{name: efs.csi.aws.com, nodeID: i-1}}]}}}}"
        )
    };
    let limits = volume_limits(&read(&text("25")).csi_nodes[0].object).unwrap();
    assert_eq!(limits.node, "node-1");
    assert_eq!(limits.drivers, BTreeMap::from([("ebs.csi.aws.com".to_owned(), 25)]), "efs has no limit");
    let wrong = parse(&[File { name: "x".into(), text: text("-1") }]);
    let found: Vec<_> = wrong.problems.iter().map(|problem| problem.defect.to_string()).collect();
    assert_eq!(
        found,
        ["spec.drivers[0].allocatable.count: found -1, expected a number that is not negative"]
    );
    assert!(wrong.csi_nodes.is_empty());
}
