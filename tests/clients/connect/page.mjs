// Calls a service from a web page with @connectrpc/connect-web, and reports to the page's own server.

import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { ChangeService, Origin } from "./gen/readout/v1/change_service_pb.js";
import { ParticipantService } from "./gen/readout/v1/participant_service_pb.js";

const baseUrl = new URLSearchParams(location.search).get("service");

async function session(transport) {
  const participants = createClient(ParticipantService, transport);
  let headers;
  const participant = { kind: 1, displayName: `Kerim ${Math.random()}` };
  const created = await participants.createParticipant({ participant }, { onHeader: (sent) => (headers = sent) });
  const read = await participants.getParticipant({ name: created.name });
  if (read.displayName !== participant.displayName) throw new Error("another record is read");
  if (!headers.get("readout-position")) throw new Error("a write has no position");
  const error = await participants.getParticipant({ name: "x" }).catch((error) => error);
  if (error.code !== Code.InvalidArgument || error.details.length !== 2) throw error;
  const start = { case: "origin", value: Origin.BEGINNING };
  for await (const { event } of createClient(ChangeService, transport).watchChanges({ start })) {
    if (event.case === "change") break;
  }
}

const lines = [];
for (const [protocol, create] of [["connect", createConnectTransport], ["grpc-web", createGrpcWebTransport]]) {
  for (const useBinaryFormat of [true, false]) {
    for (const useHttpGet of protocol === "connect" ? [false, true] : [false]) {
      const name = `${protocol} ${useBinaryFormat ? "proto" : "json"} ${useHttpGet ? "GET" : ""}`;
      const failure = await session(create({ baseUrl, useBinaryFormat, useHttpGet })).catch((error) => error);
      lines.push(failure ? `FAILED ${name}: ${failure}` : `OK ${name}`);
    }
  }
}
await fetch("/report", { method: "POST", body: lines.join("\n") });
