"""What moto's EC2 does otherwise than EC2, mended in place: pages, tags, the life of instances, and CreateFleet."""

import datetime

import faults
import fleet
import machines
import market
import reservations
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.fleets import Fleets
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.responses.spot_instances import SpotInstances

# The largest pages that EC2 gives.
_TYPES, _OFFERINGS, _PRICES, _TEMPLATES, _INSTANCES = 100, 1000, 1000, 200, 1000


def mend():
    TaggedEC2Resource.get_tags = _tags
    Fleets.create_fleet = _create_fleet
    SpotInstances.describe_spot_price_history = _spot_prices
    InstanceResponse.describe_instances = _describe_instances
    InstanceResponse.describe_capacity_reservations = reservations.describe
    InstanceResponse.describe_instance_types = _paged(
        InstanceResponse.describe_instance_types, "InstanceTypes", _TYPES
    )
    InstanceResponse.describe_instance_type_offerings = _paged(
        InstanceResponse.describe_instance_type_offerings, "InstanceTypeOfferings", _OFFERINGS
    )
    LaunchTemplates.describe_launch_templates = _launch_templates
    terminate = InstanceBackend.terminate_instances
    InstanceBackend.terminate_instances = lambda self, ids: _terminate(terminate, self, ids)


def _page(response, rows, most):
    """The rows that the request is about, and the token for more."""
    begin = int(response._get_param("NextToken") or 0)
    size = min(int(response._get_param("MaxResults") or most), most)
    end = begin + size
    return rows[begin:end], str(end) if end < len(rows) else None


def _paged(describe, key, most):
    def paged(self):
        rows, token = _page(self, list(describe(self).result[key]), most)
        return ActionResult({key: rows, "NextToken": token})

    return paged


def _tags(self):
    tags = self.ec2_backend.tags.get(self.id, {})
    return [
        {"key": key, "value": value, "resource_id": self.id, "resource_type": "", "Key": key, "Value": value}
        for key, value in list(tags.items())
    ]


def _create_fleet(self):
    asked = [
        "ClientToken", "Context", "LaunchTemplateConfigs", "OnDemandOptions", "SpotOptions", "TagSpecifications",
        "TargetCapacitySpecification", "Type",
    ]  # fmt: skip
    request = {key: self._get_param(key) for key in asked}
    request = {key: value for key, value in request.items() if value is not None}
    request.setdefault("Type", "maintain")
    self.error_on_dryrun()
    return ActionResult(fleet.create(self.ec2_backend, self.region, request))


def _spot_prices(self):
    types = set(self._get_param("InstanceTypes", []))
    filters = self._filters_from_querystring()
    zones = set(filters.get("availability-zone", []))
    types |= set(filters.get("instance-type", []))
    if zone := self._get_param("AvailabilityZone"):
        zones.add(zone)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    described = self._get_param("ProductDescriptions", []) or filters.get("product-description", [])
    kinds = [kind for kind in ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"] if not described or kind in described]
    rows = [
        {
            "InstanceType": type_,
            "ProductDescription": kinds[-1],
            "SpotPrice": f"{market.spot(type_, zone):.6f}",
            "AvailabilityZone": zone,
            "Timestamp": now,
        }
        for type_, zone in market.offered(self.region)
        if kinds and (not types or type_ in types) and (not zones or zone in zones) and market.on_demand(type_)
    ]
    rows, token = _page(self, rows, _PRICES)
    return ActionResult({"SpotPriceHistory": rows, "NextToken": token or ""})


def _launch_templates(self):
    self.error_on_dryrun()
    names = self._get_param("LaunchTemplateNames", [])
    templates = self.ec2_backend.describe_launch_templates(
        template_names=names,
        template_ids=self._get_param("LaunchTemplateIds", []),
        filters=self._filters_from_querystring(),
    )
    rows, token = _page(self, list(templates), _TEMPLATES)
    account = f"arn:{self.partition}:iam::{self.current_account}:root"
    shown = [
        {
            "CreateTime": one.create_time,
            "CreatedBy": account,
            "DefaultVersionNumber": one.default_version_number,
            "LatestVersionNumber": one.latest_version_number,
            "LaunchTemplateId": one.id,
            "LaunchTemplateName": one.name,
            "Tags": one.get_tags(),
        }
        for one in rows
    ]
    return ActionResult({"LaunchTemplates": shown, "NextToken": token})


def _describe_instances(self):
    self.error_on_dryrun()
    ids = self._get_param("InstanceIds", [])
    filters = self._filters_from_querystring()
    if ids and self._get_param("MaxResults"):
        text = "The parameter instancesSet cannot be used with the parameter maxResults"
        raise EC2ClientError("InvalidParameterCombination", text)
    backend = self.ec2_backend
    if ids:
        # Checked before filters are looked at, and one that is not known fails them all.
        known = {one.id for one in backend.all_instances() if machines.is_known(one)}
        for id_ in ids:
            if id_ not in known:
                raise InvalidInstanceIdError(id_)
        reservations = backend.get_reservations_by_instance_ids(ids, filters=filters)
    else:
        reservations = backend.describe_instances(filters=filters)
    for one in reservations:
        one.instances = [instance for instance in one.instances if machines.is_known(instance)]
    rows, token = _page(self, [one for one in reservations if one.instances], _INSTANCES)
    return ActionResult({"Reservations": rows, "NextToken": token})


def _terminate(terminate, backend, ids):
    for id_ in ids:
        if id_ in faults.values("protected", "id"):
            text = f"The instance '{id_}' may not be terminated. Modify its 'disableApiTermination' instance attribute"
            raise EC2ClientError("OperationNotPermitted", f"{text} and try again.")
    before = {one.id for one in backend.all_instances() if one.state in ("shutting-down", "terminated")}
    for id_ in ids:
        if not any(one.id == id_ for one in backend.all_instances()):
            raise InvalidInstanceIdError(id_)
    done = terminate(backend, [id_ for id_ in ids if id_ not in before]) if set(ids) - before else []
    for instance, _ in done:
        machines.terminating(instance)
    again = [one for one in backend.all_instances() if one.id in before and one.id in ids]
    return done + [(one, one._state) for one in again]
