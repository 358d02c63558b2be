use whittle_core::model::requirement::TaintEffect as Effect;

use super::*;

fn cluster() -> Cluster {
    Cluster {
        name: "shop".to_owned(),
        endpoint: "https://shop.example".to_owned(),
        certificate: "Q0E=".to_owned(),
        cidr: Some("10.100.0.0/16".to_owned()),
        dns: Some("10.100.0.10".to_owned()),
        version: Some("1.34".to_owned()),
    }
}

fn input<'a>(cluster: &'a Cluster, own: Option<&'a str>) -> Input<'a> {
    let taint =
        |key: &str, value: &str, effect| Taint { key: key.to_owned(), value: value.to_owned(), effect };
    Input {
        cluster,
        kubelet: Kubelet {
            eviction_hard: Some([("memory.available".to_owned(), "5%".to_owned())].into()),
            image_gc_high_threshold_percent: Some(80),
            image_gc_low_threshold_percent: Some(60),
            cpu_cfs_quota: Some(false),
            ..Kubelet::default()
        },
        max_pods: 58,
        labels: [("karpenter.sh/nodepool".to_owned(), "general".to_owned())].into(),
        taints: vec![
            taint("dedicated", "batch", Effect::NoSchedule),
            taint("karpenter.sh/unregistered", "", Effect::NoExecute),
        ],
        local_storage: LocalStorage::Raid0,
        own,
    }
}

#[test]
fn user_data_of_each_family_is_that_of_its_file() {
    let cluster = cluster();
    let archive = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"OWN\"\n\n--OWN\nContent-Type: \
                   text/x-shellscript\n\n#!/bin/sh\necho own\n--OWN--\n";
    let with_blank_lines = format!("\r\n  \r\n{}", archive.replace('\n', "\r\n"));
    let toml = "[settings.kubernetes]\nmax-pods = 7\nstandalone-mode = false\n[settings.kubernetes.node-labels]\nown = \"1\"\n";
    let cases = [
        (AmiFamily::AL2023, None, include_str!("golden/al2023")),
        (AmiFamily::AL2023, Some("#!/bin/sh\necho own"), include_str!("golden/al2023-script")),
        (AmiFamily::AL2023, Some("\n \r\n#!/bin/sh\r\necho own"), include_str!("golden/al2023-script")),
        (AmiFamily::AL2023, Some(archive), include_str!("golden/al2023-archive")),
        (AmiFamily::AL2023, Some(with_blank_lines.as_str()), include_str!("golden/al2023-archive")),
        (AmiFamily::AL2, Some("echo own"), include_str!("golden/al2")),
        (AmiFamily::AL2, Some("\n\necho own"), include_str!("golden/al2")),
        (AmiFamily::Bottlerocket, Some(toml), include_str!("golden/bottlerocket")),
        (AmiFamily::Custom, Some("anything"), "anything"),
    ];
    for (family, own, expected) in cases {
        let made = user_data(family, &input(&cluster, own)).unwrap();
        assert_eq!(made, expected, "{family:?} with {own:?}:\n{made}");
    }
}

#[test]
fn user_data_that_cannot_be_made_says_why() {
    let cluster = cluster();
    let unknown = Cluster { cidr: None, ..cluster.clone() };
    let archive = "Content-Type: multipart/mixed; boundary=\"B\"\n\n--A\n\necho own\n--A--\n";
    let no_parts = "spec.userData is a MIME archive without a line --B, so it has no parts";
    let cases = [
        (AmiFamily::AL2023, input(&unknown, None), "the CIDR of the cluster's services is not known"),
        (
            AmiFamily::Bottlerocket,
            input(&cluster, Some("settings = 1")),
            "spec.userData has settings that is no table",
        ),
        (AmiFamily::AL2, input(&cluster, Some(archive)), no_parts),
        (AmiFamily::AL2023, input(&cluster, Some(archive)), no_parts),
        (AmiFamily::Windows2022, input(&cluster, None), "nodes of the family Windows2022 cannot be launched"),
    ];
    for (family, input, expected) in cases {
        assert_eq!(user_data(family, &input), Err(expected.to_owned()), "{family:?}");
    }
}

#[test]
fn labels_that_a_kubelet_may_not_set_are_left_out() {
    let given = ["team", "a.example/b", "kubernetes.io/arch", "node-role.kubernetes.io/x", "x.k8s.io/y"];
    let given = given.map(|key| (key.to_owned(), String::new())).into();
    let left: Vec<String> = registrable(&given).into_keys().collect();
    assert_eq!(left, ["a.example/b", "kubernetes.io/arch", "team"]);
}
