"""What tools of others say of `deploy/aws`, and whether its parts agree. `python deploy/check.py FOLDER`; silent if well.

cfn-lint reads the template. parliament reads the policies; as it judges statements one by one, that each action finds all
kinds of resources that it needs is looked at here, over all statements. Terraform comes from no package registry, so its
files are read by python-hcl2 alone: that they are HCL, ask for the same, and make the same queue, rules, roles and
policies, none of which but the queue may be in the way of what is there already.
"""

import fnmatch
import json
import re
import sys
from pathlib import Path

import cfnlint
import hcl2
import parliament

NAMES = {
    "${AWS::AccountId}": "123456789012",
    "${AWS::Partition}": "aws",
    "${AWS::Region}": "ap-northeast-2",
    "${ClusterName}": "shop",
    "${NodeRole}": "nodes",
    "${QueueName}": "shop-whittle",
}
# What would be in the way of another stack, of Karpenter's or in another region, if it had a name of its own; and the
# property of CloudFormation that says it.
UNNAMED = {"AWS::Events::Rule": "Name", "AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::IAM::Role": "RoleName"}
# The longest prefix that Terraform takes for a rule or a role, and the most characters that a cluster's name has.
PREFIX, CLUSTER = 38, 100


def filled(text):
    for name, value in NAMES.items():
        text = text.replace(name, value)
    return text


def template(file):
    for match in cfnlint.lint_file(file):
        yield f"{file.name}:{match.linenumber}: {match.rule.id} {match.message}"


def policy(file):
    text = filled(file.read_text())
    if "${" in text:
        yield f"{file.name}: {text[text.index('${'):][:40]} is no name that can be filled in"
    for finding in parliament.analyze_policy_string(text).findings:
        # Judged below, for all statements together.
        if finding.issue != "RESOURCE_MISMATCH":
            yield f"{file.name}: {finding}"
    allowed = {}
    for statement in json.loads(text)["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            allowed.setdefault(action, []).extend([resources] if isinstance(resources, str) else resources)
    for action, resources in allowed.items():
        for need in sorted(required(action)):
            if not any(resource == "*" or kind(resource) == need for resource in resources):
                yield f"{file.name}: {action} needs {need}, and is allowed on {', '.join(resources)}"


def required(action):
    """The kinds of resources without which an action is never allowed."""
    prefix, name = action.split(":")
    service = next(one for one in parliament.iam_definition if one["prefix"] == prefix)
    formats = {one["resource"]: one["arn"] for one in service["resources"]}
    privileges = [one for one in service["privileges"] if one["privilege"] == name]
    kinds = [one["resource_type"] for privilege in privileges for one in privilege["resource_types"]]
    return {kind(formats[one.strip("*")]) for one in kinds if one.endswith("*") and one.strip("*") in formats}


def kind(arn):
    """`arn:aws:ec2:…:subnet/x` is a subnet; a queue has no word for what it is."""
    service, last = arn.split(":", 5)[2], arn.split(":", 5)[5]
    word = last.split("/")[0]
    return f"{service}:{word}" if "/" in last else service


def same(folder):
    """Whether Terraform makes what CloudFormation makes."""
    found = terraform(folder)
    for name, value in cloudformation(folder).items():
        if found.get(name) != value:
            yield f"{name}: CloudFormation has {value}, Terraform {found.get(name)}"


def names(folder):
    """Names that are taken, or too long, by stacks and modules of their own."""
    text, _ = cfnlint.decode.decode(str(folder / "cloudformation.yaml"))
    for name, one in text["Resources"].items():
        if UNNAMED.get(one["Type"], "") in one["Properties"]:
            yield f"cloudformation.yaml: {name} has a name of its own"
    pattern = text["Parameters"]["ClusterName"]["AllowedPattern"]
    if not re.fullmatch(pattern, "c" * CLUSTER) or re.fullmatch(pattern, "c" * (CLUSTER + 1)):
        yield f"cloudformation.yaml: names of clusters have up to {CLUSTER} characters, not {pattern}"
    for kind, body in blocks(folder):
        if kind in ["aws_cloudwatch_event_rule", "aws_iam_policy", "aws_iam_role"]:
            [prefix] = re.findall(r'^  name_prefix = "(.*)"$', body, re.M) or [""]
            longest = prefix.replace("${local.prefix}", "c" * 16).replace("${each.key}", "interruption")
            if not prefix or "${" in longest or len(longest) > PREFIX:
                yield f"terraform/: {kind} has the prefix {prefix!r}"
    if "  prefix = substr(var.cluster_name, 0, 16)\n" not in tf(folder):
        yield "terraform/: local.prefix is not the first 16 characters of the cluster's name"


def tf(folder):
    return "\n".join(file.read_text() for file in sorted((folder / "terraform").glob("*.tf")))


def blocks(folder):
    """The resources of Terraform: each with its type and its text."""
    return re.findall(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}', tf(folder), re.M | re.S)


def cloudformation(folder):
    text, _ = cfnlint.decode.decode(str(folder / "cloudformation.yaml"))
    resources = text["Resources"]
    of = lambda type_: [one["Properties"] for one in resources.values() if one["Type"] == type_]
    sub = lambda value: value["Fn::Sub"] if isinstance(value, dict) else value
    called = lambda type_, end: {
        name.removesuffix(end).lower(): one for name, one in resources.items() if one["Type"] == type_
    }
    [queue] = of("AWS::SQS::Queue")
    rules = {
        name: tuple(rule["Properties"]["EventPattern"][key][0] for key in ["source", "detail-type"])
        for name, rule in called("AWS::Events::Rule", "Rule").items()
    }
    [document] = [one["PolicyDocument"] for one in of("AWS::SQS::QueuePolicy")]
    [entry] = called("AWS::EKS::AccessEntry", "").values()
    snake = lambda name: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return {
        "asked": {snake(name): one.get("Default") for name, one in text["Parameters"].items()},
        "queue": [sub(one) for one in queue["QueueName"]["Fn::If"][2:]],
        "access": entry["Condition"] == "MakesAccessEntry",
        "retention": int(queue["MessageRetentionPeriod"]),
        "rules": rules,
        "statements": sorted(one["Sid"] for one in document["Statement"]),
        "policies": sorted(called("AWS::IAM::ManagedPolicy", "Policy")),
        "roles": sorted(name.rstrip("s") for name in called("AWS::IAM::Role", "Role")),
        "of nodes": sorted(sub(arn).split("/")[-1] for one in of("AWS::IAM::Role") for arn in one["ManagedPolicyArns"]
                           if "Fn::Sub" in arn),
    }


def terraform(folder):
    text = tf(folder)
    parsed = hcl2.loads(text)
    if not parsed["resource"] or not parsed["variable"]:
        raise ValueError("terraform/ makes nothing")
    rules = re.findall(r'(\w+)\s*= \{ source = "([^"]+)", detail_type = "([^"]+)" \}', text)
    [names] = re.findall(r"for name in (\[[^\]]+\]) : name =>", text)
    asked = {name.strip('"'): one.get("default") for all_ in parsed["variable"] for name, one in all_.items()}
    plain = lambda value: {None: None, False: "false"}.get(value, str(value).strip('"'))
    return {
        "asked": {name: plain(value) for name, value in asked.items()},
        "queue": [
            name.replace("${var.cluster_name}", "${ClusterName}")
            for name in re.findall(r'name = var\.queue_name == "" \? "([^"]+)" : var\.queue_name$', text, re.M)
        ],
        "access": any("count = " in body and "var.make_access_entry ? 1 : 0" in body
                      for kind, body in blocks(folder) if kind == "aws_eks_access_entry"),
        "retention": int(re.search(r"message_retention_seconds = (\d+)", text).group(1)),
        "rules": {name: (source, kind) for name, source, kind in rules},
        "statements": sorted(re.findall(r'Sid\s+= "(\w+)"', text)),
        "policies": sorted(json.loads(names)),
        "roles": sorted(re.findall(r'^resource "aws_iam_role" "(\w+)"', text, re.M)),
        "of nodes": sorted(re.findall(r'^    "(Amazon\w+)",$', text, re.M)),
    }


def main(folder):
    # What is no template is compared with nothing.
    findings = list(template(folder / "cloudformation.yaml")) or list(same(folder)) + list(names(folder))
    files = sorted((folder / "iam").glob("*.json"))
    for file in files:
        findings += policy(file)
    if not files:
        findings.append(f"{folder}/iam has no policies")
    print("\n".join(findings), end="")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
