"""CreateFleet of type `instant`, as EC2 carries it out: the cheapest offerings that have capacity, once per client token.

What has no capacity, by `faults.py`, is told in `Errors`; that is no failure of the call. A template that is not there,
a token that was used for something else and a subnet that is none are. Every fleet is kept for tests to look at.
"""

import copy
import uuid

import faults
import machines
import market
import reservations
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.utils import convert_tag_spec

# By token: the request, and its answer.
_answered = {}

log = []
"""All fleets: what was asked for, and what became of it."""

_MESSAGES = {
    "InsufficientInstanceCapacity": "We currently do not have sufficient {type} capacity in the Availability Zone you "
    "requested ({zone}). Our system will be working on provisioning additional capacity.",
    "UnfulfillableCapacity": "Unable to fulfill capacity due to your request configuration.",
    "InsufficientFreeAddressesInSubnet": "There are not enough free addresses in subnet '{subnet}' to satisfy the "
    "requested number of instances.",
    "ReservationCapacityExceeded": "The requested reservation does not have sufficient capacity for this request.",
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "VcpuLimitExceeded": "You have requested more vCPU capacity than your current vCPU limit allows for the instance "
    "bucket that the specified instance type belongs to.",
}


class Pool:
    """An offering that a fleet may take: a template with one of its overrides."""

    def __init__(self, backend, version, spec, override, capacity):
        self.override = override
        data = copy.deepcopy(version.data)
        self.data, self.version, self.spec, self.capacity = data, version, spec, capacity
        self.type = override.get("InstanceType") or data.get("InstanceType")
        self.image = override.get("ImageId") or data.get("ImageId")
        self.subnet = override.get("SubnetId")
        self.zone = override.get("AvailabilityZone")
        if self.subnet:
            self.zone = backend.get_subnet(self.subnet).availability_zone
        else:
            of_zone = [one for one in backend.get_default_subnets().items() if one[0] == self.zone or not self.zone]
            if not of_zone:
                raise EC2ClientError("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
            self.zone, default = of_zone[0]
            self.subnet = default.id
        self.price = market.price(self.type, self.zone, capacity)

    def order(self, strategy):
        priority = float(self.override.get("Priority", 0)) if "prioritized" in strategy else 0
        return (priority, self.price or 0, self.type or "", self.zone)

    def refusal(self, backend, offered):
        """Why this can never be launched, as code and message."""
        if self.type not in INSTANCE_TYPES or (self.type, self.zone) not in offered:
            text = f"Your requested instance type ({self.type}) is not supported in your requested Availability Zone"
            return "InvalidFleetConfiguration", f"{text} ({self.zone})."
        image = backend.amis.get(self.image)
        if image is None:
            return "InvalidAMIID.NotFound", f"The image id '[{self.image}]' does not exist"
        supported = INSTANCE_TYPES[self.type]["ProcessorInfo"]["SupportedArchitectures"]
        if image.architecture not in supported:
            text = f"The architecture '{supported[-1]}' of the specified instance type does not match the architecture"
            return "InvalidParameterValue", f"{text} '{image.architecture}' of the specified AMI."
        return None

    def reservation(self):
        """The capacity reservation that its template names."""
        return self.data.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {}).get(
            "CapacityReservationId"
        )

    def room(self, backend):
        """How many more there are, and the code that says that there are no more."""
        if self.reservation():
            return reservations.left(backend, self.reservation()), "ReservationCapacityExceeded"
        rules = faults.matching("capacity", self.type, self.zone, self.capacity)
        if not rules:
            return None, None
        least = min(rules, key=lambda rule: rule.get("remaining", 0))
        return least.get("remaining", 0), least.get("code", "InsufficientInstanceCapacity")

    def use(self, count):
        for rule in faults.matching("capacity", self.type, self.zone, self.capacity):
            rule["remaining"] = max(0, rule.get("remaining", 0) - count)

    def shown(self):
        override = dict(self.override)
        spec = {
            "LaunchTemplateId": self.version.template.id,
            "LaunchTemplateName": self.version.template.name,
            "Version": str(self.version.number),
        }
        return {"LaunchTemplateSpecification": spec, "Overrides": override}

    def error(self, code, message=None):
        text = message or _MESSAGES.get(code, code)
        return {
            "LaunchTemplateAndOverrides": self.shown(),
            "Lifecycle": self.capacity,
            "ErrorCode": code,
            "ErrorMessage": text.format(type=self.type, zone=self.zone, subnet=self.subnet),
        }


def create(backend, region, request):
    """The answer to a request."""
    if request["Type"] != "instant":
        raise EC2ClientError("InvalidParameterValue", f"only instant fleets are made here, found {request['Type']}")
    token = request.pop("ClientToken", None)
    if token and token in _answered:
        before, answer = _answered[token]
        if before != request:
            text = "The client token was used with different parameters before."
            raise EC2ClientError("IdempotentParameterMismatch", text)
        return answer
    capacity = request["TargetCapacitySpecification"].get("DefaultTargetCapacityType", "on-demand")
    pools = _pools(backend, request["LaunchTemplateConfigs"], capacity)
    options = request.get("SpotOptions" if capacity == "spot" else "OnDemandOptions") or {}
    pools.sort(key=lambda pool: pool.order(options.get("AllocationStrategy", "")))
    answer = _launch(backend, region, pools, request)
    log.append({"token": token, "request": request, "answer": answer})
    if token:
        _answered[token] = (copy.deepcopy(request), answer)
    return answer


def _pools(backend, configs, capacity):
    pools = []
    for config in configs:
        spec = config["LaunchTemplateSpecification"]
        if spec.get("LaunchTemplateId"):
            template = backend.get_launch_template(template_id=spec["LaunchTemplateId"])
        else:
            template = backend.get_launch_template_by_name(name=spec["LaunchTemplateName"])
        version = template.get_version(spec.get("Version", "$Default"))
        for override in config.get("Overrides") or [{}]:
            pools.append(Pool(backend, version, spec, override, capacity))
    return pools


def _launch(backend, region, pools, request):
    wanted = int(request["TargetCapacitySpecification"]["TotalTargetCapacity"])
    half = faults.take("half")
    left = wanted if half is None else min(wanted, int(half["instances"]))
    offered = set(market.offered(region))
    fleet = f"fleet-{uuid.uuid4()}"
    errors, instances = [], []
    for pool in pools:
        refusal = pool.refusal(backend, offered)
        if refusal:
            errors.append(pool.error(*refusal))
            continue
        room, code = pool.room(backend)
        count = left if room is None else min(left, room)
        if room is not None and room < max(left, 1):
            errors.append(pool.error(code))
        if count > 0:
            ids = [_run(backend, region, pool, request, fleet) for _ in range(count)]
            pool.use(count)
            left -= count
            instances.append(
                {
                    "LaunchTemplateAndOverrides": pool.shown(),
                    "Lifecycle": pool.capacity,
                    "InstanceIds": ids,
                    "InstanceType": pool.type,
                }
            )
    if half is not None and pools:
        errors.append(pools[0].error("UnfulfillableCapacity"))
    return {"FleetId": fleet, "Errors": errors, "Instances": instances}


def _run(backend, region, pool, request, fleet):
    data = pool.data
    groups = list(data.get("SecurityGroupIds") or [])
    nics = copy.deepcopy(data.get("NetworkInterfaces") or [])
    for nic in nics:
        nic["SubnetId"] = pool.subnet
    for group in groups + [group for nic in nics for group in nic.get("Groups") or []]:
        if backend.get_security_group_from_id(group) is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
    profile = data.get("IamInstanceProfile") or {}
    tags = convert_tag_spec(data.get("TagSpecifications") or [])
    of_fleet = convert_tag_spec(request.get("TagSpecifications") or [])
    instance_tags = tags.get("instance", {}) | of_fleet.get("instance", {})
    template = pool.version.template
    instance_tags |= {
        "aws:ec2:fleet-id": fleet,
        "aws:ec2launchtemplate:id": template.id,
        "aws:ec2launchtemplate:version": str(pool.version.number),
    }
    monitoring = data.get("Monitoring") or {}
    options = {"block_device_mappings": data["BlockDeviceMappings"]} if data.get("BlockDeviceMappings") else {}
    reservation = backend.run_instances(
        pool.image,
        1,
        data.get("UserData"),
        [],
        instance_type=pool.type,
        is_instance_type_default=False,
        region_name=region,
        subnet_id=pool.subnet,
        security_group_ids=groups,
        nics=nics,
        tags={"instance": instance_tags, "volume": tags.get("volume", {}) | of_fleet.get("volume", {})},
        instance_market_options="spot" if pool.capacity == "spot" else {},
        monitoring_state="enabled" if monitoring.get("Enabled") else "disabled",
        metadata_options=data.get("MetadataOptions") or {},
        **options,
    )
    instance = reservation.instances[0]
    instance.capacity_reservation_id = pool.reservation()
    instance.template = template.name
    instance.profile = profile.get("Name") or profile.get("Arn")
    if instance.profile:
        backend.associate_iam_instance_profile(
            instance.id,
            iam_instance_profile_name=profile.get("Name"),
            iam_instance_profile_arn=profile.get("Arn"),
        )
    machines.born(instance)
    return instance.id
