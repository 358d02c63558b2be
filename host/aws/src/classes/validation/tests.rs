use serde_json::{Value, json};

use whittle_core::model::instance_type::Offering;

use super::*;

fn class(spec: Value) -> Ec2NodeClass {
    let mut whole = json!({
        "role": "node",
        "amiSelectorTerms": [{ "alias": "al2023@latest" }],
        "subnetSelectorTerms": [{ "id": "subnet-1" }],
        "securityGroupSelectorTerms": [{ "id": "sg-1" }],
    });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let arm = json!([{ "key": ARCH, "operator": "In", "values": ["arm64"] }]);
    serde_json::from_value(json!({
        "metadata": { "name": "default" },
        "spec": whole,
        "status": {
            "amis": [{ "id": "ami-arm", "requirements": arm }],
            "subnets": [
                { "id": "subnet-1", "zone": "a" }, { "id": "subnet-2", "zone": "b" }, { "id": "subnet-3", "zone": "a" }
            ],
        },
    }))
    .unwrap()
}

fn cluster() -> Cluster {
    Cluster { name: "shop".into(), cidr: Some("10.100.0.0/16".into()), ..Cluster::default() }
}

#[test]
fn a_trial_is_for_an_image_of_the_class_in_its_subnets_with_its_tags() {
    let trial = trial(&class(json!({ "tags": { "team": "a" } })), Some(&cluster()), &[]).unwrap();
    assert_eq!(trial.template.data.image_id(), Some("ami-arm"));
    assert_eq!(trial.instance_type, "m6g.large");
    assert_eq!(trial.subnets, ["subnet-1", "subnet-2", "subnet-3"]);
    assert_eq!(trial.of_zones, ["subnet-1", "subnet-2"]);
    let tags: Vec<String> = trial.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let expected = [
        "eks:eks-cluster-name=shop",
        "karpenter.k8s.aws/ec2nodeclass=default",
        "karpenter.sh/nodepool=validation",
        "kubernetes.io/cluster/shop=owned",
        "team=a",
    ];
    assert_eq!(tags, expected);
}

#[test]
fn a_trial_is_of_the_cheapest_type_that_node_pools_allow() {
    let kind = |name: &str, arch: &str, micros: u64, gpus: &[&str]| {
        let mut labels = TypeLabels::from([(ARCH.to_owned(), vec![arch.to_owned()])]);
        labels.extend(gpus.iter().map(|count| (GPU_COUNT.to_owned(), vec![(*count).to_owned()])));
        let price = Price::from_micros(micros);
        let offering = Offering {
            zone: "a".into(),
            zone_id: String::new(),
            capacity_type: CapacityType::OnDemand,
            price,
            estimated: false,
            available: true,
            reservation: None,
        };
        let (capacity, overhead) = Default::default();
        InstanceType { name: name.into(), labels, capacity, overhead, offerings: vec![offering] }
    };
    let tried = |allowed: &[InstanceType]| image(&class(json!({})), allowed).unwrap().1;
    let allowed = [
        kind("g5g.xlarge", "arm64", 1, &["1"]),
        kind("c7g.large", "arm64", 3, &[]),
        kind("c6g.large", "arm64", 2, &[]),
        kind("c6i.large", "amd64", 1, &[]),
    ];
    assert_eq!(tried(&allowed), "c6g.large");
    assert_eq!(tried(&allowed[..1]), "g5g.xlarge");
    assert_eq!(tried(&allowed[3..]), "m6g.large", "none of them boots an image of the class");
}

#[test]
fn what_cannot_be_launched_is_found_before_anybody_is_asked() {
    let reason = |class: Ec2NodeClass, cluster: Option<Cluster>| match trial(&class, cluster.as_ref(), &[]) {
        Err(Miss::Not { reason, .. }) => format!("not {reason}"),
        Err(Miss::Unknown { reason, .. }) => format!("unknown {reason}"),
        other => panic!("{other:?}"),
    };
    let mut without_images = class(json!({}));
    without_images.status = None;
    let without_cidr = Cluster { cidr: None, ..cluster() };
    let long = "x".repeat(17_000);
    let cases = [
        (class(json!({ "amiFamily": "Windows2022" })), Some(cluster()), "not UnsupportedAMIFamily"),
        (class(json!({})), None, "unknown ClusterNotFound"),
        (class(json!({})), Some(without_cidr), "unknown ClusterCIDRResolutionFailed"),
        (without_images, Some(cluster()), "unknown DependenciesNotReady"),
        (
            class(json!({ "amiFamily": "Bottlerocket", "userData": "no = [" })),
            Some(cluster()),
            "not UserDataInvalid",
        ),
        (class(json!({ "userData": long })), Some(cluster()), "not UserDataSizeLimitExceeded"),
    ];
    for (class, cluster, expected) in cases {
        assert_eq!(reason(class, cluster), expected);
    }
}

#[test]
fn a_dry_run_is_judged_by_what_ec2_says_of_the_request() {
    let failure = |code: &str, message: &str| Failure {
        operation: "ec2:RunInstances",
        code: Some(code.to_owned()),
        message: message.to_owned(),
    };
    let profile = "Value (shop_1) for parameter iamInstanceProfile.name is invalid";
    let cases = [
        ("DryRunOperation", "would have", "passed"),
        ("Unsupported", "not in this zone", "passed"),
        ("InsufficientInstanceCapacity", "none", "passed"),
        ("UnauthorizedOperation", "no", "not RunInstancesAuthCheckFailed"),
        ("InvalidAMIID.NotFound", "no", "not RunInstancesAuthCheckFailed"),
        ("InvalidParameterValue", "no", "not RunInstancesAuthCheckFailed"),
        ("InvalidParameterValue", profile, "unknown InstanceProfileNotFound"),
        ("InvalidLaunchTemplateName.NotFoundException", "none", "unknown LaunchTemplateNotFound"),
        ("RequestLimitExceeded", "later", "failed"),
        ("InternalError", "later", "failed"),
    ];
    let said = |code: &str, message: &str, is_ours: bool| match judged(Some(failure(code, message)), is_ours)
        .done("RunInstancesAuthCheckFailed")
    {
        Ok(()) => "passed".to_owned(),
        Err(Miss::Not { reason, .. }) => format!("not {reason}"),
        Err(Miss::Unknown { reason, .. }) => format!("unknown {reason}"),
        Err(Miss::Failed(_)) => "failed".to_owned(),
    };
    for (code, message, expected) in cases {
        assert_eq!(said(code, message, true), expected, "{code}");
    }
    assert_eq!(said("InvalidParameterValue", profile, false), "not InstanceProfileNotFound");
}
