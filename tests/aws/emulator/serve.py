"""An AWS for tests: moto 5.2.5 with its gaps closed, and with faults on demand.

It serves on a free port of 127.0.0.1, says which in a line of JSON, and ends when its standard input does: whatever
ends its owner ends it. Nothing is kept. `gate.py` is what everybody talks to: it counts calls, injects faults
(`faults.py`), and has the endpoint `/whittle/…` for tests; behind it is moto, one call at a time, for it is not made for
more. What moto 5.2.5 does (seen by running it), and what is done about it:

moto                                                              here
CreateFleet takes the first override, ignores capacity, prices,   fleet.py: the cheapest offering that has capacity, by
the client token, most of the launch template, and never          token, with the template's groups, profile, disks,
answers `Errors`                                                  metadata options and tags; `Errors` for what is short
an instance runs at once and is terminated at once                machines.py: pending and shutting-down take a moment
what was made is visible at once                                  machines.py, `lag`: DescribeInstances learns it later
DescribeInstances looks at all tags for each tag: quadratic       ec2.py: tags are looked up
types, offerings and spot prices come in one page; launch         ec2.py: pages, as `MaxResults` asks
templates stop after 15 without a token
the spot price is the same everywhere                             market.py: by type and zone, from one formula
each call about a queue looks at all of its messages, many times  messages.py: at those that it is about
no capacity reservations                                          reservations.py: a test makes them
no Pricing service                                                market.py: GetProducts with the same formula
no SSM parameters of EKS's images, and no such images             world.py: both, for AL2023, AL2 and Bottlerocket
EKS has the version that moto was written with                    world.py: 1.33, a range for Services

Not here: AWS's own rights. An action is denied when a test says so; what the shipped policies allow is compared with
the code elsewhere. Signatures are not looked at. Scale: at some hundreds of instances moto becomes slow.
"""

import json
import os
import threading

from werkzeug.serving import WSGIRequestHandler, make_server

# Images of moto's own would be found by name; nobody asks for them, and they take seconds to load.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

import ec2
import gate
import messages
import world


class Handler(WSGIRequestHandler):
    """Says nothing of what went well, and keeps connections, as AWS does."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        pass


def end_with_owner():
    while os.read(0, 1024):
        pass
    os._exit(0)


def main():
    ec2.mend()
    messages.mend()
    application = gate.Gate()
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    threading.Thread(target=end_with_owner, daemon=True).start()
    made = world.make(os.environ.get("WHITTLE_CLUSTER", "ticket-cluster"))
    print(json.dumps({"port": server.port, "world": made}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
