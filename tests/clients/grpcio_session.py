#!/usr/bin/env python3
"""A client session, as in the README, that shares no code with Readout.

It knows addresses and names only and builds every message from server reflection. Run it with `make clients`, or give
it the address of a running service. It leaves one participant, one story and one deleted participant behind.
"""

import argparse
import copy
import json
import os
import pathlib
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

STORY = pathlib.Path(__file__).resolve().parent.parent / "data" / "azernews.story.json"
DEADLINE = 30  # seconds, for each call


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="?", default="127.0.0.1:50051", help="host:port (default %(default)s)")
    parser.add_argument("--tls-ca", help="PEM file of the authority that vouches for the service; without it, plaintext")
    parser.add_argument("--tls-cert", help="PEM file of the client certificate")
    parser.add_argument("--tls-key", help="PEM file of its key")
    args = parser.parse_args()
    story = json.loads(STORY.read_text(encoding="utf-8"))

    with open_channel(args, os.environ.get("READOUT_TOKEN")) as channel:
        check_health(channel)
        api = Api(channel)
        create_participant(api)
        ingested = ingest_story(api, story)
        get_meeting(api, ingested)
        list_meetings(api, ingested)
        watch_changes(api)
        check_every_violation_is_reported(api)
        check_invented_evidence_is_refused(api, story)
    print("OK")


def open_channel(args, token):
    """Opens a channel for these arguments. The token is sent with each call."""
    if not args.tls_ca:
        return grpc.insecure_channel(args.address)
    credentials = grpc.ssl_channel_credentials(
        *(pathlib.Path(path).read_bytes() if path else None for path in (args.tls_ca, args.tls_key, args.tls_cert))
    )
    if token:
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
    return grpc.secure_channel(args.address, credentials)


class Api:
    """Calls methods with ProtoJSON objects, by descriptors from server reflection."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def services(self):
        return list(self.database.get_services())

    def call(self, method, request):
        """Calls a unary method of the package `readout.v1`, such as `MeetingService.GetMeeting`."""
        send, message = self.prepare(method, request, self.channel.unary_unary)
        return json_format.MessageToDict(send(message, timeout=DEADLINE), descriptor_pool=self.pool)

    def stream(self, method, request):
        """Yields the messages of a server stream until the caller closes it."""
        send, message = self.prepare(method, request, self.channel.unary_stream)
        call = send(message, timeout=DEADLINE)
        try:
            for response in call:
                yield json_format.MessageToDict(response, descriptor_pool=self.pool)
        finally:
            call.cancel()

    def prepare(self, method, request, kind):
        service, name = method.split(".")
        descriptor = self.pool.FindServiceByName(f"readout.v1.{service}").FindMethodByName(name)
        request_class = message_factory.GetMessageClass(descriptor.input_type)
        response_class = message_factory.GetMessageClass(descriptor.output_type)
        send = kind(
            f"/readout.v1.{service}/{name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        return send, json_format.ParseDict(request, request_class(), descriptor_pool=self.pool)

    def refusal(self, method, request):
        """Makes a call that must fail. Returns its status code and unpacked details."""
        try:
            answer = self.call(method, request)
        except grpc.RpcError as error:
            # None without details; raises where code or message differ from those in `grpc-status-details-bin`
            status = rpc_status.from_call(error)
            expect(status is not None, f"{method}: no error details: {error.code()} {error.details()}")
            return error.code(), unpack(status.details)
        raise Unexpected(f"{method} took a bad request: {answer}")


def check_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
    expect(answer.status == health_pb2.HealthCheckResponse.SERVING, f"not serving: {answer}")
    report("health", "SERVING")


def create_participant(api):
    services = api.services()
    expect("readout.v1.ParticipantService" in services, f"not listed by reflection: {services}")
    request = {
        "participant": {
            "kind": "ORGANIZATION",
            "displayName": "Ministry of Defence of Azerbaijan",
            "regionCode": "AZ",
            "names": [{"text": "Azərbaycan Respublikasının Müdafiə Nazirliyi", "languageCode": "az", "kind": "OFFICIAL"}],
        },
        "requestId": str(uuid.uuid4()),
    }
    created = api.call("ParticipantService.CreateParticipant", request)
    expect(created["name"].startswith("participants/"), created)
    expect(created["names"] == request["participant"]["names"], created)
    expect(created["revision"] == "1" and created["createTime"], created)
    repeated = api.call("ParticipantService.CreateParticipant", request)
    expect(repeated == created, f"the same request id, another answer: {created} {repeated}")
    report("CreateParticipant", created["name"])


def ingest_story(api, story):
    answer = api.call("IngestService.IngestStory", {"story": story})
    for part in ("participants", "reports"):
        results = answer["meetings" if part == "reports" else part]
        expect([result["key"] for result in results] == [item["key"] for item in story[part]], f"{part}: {answer}")
    again = api.call("IngestService.IngestStory", {"story": story})
    meetings = [[result["meeting"] for result in response["meetings"]] for response in (answer, again)]
    expect(meetings[0] == meetings[1], again)
    results = again["participants"] + again["meetings"]
    outcomes = {again["articleOutcome"]} | {result["outcome"] for result in results}
    expect(outcomes == {"MATCHED"}, f"the same story again is not MATCHED: {again}")
    report("IngestStory", f"{answer['article']}, {len(answer['meetings'])} meetings, {answer['articleOutcome']}")
    return answer


def get_meeting(api, ingested):
    name = meeting_of(ingested, "talks")
    meeting = api.call("MeetingService.GetMeeting", {"name": name})
    account = meeting["account"]
    expect(meeting["name"] == name and account["kind"] == "TALKS" and account["status"] == "HELD", meeting)
    expect(account["date"]["basis"] == "INFERRED_FROM_ANNOUNCEMENT", account["date"])
    names = {person["nameAsWritten"] for person in account["participations"]}
    expect({"Kerim Veliyev", "Ruslan Tsalikov"} <= names, names)
    expect(account["statements"], "a full view without statements")
    report("GetMeeting", f"{name}, {len(names)} participations, {len(account['statements'])} statements")


def list_meetings(api, ingested):
    of_article = f'article = "{ingested["article"]}"'
    page = api.call("MeetingService.ListMeetings", {"filter": of_article})
    listed = sorted(meeting["name"] for meeting in page["meetings"])
    expect(listed == sorted(result["meeting"] for result in ingested["meetings"]), f"{of_article}: {listed}")

    narrow = f'{of_article} AND kind = "TALKS" AND region = "AZ" AND region = "RU" AND date >= "2020-09-01"'
    page = api.call("MeetingService.ListMeetings", {"filter": narrow})
    listed = [meeting["name"] for meeting in page["meetings"]]
    expect(listed == [meeting_of(ingested, "talks")], f"{narrow}: {listed}")
    report("ListMeetings", narrow)


def watch_changes(api):
    page = api.call("ParticipantService.ListParticipants", {"pageSize": 1000})
    watch = api.stream("ChangeService.WatchChanges", {"after": page["asOf"], "includeResource": True})
    expect(next(watch)["notice"] == {"kind": "CAUGHT_UP"}, "the watch has not caught up, though no other client writes")
    created = api.call("ParticipantService.CreateParticipant", {"participant": {"kind": "STATE", "displayName": "Utopia"}})
    message = next(watch)
    change = message["change"]
    expect((change["kind"], change["name"], change["participant"]) == ("CREATED", created["name"], created), change)
    watch.close()
    deleted = api.call("ParticipantService.DeleteParticipant", {"name": created["name"], "etag": created["etag"]})
    watch = api.stream("ChangeService.WatchChanges", {"cursor": message["cursor"]})
    change = next(watch)["change"]
    expect((change["kind"], change["revision"]) == ("DELETED", deleted["revision"]), change)
    watch.close()
    report("WatchChanges", f"from {page['asOf']}, CREATED, and after its cursor DELETED")


def check_every_violation_is_reported(api):
    code, details = api.refusal("ParticipantService.CreateParticipant", {"participant": {"regionCode": "??"}})
    expect(code is grpc.StatusCode.INVALID_ARGUMENT, code)
    info = details["google.rpc.ErrorInfo"]
    expect((info.domain, info.reason) == ("readout.v1", "INVALID_FIELD"), info)
    fields = {violation.field for violation in details["google.rpc.BadRequest"].field_violations}
    expect(fields == {"participant.kind", "participant.display_name", "participant.region_code"}, fields)
    report("CreateParticipant", f"refused: {info.reason} {sorted(fields)}")


def check_invented_evidence_is_refused(api, story):
    invented = copy.deepcopy(story)
    invented["reports"][0]["evidence"][0]["quote"] = "signed an alliance"
    code, details = api.refusal("IngestService.IngestStory", {"story": invented, "validateOnly": True})
    expect(code is grpc.StatusCode.INVALID_ARGUMENT, code)
    info = details["google.rpc.ErrorInfo"]
    expect((info.domain, info.reason) == ("readout.v1", "EVIDENCE_NOT_FOUND"), info)
    fields = [violation.field for violation in details["google.rpc.BadRequest"].field_violations]
    expect(len(fields) == 1 and fields[0].startswith("story.reports[0].evidence[0]"), fields)
    report("IngestStory", f"refused: {info.reason} {fields}")


def meeting_of(ingested, key):
    return next(result["meeting"] for result in ingested["meetings"] if result["key"] == key)


def unpack(details):
    unpacked = {}
    for detail in details:
        kind = detail.TypeName()
        message = getattr(error_details_pb2, kind.removeprefix("google.rpc."))()
        expect(detail.Unpack(message), f"{kind} does not parse")
        unpacked[kind] = message
    return unpacked


class Unexpected(Exception):
    pass


def expect(condition, message):
    # `assert` would be dropped under -O
    if not condition:
        raise Unexpected(message)


def report(step, result):
    print(f"{step:18} {result}")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"FAILED: {error.code().name}: {error.details()}")
    except Unexpected as error:
        sys.exit(f"FAILED: {error}")
