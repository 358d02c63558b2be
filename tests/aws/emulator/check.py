"""That the emulator does what `serve.py` says of it, asked through boto3. `python -m unittest check`, in this folder."""

import base64
import json
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

REGION = "ap-northeast-2"


class EmulatorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        serve = Path(__file__).with_name("serve.py")
        cls.process = subprocess.Popen([sys.executable, serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ready = json.loads(cls.process.stdout.readline())
        cls.address, cls.world = f"http://127.0.0.1:{ready['port']}", ready["world"]
        config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
        made = dict(region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x", config=config)
        cls.client = staticmethod(lambda name, **more: boto3.client(name, endpoint_url=cls.address, **made | more))
        cls.ec2 = cls.client("ec2")

    @classmethod
    def tearDownClass(cls):
        cls.process.stdin.close()
        assert cls.process.wait(120) == 0
        cls.process.stdout.close()

    def setUp(self):
        self.tell("DELETE", "faults")
        self.name = f"karpenter.k8s.aws/{self.id().split('.')[-1]}"

    def tell(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/whittle/{path}", data, method=method)
        return json.loads(urllib.request.urlopen(request).read())

    def fault(self, **fault):
        return self.tell("POST", "faults", fault)

    def template(self, **data):
        data = {
            "ImageId": self.world["images"]["al2023-x86_64-standard"],
            "UserData": base64.b64encode(b"hello").decode(),
            "SecurityGroupIds": self.world["groups"],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 80, "VolumeType": "gp3", "Encrypted": True}}
            ],
        } | data
        self.ec2.create_launch_template(
            LaunchTemplateName=self.name,
            LaunchTemplateData=data,
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}],
        )

    def fleet(self, count=1, capacity="spot", types=("m5.large", "c5.large"), zones=(0, 1, 2), **more):
        overrides = [
            {"InstanceType": one, "SubnetId": self.world["subnets"][zone]} for one in types for zone in zones
        ]
        spec = {"LaunchTemplateName": self.name, "Version": "$Latest"}
        return self.ec2.create_fleet(
            Type="instant",
            TargetCapacitySpecification={"TotalTargetCapacity": count, "DefaultTargetCapacityType": capacity},
            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": spec, "Overrides": overrides}],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "karpenter.sh/nodepool", "Value": "general"}]}
            ],
            **more,
        )

    def machine(self, id_):
        return next(one for one in self.tell("GET", "machines") if one["id"] == id_)

    def test_the_cheapest_offering_is_taken_with_all_that_its_template_says(self):
        self.template()
        answer = self.fleet()
        self.assertEqual(answer["Errors"], [])
        [instance] = answer["Instances"]
        self.assertEqual((instance["InstanceType"], instance["Lifecycle"]), ("c5.large", "spot"))
        override = instance["LaunchTemplateAndOverrides"]["Overrides"]
        self.assertEqual(override["SubnetId"], self.world["subnets"][0])
        machine = self.machine(instance["InstanceIds"][0])
        seen = {key: machine[key] for key in ["zone", "capacity", "tokens", "hops", "groups", "template"]}
        self.assertEqual(
            seen,
            {
                "zone": "ap-northeast-2a",
                "capacity": "spot",
                "tokens": "required",
                "hops": 1,
                "groups": self.world["groups"],
                "template": self.name,
            },
        )
        self.assertEqual(machine["user_data"], "hello")
        self.assertEqual(machine["tags"]["karpenter.sh/nodepool"], "general")
        self.assertEqual(machine["tags"]["aws:ec2:fleet-id"], answer["FleetId"])

    def test_what_has_no_capacity_is_in_errors_and_the_next_is_taken(self):
        self.template()
        self.fault(kind="capacity", type="c5.*")
        answer = self.fleet()
        self.assertEqual({one["ErrorCode"] for one in answer["Errors"]}, {"InsufficientInstanceCapacity"})
        self.assertEqual(len(answer["Errors"]), 3)
        self.assertEqual(answer["Instances"][0]["InstanceType"], "m5.large")
        self.fault(kind="capacity", zone="*-2a", capacity="spot")
        answer = self.fleet()
        self.assertEqual(answer["Instances"][0]["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"],
                         self.world["subnets"][1])
        self.fault(kind="capacity", capacity="spot", code="MaxSpotInstanceCountExceeded")
        answer = self.fleet()
        self.assertEqual((answer["Instances"], len(answer["Errors"])), ([], 6))
        self.assertEqual(self.fleet(capacity="on-demand", types=["m5.large"])["Errors"], [])
        self.tell("DELETE", "faults")
        self.assertEqual(self.fleet()["Errors"], [])

    def test_one_token_is_one_fleet(self):
        self.template()
        first, again = self.fleet(ClientToken="t-1"), self.fleet(ClientToken="t-1")
        self.assertEqual(first["Instances"], again["Instances"])
        with self.assertRaises(ClientError) as caught:
            self.fleet(count=2, ClientToken="t-1")
        self.assertEqual(caught.exception.response["Error"]["Code"], "IdempotentParameterMismatch")

    def test_a_fleet_can_be_half_or_spread_over_what_is_left(self):
        self.template()
        self.fault(kind="half", instances=2, times=1)
        answer = self.fleet(count=5)
        self.assertEqual((sum(len(one["InstanceIds"]) for one in answer["Instances"]), len(answer["Errors"])), (2, 1))
        self.fault(kind="capacity", type="c5.large", zone="*2a", remaining=2)
        answer = self.fleet(count=3)
        self.assertEqual([len(one["InstanceIds"]) for one in answer["Instances"]], [2, 1])
        self.assertEqual(len(answer["Errors"]), 1)

    def test_an_image_of_another_architecture_and_a_type_that_is_not_offered_are_refused(self):
        self.template()
        answer = self.fleet(types=["m6g.large", "hpc6a.48xlarge"], zones=[0])
        self.assertEqual(
            sorted(one["ErrorCode"] for one in answer["Errors"]), ["InvalidFleetConfiguration", "InvalidParameterValue"]
        )

    def test_a_template_that_is_gone_is_named(self):
        self.template()
        self.tell("POST", "forget-templates", {})
        with self.assertRaises(ClientError) as caught:
            self.fleet()
        self.assertEqual(
            caught.exception.response["Error"]["Code"], "InvalidLaunchTemplateName.NotFoundException"
        )

    def test_calls_fail_as_told_and_are_counted(self):
        self.fault(kind="error", action="ec2:DescribeSubnets", code="RequestLimitExceeded", times=2)
        for _ in range(2):
            with self.assertRaises(ClientError) as caught:
                self.ec2.describe_subnets()
            self.assertEqual(caught.exception.response["Error"]["Code"], "RequestLimitExceeded")
        self.ec2.describe_subnets()
        counts = {(one["action"], one["status"]): one["count"] for one in self.tell("GET", "calls")}
        self.assertEqual(counts["ec2:DescribeSubnets", 503], 2)
        self.assertGreaterEqual(counts["ec2:DescribeSubnets", 200], 1)

    def test_denials_name_the_action_in_every_protocol(self):
        calls = {
            "ec2:DescribeImages": lambda: self.ec2.describe_images(),
            "iam:GetInstanceProfile": lambda: self.client("iam").get_instance_profile(InstanceProfileName="x"),
            "ssm:GetParameter": lambda: self.client("ssm").get_parameter(Name="x"),
            "sqs:GetQueueUrl": lambda: self.client("sqs").get_queue_url(QueueName="x"),
            "eks:DescribeCluster": lambda: self.client("eks").describe_cluster(name="ticket-cluster"),
            "pricing:GetProducts": lambda: self.client("pricing").get_products(ServiceCode="AmazonEC2"),
        }
        for action, call in calls.items():
            self.fault(kind="error", action=action, code="AccessDenied", times=1)
            with self.subTest(action), self.assertRaises(ClientError) as caught:
                call()
            error = caught.exception.response["Error"]
            self.assertEqual(error["Code"], "AccessDenied")
            self.assertIn(f"not authorized to perform: {action}", error["Message"])

    def test_an_answer_can_be_lost_after_the_deed(self):
        self.template()
        before = len(self.tell("GET", "machines"))
        self.fault(kind="lost", action="ec2:CreateFleet", times=1)
        with self.assertRaises(ConnectionClosedError):
            self.fleet(ClientToken="lost")
        self.assertEqual(len(self.tell("GET", "machines")), before + 1)
        self.assertEqual(len(self.fleet(ClientToken="lost")["Instances"]), 1)
        self.assertEqual(len(self.tell("GET", "machines")), before + 1)

    def test_a_machine_boots_is_known_later_and_goes_in_its_time(self):
        self.template()
        self.fault(kind="lag", seconds=3600)
        self.fault(kind="boot", seconds=3600)
        id_ = self.fleet()["Instances"][0]["InstanceIds"][0]
        self.assertEqual(self.machine(id_)["state"], "pending")
        with self.assertRaises(ClientError) as caught:
            self.ec2.describe_instances(InstanceIds=[id_])
        self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidInstanceID.NotFound")
        self.tell("DELETE", "faults")
        found = self.ec2.describe_instances(InstanceIds=[id_])["Reservations"][0]["Instances"][0]
        self.assertEqual((found["State"]["Name"], found["InstanceLifecycle"]), ("pending", "spot"))
        self.assertIn({"Key": "karpenter.sh/nodepool", "Value": "general"}, found["Tags"])
        for _ in range(2):
            self.ec2.terminate_instances(InstanceIds=[id_])
        while self.machine(id_)["state"] != "terminated":
            threading.Event().wait(0.05)
        self.tell("POST", "vanish", {"id": id_})
        with self.assertRaises(ClientError):
            self.ec2.terminate_instances(InstanceIds=[id_])

    def test_an_instance_that_boots_becomes_running(self):
        self.template()
        id_ = self.fleet()["Instances"][0]["InstanceIds"][0]
        while self.machine(id_)["state"] == "pending":
            threading.Event().wait(0.05)
        self.assertEqual(self.machine(id_)["state"], "running")

    def test_lists_come_in_pages(self):
        pages = {
            "describe_instance_types": ("InstanceTypes", {"PageSize": 100}),
            "describe_instance_type_offerings": ("InstanceTypeOfferings", {"PageSize": 500}),
            "describe_spot_price_history": ("SpotPriceHistory", {"PageSize": 1000}),
        }
        for operation, (key, config) in pages.items():
            more = {"LocationType": "availability-zone"} if "offerings" in operation else {}
            got = list(self.ec2.get_paginator(operation).paginate(PaginationConfig=config, **more))
            with self.subTest(operation):
                self.assertGreater(len(got), 1)
                self.assertTrue(all(len(page[key]) <= config["PageSize"] for page in got))

    def test_prices_of_both_kinds_come_from_one_market(self):
        pricing = self.client("pricing", region_name="ap-south-1")
        filters = [("regionCode", REGION), ("instanceType", "m5.large"), ("tenancy", "Shared")]
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters]
        [text] = pricing.get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
        [term] = json.loads(text)["terms"]["OnDemand"].values()
        [dimension] = term["priceDimensions"].values()
        whole = float(dimension["pricePerUnit"]["USD"])
        history = self.ec2.describe_spot_price_history(InstanceTypes=["m5.large"])["SpotPriceHistory"]
        spot = {one["AvailabilityZone"]: float(one["SpotPrice"]) for one in history}
        self.assertLess(spot[f"{REGION}a"], spot[f"{REGION}b"])
        self.assertLess(spot[f"{REGION}c"], whole)

    def test_the_account_has_what_a_cluster_needs(self):
        cluster = self.client("eks").describe_cluster(name="ticket-cluster")["cluster"]
        self.assertEqual((cluster["version"], cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"]),
                         ("1.33", "10.0.0.0/24"))
        name = "/aws/service/eks/optimized-ami/1.33/amazon-linux-2023/arm64/standard/recommended/image_id"
        id_ = self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        [image] = self.ec2.describe_images(ImageIds=[id_])["Images"]
        self.assertEqual((image["Architecture"], image["State"]), ("arm64", "available"))
        filters = [{"Name": "tag:karpenter.sh/discovery", "Values": ["ticket-cluster"]}]
        self.assertEqual(len(self.ec2.describe_subnets(Filters=filters)["Subnets"]), 3)
        self.assertEqual(len(self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]), 1)

    def test_the_queue_comes_and_goes(self):
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName="ticket-cluster")["QueueUrl"]
        self.tell("POST", "messages", {"bodies": ["a", "b"]})
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        self.assertEqual(sorted(one["Body"] for one in got), ["a", "b"])
        self.assertEqual(self.tell("GET", "queue"), {"present": True, "waiting": 0, "handled": 2})
        self.tell("POST", "queue", {"present": False})
        for call in [lambda: sqs.receive_message(QueueUrl=url), lambda: sqs.get_queue_url(QueueName="ticket-cluster")]:
            with self.assertRaises(ClientError) as caught:
                call()
            self.assertIn("NonExistentQueue", caught.exception.response["Error"]["Code"])
        self.tell("POST", "queue", {"present": True})
        self.assertEqual(self.tell("GET", "queue")["waiting"], 0)

    def test_a_call_that_is_stalled_goes_on_when_all_faults_are_taken_away(self):
        self.fault(kind="stall", action="ec2:DescribeSubnets", seconds=600, times=1)
        answers = []
        call = threading.Thread(target=lambda: answers.append(self.ec2.describe_subnets()))
        call.start()
        while self.tell("GET", "faults"):
            threading.Event().wait(0.05)
        self.assertEqual(answers, [])
        self.tell("DELETE", "faults")
        call.join(120)
        self.assertEqual(len(answers), 1)

    def test_hundreds_of_instances_are_described_in_little_time(self):
        self.template()
        self.fleet(count=200, types=["m5.large"])
        begin = time.process_time()
        filters = [{"Name": "tag-key", "Values": ["karpenter.sh/nodepool"]}]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
        found = sum(len(one["Instances"]) for page in pages for one in page["Reservations"])
        self.assertGreaterEqual(found, 200)
        print(f"{found} instances described, {time.process_time() - begin:.2f} s of the client", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
