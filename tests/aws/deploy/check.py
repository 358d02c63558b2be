"""What tools of others say of `deploy/aws`, and whether its parts agree. `python deploy/check.py FOLDER`; silent if well.

cfn-lint reads the template. parliament reads the policies; as it judges statements one by one, that each action finds all
kinds of resources that it needs is looked at here, over all statements. Terraform comes from no package registry, so its
files are read by python-hcl2 alone: that they are HCL, and that they make the same queue, rules, roles and policies.
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
}


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


def cloudformation(folder):
    text, _ = cfnlint.decode.decode(str(folder / "cloudformation.yaml"))
    resources = text["Resources"]
    of = lambda type_: [one["Properties"] for one in resources.values() if one["Type"] == type_]
    sub = lambda value: value["Fn::Sub"] if isinstance(value, dict) else value
    [queue] = of("AWS::SQS::Queue")
    rules = {
        sub(rule["Name"]).removeprefix("${ClusterName}-whittle-"): (
            rule["EventPattern"]["source"][0],
            rule["EventPattern"]["detail-type"][0],
        )
        for rule in of("AWS::Events::Rule")
    }
    [document] = [one["PolicyDocument"] for one in of("AWS::SQS::QueuePolicy")]
    return {
        "retention": int(queue["MessageRetentionPeriod"]),
        "rules": rules,
        "statements": sorted(one["Sid"] for one in document["Statement"]),
        "policies": sorted(
            sub(one["ManagedPolicyName"]).removeprefix("${ClusterName}-whittle-") for one in of("AWS::IAM::ManagedPolicy")
        ),
        "roles": sorted(sub(one["RoleName"]).removeprefix("${ClusterName}-") for one in of("AWS::IAM::Role")),
        "of nodes": sorted(sub(arn).split("/")[-1] for one in of("AWS::IAM::Role") for arn in one["ManagedPolicyArns"]
                           if "Fn::Sub" in arn),
    }


def terraform(folder):
    text = "\n".join(file.read_text() for file in sorted((folder / "terraform").glob("*.tf")))
    parsed = hcl2.loads(text)
    if not parsed["resource"] or not parsed["variable"]:
        raise ValueError("terraform/ makes nothing")
    rules = re.findall(r'(\w+)\s*= \{ source = "([^"]+)", detail_type = "([^"]+)" \}', text)
    [names] = re.findall(r"for name in (\[[^\]]+\]) : name =>", text)
    return {
        "retention": int(re.search(r"message_retention_seconds = (\d+)", text).group(1)),
        "rules": {name: (source, kind) for name, source, kind in rules},
        "statements": sorted(re.findall(r'Sid\s+= "(\w+)"', text)),
        "policies": sorted(json.loads(names)),
        "roles": sorted(re.findall(r'^  name = "\$\{var.cluster_name\}-(whittle[a-z-]*)"$', text, re.M)),
        "of nodes": sorted(re.findall(r'^    "(Amazon\w+)",$', text, re.M)),
    }


def main(folder):
    # What is no template is compared with nothing.
    findings = list(template(folder / "cloudformation.yaml")) or list(same(folder))
    files = sorted((folder / "iam").glob("*.json"))
    for file in files:
        findings += policy(file)
    if not files:
        findings.append(f"{folder}/iam has no policies")
    print("\n".join(findings), end="")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
