"""The life of instances: pending and shutting-down take a moment, and what is told of an instance can come late.

`listed` is what a test sees of them, whatever DescribeInstances knows yet: a machine boots whether or not an API has
heard of it. `vanish` takes one away as if it had never been.
"""

import base64
import threading
import time

import faults
from moto.ec2.models.instance_types import INSTANCE_TYPES

# Seconds.
_BOOT, _SHUTDOWN = 0.3, 0.3

lock = threading.RLock()
"""Held by whoever calls moto, and by what happens here by itself."""


def _later(seconds, change):
    def locked():
        with lock:
            change()

    timer = threading.Timer(seconds, locked)
    timer.daemon = True
    timer.start()


def born(instance):
    """Called with an instance that was launched just now."""
    instance.born = time.monotonic()
    instance._state.name, instance._state.code = "pending", 0
    kind = instance.instance_type, instance.placement.zone, _capacity(instance)
    # What a machine is like it stays, whatever is healed meanwhile.
    instance.silent = bool(faults.matching("silent", *kind))
    instance.kept_millis = next((fault["cpu"] for fault in faults.matching("meagre", *kind)), 0)

    def run():
        if instance.state == "pending":
            instance._state.name, instance._state.code = "running", 16

    _later(faults.value("boot", "seconds", _BOOT), run)


def terminating(instance):
    """Called with an instance that moto has terminated just now."""
    instance._state.name, instance._state.code = "shutting-down", 32

    def end():
        instance._state.name, instance._state.code = "terminated", 48

    _later(_SHUTDOWN, end)


def is_known(instance):
    """Whether DescribeInstances knows it already."""
    age = time.monotonic() - getattr(instance, "born", 0.0)
    return age >= faults.value("lag", "seconds", 0)


def vanish(backend, id_):
    """Takes an instance away without a trace."""
    for reservation in backend.reservations.values():
        reservation.instances = [one for one in reservation.instances if one.id != id_]
    backend.tags.pop(id_, None)


def _capacity(instance):
    return "spot" if instance.lifecycle == "spot" else "on-demand"


def _text(encoded):
    return "" if encoded is None else base64.b64decode(str(encoded)).decode()


def listed(backend):
    """All instances, as a test wants to see them."""
    return [_shown(backend, one) for reservation in backend.reservations.values() for one in reservation.instances]


def _shown(backend, instance):
    shape = INSTANCE_TYPES[instance.instance_type]
    options = instance.metadata_options
    return {
        "id": instance.id,
        "type": instance.instance_type,
        "zone": instance.placement.zone,
        "capacity": _capacity(instance),
        "state": instance.state,
        "image": instance.image_id,
        "architecture": shape["ProcessorInfo"]["SupportedArchitectures"][-1],
        "cpus": shape["VCpuInfo"]["DefaultVCpus"],
        "mebibytes": shape["MemoryInfo"]["SizeInMiB"],
        "host": instance.private_dns_name,
        "subnet": instance.subnet_id,
        "tags": dict(backend.tags.get(instance.id, {})),
        "groups": sorted({group.id for nic in instance.nics.values() for group in nic.group_set}),
        "profile": getattr(instance, "profile", None),
        "reservation": getattr(instance, "capacity_reservation_id", None),
        "template": getattr(instance, "template", None),
        "tokens": options.http_tokens,
        "hops": options.http_put_response_hop_limit,
        "user_data": _text(instance.user_data),
        "silent": getattr(instance, "silent", False),
        "kept_millis": getattr(instance, "kept_millis", 0),
    }
