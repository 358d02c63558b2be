"""What goes wrong on demand. A fault is a dictionary with a `kind`; a test posts them to `/whittle/faults`.

error     {action: "ec2:CreateFleet", code, message?, times?}: the next `times` calls (all without it) fail so.
stall     {action, seconds, times?, after?}: they begin later, or with `after` are carried out and answered later.
lost      {action, times?}: they are carried out, and the connection closes without an answer.
capacity  {type?, zone?, capacity?, remaining?, code?}: what matches (`*` matches any part of a name) has no more than
          `remaining` instances (0 without it), and CreateFleet says so with `code`.
half      {instances, times?}: a fleet gets no more than so many instances.
lag       {seconds}: DescribeInstances does not know instances that are younger.
boot      {seconds}: so long an instance is pending.
protected {id}: TerminateInstances refuses to end this instance, and all others that are named with it.
meagre    {cpu, type?, zone?, capacity?}: so many thousandths of a CPU are kept from pods. For the joiner to obey.
silent    {type?, zone?, capacity?}: such an instance runs, and its kubelet never joins. For the joiner to obey.

Dry runs are neither stalled nor lost. A fault holds until it has happened `times` times or is taken away. When all are
taken away, calls that are stalled go on.
"""

import fnmatch
import itertools
import threading

KINDS = {
    "error": {"action", "code"},
    "stall": {"action", "seconds"},
    "lost": {"action"},
    "capacity": set(),
    "half": {"instances"},
    "lag": {"seconds"},
    "boot": {"seconds"},
    "meagre": {"cpu"},
    "protected": {"id"},
    "silent": set(),
}

_faults = {}
_ids = itertools.count(1)
_lock = threading.Lock()
_healed = threading.Event()


def add(fault):
    """Puts a fault in force and tells its number."""
    kind = fault.get("kind")
    if kind not in KINDS:
        raise ValueError(f"a fault is one of {', '.join(KINDS)}, found {kind!r}")
    missing = KINDS[kind] - fault.keys()
    if missing:
        raise ValueError(f"{kind} needs {', '.join(sorted(missing))}, found {fault}")
    with _lock:
        number = next(_ids)
        _faults[number] = dict(fault)
        return number


def remove(number=None):
    """Takes one away, or all."""
    global _healed
    with _lock:
        if number is None:
            _faults.clear()
            _healed.set()
            _healed = threading.Event()
        else:
            _faults.pop(number, None)


def healed():
    """What is set when all that are in force now are taken away."""
    with _lock:
        return _healed


def listed():
    with _lock:
        return dict(_faults)


def take(kind, action=None):
    """The fault of this kind that happens now, if one does; it is used up by so much."""
    with _lock:
        for number, fault in _faults.items():
            if fault["kind"] != kind or (action is not None and fault["action"] != action):
                continue
            if "times" in fault:
                fault["times"] -= 1
                if fault["times"] <= 0:
                    del _faults[number]
            return fault
    return None


def values(kind, key):
    """The values of all faults of this kind."""
    with _lock:
        return [fault[key] for fault in _faults.values() if fault["kind"] == kind]


def value(kind, key, default):
    """The value of the last fault of this kind."""
    found = values(kind, key)
    return found[-1] if found else default


def matching(kind, type_, zone, capacity):
    """The faults of this kind that are about such an instance."""
    wanted = {"type": type_, "zone": zone, "capacity": capacity}
    with _lock:
        return [
            fault
            for fault in _faults.values()
            if fault["kind"] == kind
            and all(fnmatch.fnmatch(found, fault.get(key) or "*") for key, found in wanted.items())
        ]
