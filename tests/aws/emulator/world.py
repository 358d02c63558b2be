"""The account that tests find: a VPC with a subnet in each of three zones of Seoul, a cluster, its images, a role and an
instance profile that has it, a queue.

Made through moto's own models, before anybody calls. Names are those of `examples/ticket-cluster`.
"""

import datetime
import json

from moto.ec2.models.amis import Ami
from moto.ec2 import ec2_backends
from moto.eks import eks_backends
from moto.iam import iam_backends
from moto.sqs import sqs_backends
from moto.ssm import ssm_backends
from moto.ssm.models import Parameter

import messages

ACCOUNT, REGION = "123456789012", "ap-northeast-2"
ZONES = ["a", "b", "c"]
VERSION = "1.33"
# Where EKS publishes its images from.
_EKS = "602401143452"
_queue = "ticket-cluster"


def ec2():
    return ec2_backends[ACCOUNT][REGION]


def make(cluster):
    """Makes all of it and tells what is where."""
    global _queue
    _queue = cluster
    discovery = {"karpenter.sh/discovery": cluster}
    vpc, subnets, groups = _network(cluster, discovery)
    role = _role(f"{cluster}-eks-worker-role")
    _profile(f"{cluster}-nodes", f"{cluster}-eks-worker-role")
    eks_backends[ACCOUNT][REGION].create_cluster(
        name=cluster,
        role_arn=role,
        resources_vpc_config={"subnetIds": subnets, "securityGroupIds": groups, "vpcId": vpc},
        version=VERSION,
        kubernetes_network_config={"serviceIpv4Cidr": "10.0.0.0/24", "ipFamily": "ipv4"},
    )
    images = _images()
    set_queue(True)
    return {"vpc": vpc, "subnets": subnets, "groups": groups, "role": role, "images": images, "queue": _queue}


def _network(cluster, discovery):
    backend = ec2()
    vpc = backend.create_vpc("10.20.0.0/16").id
    subnets = []
    for number, zone in enumerate(ZONES):
        subnet = backend.create_subnet(vpc, f"10.20.{number * 64}.0/18", availability_zone=f"{REGION}{zone}")
        subnet.add_tags(discovery | {"Name": f"{cluster}-{zone}"})
        subnets.append(subnet.id)
    group = backend.create_security_group(f"{cluster}-nodes", "nodes", vpc)
    group.add_tags(discovery | {"Name": f"{cluster}-nodes"})
    return vpc, subnets, [group.id]


def _role(name):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    backend = iam_backends[ACCOUNT]["aws"]
    return backend.create_role(
        role_name=name,
        assume_role_policy_document=json.dumps(trust),
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    ).arn


def _profile(name, role):
    backend = iam_backends[ACCOUNT]["aws"]
    backend.create_instance_profile(name=name, path="/", role_names=[], tags=[])
    backend.add_role_to_instance_profile(name, role)


def _images():
    """Images of each family and architecture, and the parameters that name them."""
    made = {}
    for number, (family, architecture, variant, names) in enumerate(_parameters()):
        id_ = f"ami-{number + 1:017x}"
        label = f"{family}-{architecture}-{variant}"
        ec2().amis[id_] = Ami(
            ec2(),
            id_,
            name=f"amazon-eks-{label}-{VERSION}-v20261101",
            description=f"EKS-optimized, {label}",
            owner_id=_EKS,
            owner_alias="amazon",
            public=True,
            virtualization_type="hvm",
            architecture=architecture,
            creation_date=datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc),
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name="/dev/xvda",
            region_name=f"{REGION}a",
        )
        for name in names:
            _put(name, id_)
        made[label] = id_
    return made


def _parameters():
    """(family, architecture, variant, names of parameters)."""
    base = f"/aws/service/eks/optimized-ami/{VERSION}"
    for architecture in ["x86_64", "arm64"]:
        for variant in ["standard", "nvidia"] + (["neuron"] if architecture == "x86_64" else []):
            folder = f"{base}/amazon-linux-2023/{architecture}/{variant}"
            release = f"amazon-eks-node-al2023-{architecture}-{variant}-{VERSION}-v20261101"
            yield "al2023", architecture, variant, [f"{folder}/recommended/image_id", f"{folder}/{release}/image_id"]
        for variant in ["", "-nvidia"]:
            folder = f"/aws/service/bottlerocket/aws-k8s-{VERSION}{variant}/{architecture}"
            names = [f"{folder}/{release}/image_id" for release in ["latest", "1.50.0"]]
            yield "bottlerocket", architecture, variant.strip("-") or "standard", names


def _put(name, value):
    ssm_backends[ACCOUNT][REGION]._parameters[name].append(
        Parameter(
            account_id=ACCOUNT,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=datetime.datetime.now(),
            version=1,
            data_type="text",
        )
    )


def set_queue(present):
    """Makes the queue, or takes it away."""
    backend = sqs_backends[ACCOUNT][REGION]
    if present and _queue not in backend.queues:
        backend.create_queue(_queue, MessageRetentionPeriod="300")
    elif not present:
        backend.queues.pop(_queue, None)


def send(bodies):
    """Puts messages on the queue."""
    return messages.put(sqs_backends[ACCOUNT][REGION].queues[_queue], bodies)


def queue_length():
    queue = sqs_backends[ACCOUNT][REGION].queues.get(_queue)
    if queue is None:
        return {"present": False, "waiting": 0, "handled": 0}
    return {"present": True} | messages.length(queue)
