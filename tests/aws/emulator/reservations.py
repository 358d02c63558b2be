"""Capacity reservations, which moto does not have: made by a test, described, and launched into by fleets."""

import fnmatch

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

_ACCOUNT = "123456789012"
# By id, as a test has made them.
_made = {}


def put(id_, type_, zone, instances, kind="default"):
    """There is one, or it has so many instances now."""
    _made[id_] = {"type": type_, "zone": zone, "instances": instances, "kind": kind}


def end(backend, id_):
    """It is there no more; what runs in it runs on, on demand."""
    del _made[id_]
    for one in backend.all_instances():
        if getattr(one, "capacity_reservation_id", None) == id_:
            one.capacity_reservation_id = None


def left(backend, id_):
    """How many instances nobody has of it; none of one that is not there."""
    made = _made.get(id_)
    if made is None:
        return 0
    living = (one for one in backend.all_instances() if one.state in ("pending", "running"))
    return made["instances"] - sum(1 for one in living if getattr(one, "capacity_reservation_id", None) == id_)


def describe(self):
    self.error_on_dryrun()
    ids = self._get_param("CapacityReservationIds", [])
    for id_ in ids:
        if id_ not in _made:
            text = f"The capacity reservation '{id_}' does not exist."
            raise EC2ClientError("InvalidCapacityReservationId.NotFound", text)
    filters = self._filters_from_querystring()
    shown = [_shown(self.ec2_backend, id_) for id_ in sorted(_made) if not ids or id_ in ids]
    kept = [one for one in shown if all(_passes(one, name, values) for name, values in filters.items())]
    return ActionResult({"CapacityReservations": kept})


def _passes(shown, name, values):
    keys = {"state": "State", "owner-id": "OwnerId", "instance-match-criteria": "InstanceMatchCriteria"}
    found = shown[keys[name]] if name in keys else ""
    return any(fnmatch.fnmatch(found, value) for value in values)


def _shown(backend, id_):
    made = _made[id_]
    return {
        "CapacityReservationId": id_,
        "OwnerId": _ACCOUNT,
        "InstanceType": made["type"],
        "AvailabilityZone": made["zone"],
        "InstanceMatchCriteria": "targeted",
        "ReservationType": made["kind"],
        "State": "active",
        "TotalInstanceCount": made["instances"],
        "AvailableInstanceCount": left(backend, id_),
    }
