"""What instances cost here: one formula, that CreateFleet, the spot price history and the Pricing service share.

The figures are of no account; that they differ by size, family, zone and way of buying is. Pricing GetProducts answers
as the service does: each product is a string of JSON of its own.
"""

import json
import re
import zlib

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

# Dollars an hour for a CPU, a GiB and an accelerator.
_CPU, _GIB, _ACCELERATOR = 0.035, 0.0035, 0.6
_SPOT = 0.36
# By the last letter of the zone: the same type costs differently in each.
_ZONES = {"a": 1.0, "b": 1.07, "c": 1.13, "d": 1.2}
_PAGE = 100


def on_demand(type_):
    """Dollars an hour, or nothing for a type that is not known."""
    known = INSTANCE_TYPES.get(type_)
    if known is None:
        return None
    gpus = sum(gpu.get("Count", 0) for gpu in known.get("GpuInfo", {}).get("Gpus", []))
    base = (
        known["VCpuInfo"]["DefaultVCpus"] * _CPU
        + known["MemoryInfo"]["SizeInMiB"] / 1024 * _GIB
        + gpus * _ACCELERATOR
    )
    # Families differ by up to a fifth, always in the same way.
    family = type_.split(".")[0]
    return round(base * (1 + zlib.crc32(family.encode()) % 200 / 1000), 4)


def spot(type_, zone):
    whole = on_demand(type_)
    return None if whole is None else round(whole * _SPOT * _ZONES.get(zone[-1], 1.3), 4)


def offered(region):
    """All (type, zone) of a region, as they are listed."""
    listed = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    return [(one["InstanceType"], one["Location"]) for one in listed]


def price(type_, zone, capacity):
    return spot(type_, zone) if capacity == "spot" else on_demand(type_)


def get_products(request):
    """The answer to AWSPriceListService.GetProducts."""
    wanted = {one["Field"]: one["Value"] for one in request.get("Filters", [])}
    region = wanted.get("regionCode", "us-east-1")
    types = sorted({type_ for type_, _ in offered(region)})
    products = [text for type_ in types for text in [_product(type_, region, wanted)] if text]
    begin = int(request.get("NextToken") or 0)
    page = min(int(request.get("MaxResults") or _PAGE), _PAGE)
    answer = {"FormatVersion": "aws_v1", "PriceList": products[begin : begin + page]}
    if begin + page < len(products):
        answer["NextToken"] = str(begin + page)
    return answer


def _product(type_, region, wanted):
    dollars = on_demand(type_)
    if dollars is None:
        return None
    metal = bool(re.search(r"\.metal", type_))
    attributes = {
        "capacitystatus": "Used",
        "instanceType": type_,
        "marketoption": "OnDemand",
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "regionCode": region,
        "servicecode": "AmazonEC2",
        "tenancy": "Dedicated" if metal else "Shared",
    }
    family = "Compute Instance (bare metal)" if metal else "Compute Instance"
    seen = {key.lower(): value for key, value in attributes.items()} | {"productfamily": family}
    if any(seen.get(field.lower(), value) != value for field, value in wanted.items()):
        return None
    sku = f"{zlib.crc32(f'{type_} {region}'.encode()):08X}"
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {
        "rateCode": rate,
        "unit": "Hrs",
        "beginRange": "0",
        "endRange": "Inf",
        "description": f"${dollars} per On Demand Linux {type_} Instance Hour",
        "appliesTo": [],
        "pricePerUnit": {"USD": f"{dollars:.10f}"},
    }
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": attributes, "sku": sku},
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    term: {
                        "priceDimensions": {rate: dimension},
                        "sku": sku,
                        "effectiveDate": "2026-11-01T00:00:00Z",
                        "offerTermCode": "JRTCKXETXF",
                        "termAttributes": {},
                    }
                }
            },
            "version": "20261101000000",
            "publicationDate": "2026-11-01T00:00:00Z",
        }
    )
