//! Every CEL rule and every limit of the custom resources, broken once. Whoever holds the rules has to find each, and to
//! say what is expected where; nothing here says who that is.

use serde_json::{Value, json};

/// An object that nothing is wrong with, and what breaks it.
pub(crate) struct Table {
    pub(crate) base: Value,
    pub(crate) cases: Vec<Case>,
}

/// One thing that is wrong.
pub(crate) struct Case {
    /// What is put into the base, and where: `null` takes away what is there.
    pub(crate) pointer: &'static str,
    pub(crate) value: Value,
    /// The one problem then, as `path: expected`.
    pub(crate) expected: String,
}

fn table<S: Into<String>>(
    base: fn() -> Value,
    cases: impl IntoIterator<Item = (&'static str, Value, S)>,
) -> Table {
    let case = |(pointer, value, expected): (&'static str, Value, S)| Case {
        pointer,
        value,
        expected: expected.into(),
    };
    Table { base: base(), cases: cases.into_iter().map(case).collect() }
}

/// A NodePool that nothing is wrong with.
pub(crate) fn node_pool() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": { "name": "general" },
        "spec": {
            "template": {
                "metadata": { "labels": { "team": "a" } },
                "spec": {
                    "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
                    "requirements": [{ "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"] }],
                    "taints": [{ "key": "dedicated", "value": "x", "effect": "NoSchedule" }],
                },
            },
            "disruption": { "budgets": [{ "nodes": "10%" }] },
            "limits": { "cpu": 100 },
        },
    })
}

/// A NodeClaim that nothing is wrong with.
pub(crate) fn node_claim() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": { "name": "general-abcde", "labels": { "karpenter.sh/nodepool": "general" } },
        "spec": {
            "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" },
            "requirements": [{ "key": "karpenter.sh/nodepool", "operator": "In", "values": ["general"] }],
        },
    })
}

/// An EC2NodeClass that nothing is wrong with.
pub(crate) fn node_class() -> Value {
    json!({
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": { "name": "default" },
        "spec": {
            "role": "node",
            "amiSelectorTerms": [{ "alias": "al2023@latest" }],
            "subnetSelectorTerms": [{ "tags": { "karpenter.sh/discovery": "main" } }],
            "securityGroupSelectorTerms": [{ "tags": { "karpenter.sh/discovery": "main" } }],
        },
    })
}

/// The base with `value` at `pointer`; `null` takes away what is there.
pub(crate) fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let mut part = &mut base;
    for step in parent.split('/').skip(1) {
        part = match part {
            Value::Array(items) => &mut items[step.parse::<usize>().expect("a list has positions")],
            other => other
                .as_object_mut()
                .expect("a pointer leads through maps")
                .entry(step)
                .or_insert_with(|| json!({})),
        };
    }
    match (part, value) {
        (Value::Object(map), Value::Null) => drop(map.remove(last)),
        (Value::Object(map), value) => drop(map.insert(last.to_owned(), value)),
        (other, _) => panic!("{other} has no fields"),
    }
    base
}

pub(crate) const REQUIREMENTS: &str = "/spec/template/spec/requirements";
pub(crate) const LABELS: &str = "/spec/template/metadata/labels";

/// One requirement.
pub(crate) fn requirement(key: &str, operator: &str, values: Value) -> Value {
    json!([{ "key": key, "operator": operator, "values": values }])
}

fn custom_class() -> Value {
    with(
        with(node_class(), "/spec/amiFamily", json!("Custom")),
        "/spec/amiSelectorTerms",
        json!([{ "id": "ami-1" }]),
    )
}

/// Of a NodePool.
pub(crate) fn node_pools() -> Table {
    let many: Vec<Value> =
        (0..101).map(|i| json!({ "key": format!("k{i}"), "operator": "Exists" })).collect();
    let budgets: Vec<Value> = (0..51).map(|_| json!({ "nodes": "1" })).collect();
    let integer = "spec.template.spec.requirements: exactly one integer, not negative, as the value of every requirement with operator 'Gt', 'Lt', 'Gte' or 'Lte'";
    let minimum = json!([{ "key": "a", "operator": "In", "values": ["x"], "minValues": 2 }]);
    let domain = "no label of the domain karpenter.sh other than karpenter.sh/capacity-type";
    let aws = "no label of the domain karpenter.k8s.aws other than the documented ones, such as karpenter.k8s.aws/instance-family";
    let host = "a label other than kubernetes.io/hostname, which every node has of its own";
    let key = "spec.template.spec.requirements[0].key";
    let label = "spec.template.metadata.labels";
    let cases: Vec<(&str, Value, String)> = vec![
        (REQUIREMENTS, Value::Null, "spec.template.spec.requirements: the field 'requirements'".into()),
        (REQUIREMENTS, json!(many), "spec.template.spec.requirements: at most 100 items".into()),
        (REQUIREMENTS, requirement("a", "In", json!([])), "spec.template.spec.requirements: at least one value for every requirement with operator 'In'".into()),
        (REQUIREMENTS, requirement("a", "Gt", json!(["x"])), integer.into()),
        (REQUIREMENTS, requirement("a", "Lt", json!(["1", "2"])), integer.into()),
        (REQUIREMENTS, requirement("a", "Gte", json!([])), integer.into()),
        (REQUIREMENTS, requirement("a", "Lte", json!(["1.5"])), integer.into()),
        (REQUIREMENTS, minimum, "spec.template.spec.requirements: at least 'minValues' values for every requirement with operator 'In' that has 'minValues'".into()),
        (REQUIREMENTS, json!([{ "key": "a", "operator": "Exists", "minValues": 51 }]), "spec.template.spec.requirements[0].minValues: a number from 1 to 50".into()),
        (REQUIREMENTS, requirement("karpenter.sh/initialized", "Exists", json!([])), format!("{key}: {domain}")),
        (REQUIREMENTS, requirement("x.karpenter.sh/y", "Exists", json!([])), format!("{key}: {domain}")),
        (REQUIREMENTS, requirement("kubernetes.io/hostname", "Exists", json!([])), format!("{key}: {host}")),
        (REQUIREMENTS, requirement("karpenter.k8s.aws/instance-famly", "Exists", json!([])), format!("{key}: {aws}")),
        (REQUIREMENTS, requirement("a b", "Exists", json!([])), format!("{key}: a label's key: letters, digits, '-', '_' and '.', with an optional domain before a slash")),
        (REQUIREMENTS, requirement("a", "Inn", json!(["x"])), "spec.template.spec.requirements[0].operator: one of In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte, Lte; did you mean 'In'?".into()),
        (REQUIREMENTS, requirement("karpenter.sh/capacity-type", "In", json!(["Spot"])), "spec.template.spec.requirements[0].values: at least one of reserved, spot, on-demand".into()),
        (REQUIREMENTS, requirement("karpenter.k8s.aws/instance-tenancy", "In", json!(["host"])), "spec.template.spec.requirements[0].values: at least one of default, dedicated".into()),
        (LABELS, json!({ "karpenter.sh/registered": "true" }), format!("{label}: {domain}")),
        (LABELS, json!({ "kubernetes.io/hostname": "x" }), format!("{label}: {host}")),
        (LABELS, json!({ "karpenter.k8s.aws/x": "x" }), format!("{label}: {aws}")),
        (LABELS, json!({ "team": "a b" }), format!("{label}.team: a label's value: letters, digits, '-', '_' and '.', a letter or digit at both ends")),
        (LABELS, json!({ "team": "a".repeat(64) }), format!("{label}.team: at most 63 characters")),
        ("/spec/template/spec/nodeClassRef/group", json!("a/v1"), "spec.template.spec.nodeClassRef.group: a text that matches ^[^/]*$".into()),
        ("/spec/template/spec/nodeClassRef/group", json!(""), "spec.template.spec.nodeClassRef.group: a group, not an empty text".into()),
        ("/spec/template/spec/nodeClassRef/kind", json!(""), "spec.template.spec.nodeClassRef.kind: a kind, not an empty text".into()),
        ("/spec/template/spec/nodeClassRef/name", json!(""), "spec.template.spec.nodeClassRef.name: a name, not an empty text".into()),
        ("/spec/template/spec/terminationGracePeriod", json!("Never"), "spec.template.spec.terminationGracePeriod: a duration such as 30s, 5m or 1h30m".into()),
        ("/spec/template/spec/expireAfter", json!("30d"), "spec.template.spec.expireAfter: a duration such as 30s, 5m or 1h30m, or Never".into()),
        ("/spec/template/spec/startupTaints", json!([{ "key": "dedicated", "effect": "NoSchedule" }]), "spec.template.spec.startupTaints[0]: each key and effect once among 'taints' and 'startupTaints'".into()),
        ("/spec/template/spec/taints", json!([{ "key": "x", "effect": "Never" }]), "spec.template.spec.taints[0].effect: one of NoSchedule, PreferNoSchedule, NoExecute".into()),
        ("/spec/disruption/consolidateAfter", json!("never"), "spec.disruption.consolidateAfter: a duration such as 30s, 5m or 1h30m, or Never".into()),
        ("/spec/disruption/consolidationPolicy", json!("WhenUnderutilized"), "spec.disruption.consolidationPolicy: one of WhenEmpty, WhenEmptyOrUnderutilized, Balanced".into()),
        ("/spec/disruption/budgets", json!(budgets), "spec.disruption.budgets: at most 50 items".into()),
        ("/spec/disruption/budgets", json!([{ "nodes": "0", "schedule": "@daily" }]), "spec.disruption.budgets: 'schedule' and 'duration' together or neither of them in every budget".into()),
        ("/spec/disruption/budgets", json!([{ "nodes": "101%" }]), "spec.disruption.budgets[0].nodes: a text that matches ^((100|[0-9]{1,2})%|[0-9]+)$".into()),
        ("/spec/disruption/budgets", json!([{ "reasons": ["Expired"] }]), "spec.disruption.budgets[0].reasons[0]: one of Underutilized, Empty, Drifted".into()),
        ("/spec/disruption/budgets", json!([{ "schedule": "0 9 * * 1-5", "duration": "90s" }]), "spec.disruption.budgets[0].duration: a text that matches ^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$".into()),
        ("/spec/disruption/budgets", json!([{ "schedule": "99 9 * * 1-5", "duration": "8h" }]), "spec.disruption.budgets[0].schedule: a cron expression of the five fields minute, hour, day of month, month and day of week, or @hourly, @daily, @weekly, @monthly, @yearly".into()),
        ("/spec/limits", json!({ "cpu": "-1" }), "spec.limits.cpu: a quantity such as 2, 500m, 1.5 or 2Gi, not negative and below 2^63".into()),
        ("/spec/limits", json!({ "memory": "9999999999Ti" }), "spec.limits.memory: a quantity such as 2, 500m, 1.5 or 2Gi, not negative and below 2^63".into()),
        ("/spec/limits", json!({ "cpu": 1.5 }), "spec.limits.cpu: a whole number, or a text such as \"1.5\"".into()),
        ("/spec/weight", json!(0), "spec.weight: a number from 1 to 100".into()),
        ("/spec/weight", json!("10"), "spec.weight: a whole number".into()),
        ("/spec/replicas", json!(2), "spec: no limit but 'nodes' in a NodePool with 'replicas'".into()),
    ];
    table(node_pool, cases)
}

/// Of a NodeClaim.
pub(crate) fn node_claims() -> Table {
    let domain =
        "spec.requirements[0].key: no label of the domain karpenter.sh other than karpenter.sh/capacity-type";
    let pointer = "/spec/requirements";
    let cases = [
        (pointer, requirement("karpenter.sh/registered", "Exists", json!([])), domain),
        (
            pointer,
            requirement("kubernetes.io/hostname", "Exists", json!([])),
            "spec.requirements[0].key: a label other than kubernetes.io/hostname, which every node has of its own",
        ),
        (
            pointer,
            requirement("a", "In", json!([])),
            "spec.requirements: at least one value for every requirement with operator 'In'",
        ),
        (
            "/spec/resources",
            json!({ "requests": { "cpu": "1 core" } }),
            "spec.resources.requests.cpu: a quantity such as 2, 500m, 1.5 or 2Gi, not negative and below 2^63",
        ),
        ("/spec/nodeClassRef", Value::Null, "spec.nodeClassRef: the field 'nodeClassRef'"),
    ];
    table(node_claim, cases)
}

/// Of what an EC2NodeClass selects.
pub(crate) fn selections() -> Table {
    let id_tags = json!([{ "id": "subnet-1", "tags": { "a": "b" } }]);
    let subnets = "/spec/subnetSelectorTerms";
    let groups = "/spec/securityGroupSelectorTerms";
    let reservations = "/spec/capacityReservationSelectorTerms";
    let amis = "/spec/amiSelectorTerms";
    let many: Vec<Value> = (0..31).map(|i| json!({ "id": format!("subnet-{i}") })).collect();
    let tags: serde_json::Map<String, Value> = (0..21).map(|i| (format!("t{i}"), json!("x"))).collect();
    let cases = [
        (subnets, json!([]), "spec.subnetSelectorTerms: at least 1 item"),
        (subnets, json!(many), "spec.subnetSelectorTerms: at most 30 items"),
        (subnets, json!([{}]), "spec.subnetSelectorTerms: 'tags' or 'id' in every term"),
        (subnets, id_tags, "spec.subnetSelectorTerms: no 'tags' beside 'id'"),
        (
            subnets,
            json!([{ "id": "net-1" }]),
            "spec.subnetSelectorTerms[0].id: a text that matches subnet-[0-9a-z]+",
        ),
        (
            subnets,
            json!([{ "tags": { "a": "" } }]),
            "spec.subnetSelectorTerms[0].tags: no tag with an empty key or an empty value",
        ),
        (subnets, json!([{ "tags": tags }]), "spec.subnetSelectorTerms[0].tags: at most 20 entries"),
        (groups, json!([]), "spec.securityGroupSelectorTerms: at least 1 item"),
        (groups, json!([{}]), "spec.securityGroupSelectorTerms: 'tags', 'id' or 'name' in every term"),
        (
            groups,
            json!([{ "id": "sg-1", "tags": { "a": "b" } }]),
            "spec.securityGroupSelectorTerms: no 'tags' and no 'name' beside 'id'",
        ),
        (
            groups,
            json!([{ "name": "n", "tags": { "a": "b" } }]),
            "spec.securityGroupSelectorTerms: no 'tags' and no 'id' beside 'name'",
        ),
        (
            reservations,
            json!([{ "ownerID": "123456789012" }]),
            "spec.capacityReservationSelectorTerms: 'tags', 'id' or 'instanceMatchCriteria' in every term",
        ),
        (
            reservations,
            json!([{ "id": "cr-1", "ownerID": "123456789012" }]),
            "spec.capacityReservationSelectorTerms: no 'tags', no 'ownerID' and no 'instanceMatchCriteria' beside 'id'",
        ),
        (
            reservations,
            json!([{ "tags": { "a": "b" }, "ownerID": "1" }]),
            "spec.capacityReservationSelectorTerms[0].ownerID: a text that matches ^[0-9]{12}$",
        ),
        (
            reservations,
            json!([{ "instanceMatchCriteria": "closed" }]),
            "spec.capacityReservationSelectorTerms[0].instanceMatchCriteria: one of open, targeted",
        ),
        (
            "/spec/placementGroupSelector",
            json!({ "name": "a", "id": "pg-1" }),
            "spec.placementGroupSelector: either 'name' or 'id', and not both",
        ),
        (
            "/spec/placementGroupSelector",
            json!({}),
            "spec.placementGroupSelector: either 'name' or 'id', and not both",
        ),
        (amis, json!([{ "alias": "al2023" }]), "spec.amiSelectorTerms[0].alias: the form 'family@version'"),
        (
            amis,
            json!([{ "alias": "ubuntu@latest" }]),
            "spec.amiSelectorTerms[0].alias: one of the families al2, al2023, bottlerocket, windows2019, windows2022 and windows2025",
        ),
        (
            amis,
            json!([{ "alias": "windows2022@v1" }]),
            "spec.amiSelectorTerms[0].alias: the version 'latest' for a Windows family",
        ),
        (
            amis,
            json!([{ "alias": "al2023@v20300131000000000000000" }]),
            "spec.amiSelectorTerms[0].alias: at most 30 characters",
        ),
        (
            amis,
            json!([{ "alias": "al2023@latest", "owner": "self" }]),
            "spec.amiSelectorTerms: no 'id', no 'tags', no 'name' and no 'owner' beside 'alias'",
        ),
        (
            amis,
            json!([{ "alias": "al2023@latest" }, { "name": "x" }]),
            "spec.amiSelectorTerms: no other term beside one with 'alias'",
        ),
    ];
    table(node_class, cases)
}

/// Of an EC2NodeClass as a whole.
pub(crate) fn whole_node_classes() -> Table {
    let amis = "/spec/amiSelectorTerms";
    let name = |interface: &str, card: u8, device: u8| json!({ "networkCardIndex": card, "deviceIndex": device, "interfaceType": interface });
    let interfaces = "/spec/networkInterfaces";
    let cases = [
        (
            amis,
            json!([{ "owner": "self" }]),
            "spec.amiSelectorTerms: 'tags', 'id', 'name', 'alias' or 'ssmParameter' in every term",
        ),
        (
            amis,
            json!([{ "id": "ami-1", "owner": "self" }]),
            "spec.amiSelectorTerms: no 'alias', no 'tags', no 'name' and no 'owner' beside 'id'",
        ),
        ("/spec/amiFamily", Value::Null, "spec: 'amiFamily' when no AMI is selected by 'alias'"),
        (
            "/spec/amiFamily",
            json!("Ubuntu"),
            "spec.amiFamily: one of AL2, AL2023, Bottlerocket, Custom, Windows2019, Windows2022, Windows2025",
        ),
        ("/spec/role", json!(""), "spec.role: a role, not an empty text"),
        ("/spec/role", Value::Null, "spec: either 'role' or 'instanceProfile', and not both"),
        ("/spec/instanceProfile", json!("x"), "spec: either 'role' or 'instanceProfile', and not both"),
        ("/spec/tags", json!({ "": "x" }), "spec.tags: no tag with an empty key"),
        (
            "/spec/tags",
            json!({ "eks:eks-cluster-name": "x" }),
            "spec.tags: no tag eks:eks-cluster-name, which is set for every cluster",
        ),
        (
            "/spec/tags",
            json!({ "kubernetes.io/cluster/main": "owned" }),
            "spec.tags: no tag that begins with kubernetes.io/cluster, which is set for every cluster",
        ),
        (
            "/spec/tags",
            json!({ "karpenter.sh/nodepool": "x" }),
            "spec.tags: no tag karpenter.sh/nodepool, which is set for every node",
        ),
        (
            "/spec/tags",
            json!({ "karpenter.sh/nodeclaim": "x" }),
            "spec.tags: no tag karpenter.sh/nodeclaim, which is set for every node",
        ),
        (
            "/spec/tags",
            json!({ "karpenter.k8s.aws/ec2nodeclass": "x" }),
            "spec.tags: no tag karpenter.k8s.aws/ec2nodeclass, which is set for every node",
        ),
        ("/spec/ipPrefixCount", json!(-1), "spec.ipPrefixCount: a number not below 0"),
        (
            "/spec/instanceStorePolicy",
            json!("RAID1"),
            "spec.instanceStorePolicy: one of RAID0; did you mean 'RAID0'?",
        ),
        (
            interfaces,
            json!([name("interface", 0, 1)]),
            "spec.networkInterfaces: a primary one, with network card 0, device 0 and type 'interface'",
        ),
        (
            interfaces,
            json!([name("interface", 0, 0), name("interface", 0, 0)]),
            "spec.networkInterfaces: no two with the same 'networkCardIndex' and 'deviceIndex'",
        ),
        (
            interfaces,
            json!([name("interface", 0, 0), name("efa-only", 1, 0), name("efa-only", 1, 1)]),
            "spec.networkInterfaces: at most one of type 'efa-only' on each network card",
        ),
        (
            "/spec/metadataOptions",
            json!({ "httpPutResponseHopLimit": 65 }),
            "spec.metadataOptions.httpPutResponseHopLimit: a number from 1 to 64",
        ),
        (
            "/spec/connectionTracking",
            json!({}),
            "spec.connectionTracking: at least one of 'tcpEstablishedTimeout', 'udpStreamTimeout' and 'udpTimeout'",
        ),
        (
            "/spec/connectionTracking",
            json!({ "udpTimeout": 61 }),
            "spec.connectionTracking.udpTimeout: a number from 30 to 60",
        ),
        (
            "/spec/cpuOptions",
            json!({ "nestedVirtualization": "on" }),
            "spec.cpuOptions.nestedVirtualization: one of enabled, disabled",
        ),
    ];
    table(custom_class, cases)
}

/// Of the disks and the kubelet of an EC2NodeClass.
pub(crate) fn disks_and_kubelets() -> Table {
    let disks = "/spec/blockDeviceMappings";
    let signals = "only the signals ['memory.available', 'nodefs.available', 'nodefs.inodesFree', 'imagefs.available', 'imagefs.inodesFree', 'pid.available']";
    let kubelet = "/spec/kubelet";
    let cases: Vec<(&str, Value, String)> = vec![
        (disks, json!([{ "ebs": {} }]), "spec.blockDeviceMappings[0].ebs: 'snapshotID' or 'volumeSize'".into()),
        (disks, json!([{ "ebs": { "volumeSize": "8Gi", "volumeInitializationRate": 100 } }]), "spec.blockDeviceMappings[0].ebs: 'snapshotID' beside 'volumeInitializationRate'".into()),
        (disks, json!([{ "ebs": { "snapshotID": "s", "volumeInitializationRate": 301 } }]), "spec.blockDeviceMappings[0].ebs.volumeInitializationRate: a number from 100 to 300".into()),
        (disks, json!([{ "ebs": { "volumeSize": "8Gi", "volumeType": "gp4" } }]), "spec.blockDeviceMappings[0].ebs.volumeType: one of standard, io1, io2, gp2, sc1, st1, gp3; did you mean 'gp2'?".into()),
        (disks, json!([{ "rootVolume": true }, { "rootVolume": true }]), "spec.blockDeviceMappings: at most one mapping with 'rootVolume'".into()),
        (kubelet, json!({ "imageGCHighThresholdPercent": 50, "imageGCLowThresholdPercent": 60 }), "spec.kubelet: 'imageGCHighThresholdPercent' above 'imageGCLowThresholdPercent'".into()),
        (kubelet, json!({ "imageGCHighThresholdPercent": 101 }), "spec.kubelet.imageGCHighThresholdPercent: a number from 0 to 100".into()),
        (kubelet, json!({ "evictionSoft": { "memory.available": "5%" } }), "spec.kubelet: an 'evictionSoftGracePeriod' for every signal of 'evictionSoft'".into()),
        (kubelet, json!({ "evictionSoftGracePeriod": { "memory.available": "1m" } }), "spec.kubelet: an 'evictionSoft' for every signal of 'evictionSoftGracePeriod'".into()),
        (kubelet, json!({ "evictionHard": { "disk": "5%" } }), format!("spec.kubelet.evictionHard: {signals}")),
        (kubelet, json!({ "evictionHard": { "memory.available": "lots" } }), "spec.kubelet.evictionHard[\"memory.available\"]: a quantity such as 100Mi or a percentage such as 5%".into()),
        (kubelet, json!({ "kubeReserved": { "gpu": "1" } }), "spec.kubelet.kubeReserved: only the resources 'cpu', 'memory', 'ephemeral-storage' and 'pid'".into()),
        (kubelet, json!({ "maxPods": -1 }), "spec.kubelet.maxPods: a number not below 0".into()),
        (kubelet, json!({ "podPerCore": 1 }), "spec.kubelet.podPerCore: a known field; did you mean 'podsPerCore'?".into()),
    ];
    table(node_class, cases)
}
