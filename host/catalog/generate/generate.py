#!/usr/bin/env python3
"""Writes the instance type tables of whittle-catalog from the data that moto carries.

    pip download --no-deps moto==5.2.5
    python3 host/catalog/generate/generate.py moto-5.2.5-py3-none-any.whl

The argument is the wheel, or a folder that it was unpacked into. Written are, next to this folder in `data/`:
`instance-types.csv`, `offerings.csv` and `zones.csv`. The other tables there are kept by hand. Commit what changes,
and correct VERSION and DATE here, `data/NOTICE` and `SOURCE` in `src/catalog.rs` when the version changes. Only the standard library is used.
"""

import gzip
import io
import json
import pathlib
import sys
import zipfile
from collections import defaultdict

VERSION = "5.2.5"
DATE = "2026-10-27"
RESOURCES = "moto/ec2/resources"
DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
# EC2's names of the architectures that Kubernetes runs on; types of other architectures (mac) are left out.
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
SOURCE = (
    f"# Source: moto {VERSION} ({DATE}), Apache License 2.0, see NOTICE; rewritten by generate/generate.py, do not edit.\n"
)


class Source:
    """The JSON files of moto, from a wheel or from a folder."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.wheel = zipfile.ZipFile(self.path) if self.path.is_file() else None

    def names(self, folder):
        prefix = f"{RESOURCES}/{folder}/"
        if self.wheel:
            found = [name[len(prefix):] for name in self.wheel.namelist() if name.startswith(prefix)]
        else:
            found = [entry.name for entry in (self.path / prefix).iterdir()]
        return sorted(found)

    def read(self, name):
        full = f"{RESOURCES}/{name}"
        raw = self.wheel.read(full) if self.wheel else (self.path / full).read_bytes()
        return json.load(gzip.open(io.BytesIO(raw)))


def label(text):
    """A name as it appears in a label value."""
    return text.lower().replace(" ", "-")


def network_mbps(network):
    """The baseline bandwidth of all network cards, at most the published total of the instance type.

    Empty where EC2 publishes words ("Moderate") instead of a figure.
    """
    count, _, each = network["NetworkPerformance"].removeprefix("Up to ").rpartition("x ")
    gigabits, _, unit = each.partition(" ")
    if unit != "Gigabit":
        return ""
    cards = sum(card["BaselineBandwidthInGbps"] for card in network["NetworkCards"])
    return round(min(cards, float(gigabits) * int(count or 1)) * 1000)


def row(info):
    """The columns of one instance type."""
    network, processor = info["NetworkInfo"], info["ProcessorInfo"]
    card = network["NetworkCards"][network["DefaultNetworkCardIndex"]]
    storage, ebs = info.get("InstanceStorageInfo", {}), info["EbsInfo"]
    gpu = next(iter(info.get("GpuInfo", {}).get("Gpus", [])), None)
    neuron = next(iter(info.get("NeuronInfo", {}).get("NeuronDevices", [])), None)
    inference = next(iter(info.get("InferenceAcceleratorInfo", {}).get("Accelerators", [])), None)
    accelerator = (neuron["Name"], "AWS", neuron["Count"]) if neuron else None
    if inference and not neuron:
        accelerator = (inference["Name"], inference["Manufacturer"], inference["Count"])
    clock = processor.get("SustainedClockSpeedInGhz")
    architectures = [ARCHITECTURES[name] for name in processor["SupportedArchitectures"] if name in ARCHITECTURES]
    has_nvme = storage.get("NvmeSupport", "unsupported") != "unsupported"
    return {
        "name": info["InstanceType"],
        "vcpus": info["VCpuInfo"]["DefaultVCpus"],
        "memory_mib": info["MemoryInfo"]["SizeInMiB"],
        "arch": architectures[0],
        "hypervisor": info.get("Hypervisor", ""),
        "cpu_manufacturer": label(processor["Manufacturer"]),
        "clock_mhz": round(clock * 1000) if clock else "",
        "enis": card["MaximumNetworkInterfaces"],
        "ipv4_per_eni": network["Ipv4AddressesPerInterface"],
        "network_cards": len(network["NetworkCards"]),
        "efa": network.get("EfaInfo", {}).get("MaximumEfaInterfaces", ""),
        "network_mbps": network_mbps(network),
        "ebs_mbps": ebs["EbsOptimizedInfo"]["MaximumBandwidthInMbps"] if ebs["EbsOptimizedSupport"] == "default" else "",
        "encrypted_transit": int(network["EncryptionInTransitSupported"]),
        "nested": int("nested-virtualization" in processor.get("SupportedFeatures", [])),
        "buy": " ".join(use for use in ("on-demand", "spot") if use in info["SupportedUsageClasses"]),
        "nvme_gb": storage["TotalSizeInGB"] if has_nvme else "",
        "gpu": label(gpu["Name"]) if gpu else "",
        "gpu_manufacturer": label(gpu["Manufacturer"]) if gpu else "",
        "gpu_count": gpu["Count"] if gpu else "",
        "gpu_memory_mib": gpu["MemoryInfo"]["SizeInMiB"] if gpu else "",
        "accelerator": label(accelerator[0]) if accelerator else "",
        "accelerator_manufacturer": label(accelerator[1]) if accelerator else "",
        "accelerator_count": accelerator[2] if accelerator else "",
        "neuron_cores": neuron["Count"] * neuron["CoreInfo"]["Count"] if neuron else "",
    }


def size_key(size):
    """Sizes from small to large: `nano` to `large`, then by number, then metal."""
    words = ["nano", "micro", "small", "medium", "large", "xlarge"]
    if size in words:
        return (words.index(size), 0, size)
    number = size.removesuffix("xlarge")
    return (len(words), int(number), size) if number.isdigit() else (len(words) + 1, 0, size)


def type_key(name):
    family, size = name.split(".")
    return (family, size_key(size))


def write(name, comment, columns, rows):
    lines = [",".join(map(str, values)) for values in rows]
    text = SOURCE + "".join(f"# {line}\n" for line in comment) + ",".join(columns) + "\n" + "\n".join(lines) + "\n"
    (DATA / name).write_text(text)
    print(f"{name}: {len(lines)} rows")


def zone_ids(by_name, by_id):
    """Pairs zone names with zone ids: those that offer the same types, in order where several do."""
    free, pairs = sorted(by_id), []
    for zone in sorted(by_name):
        match = next(candidate for candidate in free if by_id[candidate] == by_name[zone])
        free.remove(match)
        pairs.append((zone, match))
    return pairs


def places(source, kind, region):
    offered = defaultdict(set)
    for entry in source.read(f"instance_type_offerings/{kind}/{region}.json.gz"):
        offered[entry["Location"]].add(entry["InstanceType"])
    return offered


def main(path):
    source = Source(path)
    known = source.read("instance_types.json.gz")
    rows = [
        row(info)
        for info in known.values()
        if set(info["ProcessorInfo"]["SupportedArchitectures"]) & set(ARCHITECTURES)
        and "hvm" in info["SupportedVirtualizationTypes"]
    ]
    rows.sort(key=lambda columns: type_key(columns["name"]))
    write(
        "instance-types.csv",
        [
            "DescribeInstanceTypes of us-east-1, the types that Kubernetes can run on. Empty: the type has none.",
            "enis: of the default network card. network_mbps: baseline. ebs_mbps: maximum. hypervisor empty: bare metal.",
        ],
        rows[0].keys(),
        [columns.values() for columns in rows],
    )
    sizes = defaultdict(list)
    for columns in rows:
        family, size = columns["name"].split(".")
        sizes[family].append(size)
    zones, offerings = [], []
    for file in source.names("instance_type_offerings/availability-zone"):
        region = file.removesuffix(".json.gz")
        by_name = places(source, "availability-zone", region)
        zones += zone_ids(by_name, places(source, "availability-zone-id", region))
        for family, family_sizes in sizes.items():
            by_zones = defaultdict(list)
            for size in family_sizes:
                letters = "".join(sorted(zone[-1] for zone in by_name if f"{family}.{size}" in by_name[zone]))
                by_zones[letters].append(size)
            for letters, some in by_zones.items():
                if letters:
                    offerings.append((region, letters, family, "*" if some == family_sizes else " ".join(some)))
    write(
        "zones.csv",
        [
            "Zone names and zone ids. The pairing differs between accounts; this is the one of the recorded account",
            "(il-central-1a and -1c offer the same types, so which of them has which id is a guess).",
        ],
        ["zone", "zone_id"],
        zones,
    )
    write(
        "offerings.csv",
        ["DescribeInstanceTypeOfferings: zones are letters after the region's name; * is every size of the family."],
        ["region", "zones", "family", "sizes"],
        sorted(offerings),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
