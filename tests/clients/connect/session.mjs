// Calls a service with @connectrpc/connect-node: in each protocol, version of HTTP and encoding, with GET too.
//
//     node session.mjs URL STORY.json
//
// The story is sent over a bidirectional stream, which needs HTTP/2.

import { readFileSync } from "node:fs";
import { fromJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ChangeService, Origin } from "./gen/readout/v1/change_service_pb.js";
import { IngestService, IngestStoriesRequestSchema } from "./gen/readout/v1/ingest_service_pb.js";
import { ParticipantService } from "./gen/readout/v1/participant_service_pb.js";

const [baseUrl, storyFile] = process.argv.slice(2);
const story = JSON.parse(readFileSync(storyFile, "utf8"));
const transports = { connect: createConnectTransport, grpc: createGrpcTransport, "grpc-web": createGrpcWebTransport };

function check(holds, text) {
  if (!holds) throw new Error(text);
}

async function refusal(call) {
  const error = await call.then(() => undefined, (error) => error);
  check(error instanceof ConnectError, `no error but ${error}`);
  return error;
}

async function session(transport, isHttp2) {
  const participants = createClient(ParticipantService, transport);
  let headers;
  const participant = { kind: 1, displayName: `Kerim ${Math.random()}` };
  const created = await participants.createParticipant({ participant }, { onHeader: (sent) => (headers = sent) });
  check(headers.get("readout-position"), "a write has its position");
  const read = await participants.getParticipant({ name: created.name });
  check(read.displayName === participant.displayName, "a record is read as it was written");
  const invalid = await refusal(participants.getParticipant({ name: "x" }));
  check(invalid.code === Code.InvalidArgument && invalid.details.length === 2, `details: ${invalid}`);
  const changes = createClient(ChangeService, transport);
  const watch = async (origin, options) => {
    for await (const { event } of changes.watchChanges({ start: { case: "origin", value: origin } }, options)) {
      if (event.case === "change") break;
    }
  };
  await watch(Origin.BEGINNING);
  const late = await refusal(watch(Origin.NOW, { timeoutMs: 300 }));
  check(late.code === Code.DeadlineExceeded, `a deadline: ${late}`);
  async function* stories() {
    yield fromJson(IngestStoriesRequestSchema, { story });
  }
  const answers = createClient(IngestService, transport).ingestStories(stories());
  if (isHttp2) {
    const outcomes = [];
    for await (const { outcome } of answers) outcomes.push(outcome.case);
    check(outcomes.length === 1, `outcomes: ${outcomes}`);
  } else {
    const error = await refusal(answers[Symbol.asyncIterator]().next());
    check(String(error).includes("HTTP/2"), `an error that names HTTP/2: ${error}`);
  }
}

for (const [protocol, create] of Object.entries(transports)) {
  for (const httpVersion of protocol === "grpc" ? ["2"] : ["1.1", "2"]) {
    for (const useBinaryFormat of [true, false]) {
      for (const useHttpGet of protocol === "connect" ? [false, true] : [false]) {
        await session(create({ baseUrl, httpVersion, useBinaryFormat, useHttpGet }), httpVersion === "2");
        console.log("OK", protocol, `HTTP/${httpVersion}`, useBinaryFormat ? "proto" : "json", useHttpGet ? "GET" : "");
      }
    }
  }
}
process.exit(0);
