"""What everybody talks to: it counts calls, lets them fail as `faults.py` says, and has an endpoint for tests.

GET  /whittle/calls       how often each action was called: [{action, status, count}]
GET  /whittle/requests    the last requests: [{action, status, form}], those of EC2 with their parameters
GET  /whittle/machines    instances, see `machines.py`
GET  /whittle/fleets      what CreateFleet was asked for and has answered
GET  /whittle/templates   launch templates with their data and tags
GET  /whittle/queue       how many messages wait and how many are being handled
GET  /whittle/faults      what is in force
POST /whittle/faults      one fault or a list; the answer is their numbers. DELETE takes all of them away, or ?number=
POST /whittle/messages    {bodies: […]}: puts messages on the queue
POST /whittle/queue       {present: true|false}: makes the queue or takes it away
POST /whittle/reservations   {id, type, zone, instances, kind?}: a capacity reservation has so many instances
POST /whittle/end-reservation   {id}: it has ended, and what runs in it runs on
POST /whittle/vanish      {id}: an instance is gone as if it had never been
POST /whittle/forget-templates   all launch templates are gone
"""

import collections
import io
import json
import re
import socket
import threading
import urllib.parse
import uuid

import faults
import fleet
import machines
import market
import reservations
import world
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

_REQUESTS = 5000
_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/([^/]+)/([^/]+)/")
# The status that goes with a code; 400 with all others.
_STATUS = {"RequestLimitExceeded": 503, "InternalError": 500, "Unavailable": 503}
_DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_REST = [("GET", re.compile(r"^/clusters/[^/]+$"), "DescribeCluster"), ("GET", re.compile(r"^/clusters$"), "ListClusters")]


class Gate:
    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.counts = collections.Counter()
        self.requests = collections.deque(maxlen=_REQUESTS)
        self.lock = threading.Lock()

    def __call__(self, environ, start):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ.get("PATH_INFO", "")
        if path.startswith("/whittle/"):
            return self._test(environ, body, start)
        environ["wsgi.input"] = io.BytesIO(body)
        call = Call(environ, body)
        healed = faults.healed()
        stall = None if call.is_dry else faults.take("stall", call.action)
        if stall and not stall.get("after"):
            healed.wait(stall["seconds"])
        status, headers, answer = self._answer(call, environ, body)
        with self.lock:
            self.counts[call.action, status] += 1
            self.requests.append({"action": call.action, "status": status, "form": call.form})
        if stall and stall.get("after"):
            healed.wait(stall["seconds"])
        if not call.is_dry and faults.take("lost", call.action):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("nobody will know")
        start(f"{status} x", headers)
        return [answer]

    def _answer(self, call, environ, body):
        fault = faults.take("error", call.action)
        if fault:
            return call.error(fault["code"], fault.get("message"))
        if call.action == "pricing:GetProducts":
            return call.json(200, market.get_products(json.loads(body)))
        if call.action.startswith("sqs:"):
            # It waits for messages, and nobody else may have to.
            return self._moto(environ)
        with machines.lock:
            return self._moto(environ)

    def _moto(self, environ):
        got = {}

        def start(status, headers, exc_info=None):
            got["status"], got["headers"] = int(status.split()[0]), headers

        chunks = self.moto(environ, start)
        answer = b"".join(chunks)
        drop = ("connection", "content-length", "transfer-encoding", "date", "server")
        headers = [(key, value) for key, value in got["headers"] if key.lower() not in drop]
        return got["status"], headers + [("Content-Length", str(len(answer)))], answer

    def _test(self, environ, body, start):
        method, name = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/whittle/")
        query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
        try:
            status, answer = 200, self._tell(method, name, json.loads(body or b"{}"), query)
        except Exception as error:
            status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
        text = json.dumps(answer, default=str).encode()
        start(f"{status} x", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def _tell(self, method, name, request, query):
        match method, name:
            case "GET", "calls":
                with self.lock:
                    counts = sorted(self.counts.items())
                return [{"action": action, "status": status, "count": n} for (action, status), n in counts]
            case "GET", "requests":
                with self.lock:
                    return list(self.requests)
            case "GET", "faults":
                return faults.listed()
            case "POST", "faults":
                return [faults.add(one) for one in (request if isinstance(request, list) else [request])]
            case "DELETE", "faults":
                return faults.remove(int(query["number"][0]) if "number" in query else None)
            case "GET", "queue":
                return world.queue_length()
            case "POST", "queue":
                return world.set_queue(request["present"])
            case "POST", "messages":
                return world.send(request["bodies"])
        with machines.lock:
            backend = world.ec2()
            match method, name:
                case "GET", "machines":
                    return machines.listed(backend)
                case "GET", "fleets":
                    return fleet.log
                case "GET", "templates":
                    return [_template(backend, one) for one in backend.launch_templates.values()]
                case "POST", "reservations":
                    return reservations.put(
                        request["id"], request["type"], request["zone"], request["instances"],
                        request.get("kind", "default"),
                    )  # fmt: skip
                case "POST", "end-reservation":
                    return reservations.end(backend, request["id"])
                case "POST", "vanish":
                    return machines.vanish(backend, request["id"])
                case "POST", "forget-templates":
                    gone = list(backend.launch_templates)
                    for id_ in gone:
                        backend.delete_launch_template(None, id_)
                    return gone
        raise ValueError(f"there is no {method} {name}")


def _template(backend, template):
    version = template.latest_version()
    tags = dict(backend.tags.get(template.id, {}))
    return {"id": template.id, "name": template.name, "tags": tags, "data": version.data}


class Call:
    """A call of an AWS service: which, and how its errors are written."""

    def __init__(self, environ, body):
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        self.region, self.service = scope.groups() if scope else ("", "unknown")
        self.protocol, self.form, name = "query", {}, None
        if target := environ.get("HTTP_X_AMZ_TARGET"):
            self.protocol, name = "json", target.split(".")[-1]
        elif "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
            self.form = dict(urllib.parse.parse_qsl(body.decode()))
            self.protocol, name = "ec2" if self.service == "ec2" else "query", self.form.get("Action")
        else:
            self.protocol = "rest"
            method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
            name = next((name for verb, form, name in _REST if verb == method and form.match(path)), f"{method} {path}")
        self.action = f"{self.service}:{name}"
        self.is_dry = self.form.get("DryRun") == "true"

    def json(self, status, answer, headers=()):
        text = json.dumps(answer).encode()
        kind = "application/json" if self.protocol == "rest" else "application/x-amz-json-1.1"
        return status, [("Content-Type", kind), ("Content-Length", str(len(text))), *headers], text

    def error(self, code, message=None):
        if message is None and code in _DENIED:
            who = f"arn:aws:sts::{world.ACCOUNT}:assumed-role/whittle/test"
            message = (
                f"You are not authorized to perform this operation. User: {who} is not authorized to perform: "
                f"{self.action} because no identity-based policy allows the {self.action} action"
            )
        message = message or ("Request limit exceeded." if code == "RequestLimitExceeded" else code)
        status = _STATUS.get(code, 403 if code in _DENIED else 400)
        id_ = str(uuid.uuid4())
        if self.protocol in ("json", "rest"):
            return self.json(status, {"__type": code, "message": message}, [("x-amzn-ErrorType", code)])
        if self.protocol == "ec2":
            inner = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            text = f"<Response>{inner}<RequestID>{id_}</RequestID></Response>"
        else:
            inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            text = f"<ErrorResponse>{inner}<RequestId>{id_}</RequestId></ErrorResponse>"
        text = text.encode()
        return status, [("Content-Type", "text/xml"), ("Content-Length", str(len(text)))], text
