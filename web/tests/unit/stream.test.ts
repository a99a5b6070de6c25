import { expect, test } from "vitest";

import { events } from "../../src/api/client";
import { failureBehind, failureOf, failureOfResponse, FailureError } from "../../src/api/failure";

const TEXT =
  'event: stage\r\ndata: {"stage":"decode"}\r\n\r\n: ping\r\n\r\nretry: 7000\r\nevent: problem\r\ndata: {"a":"ü"}\r\n\r\n';

test.each([1, 7, 1000])("events are read whatever the pieces they come in: %d bytes", async (size) => {
  const bytes = new TextEncoder().encode(TEXT);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const seen = [];
  for await (const { event, data, retryMs } of events(new Response(body))) {
    seen.push([event, data, retryMs]);
  }
  expect(seen).toEqual([
    ["stage", '{"stage":"decode"}', undefined],
    ["problem", '{"a":"ü"}', 7000],
  ]);
});

test("a problem becomes a failure, with its word, its number and when to come back", () => {
  const problem = {
    type: "urn:geofix:problem:overloaded",
    title: "",
    status: 503,
    detail: "Busy.",
    instance: "urn:uuid:1",
  };
  expect(failureOf(problem, 3)).toEqual({ kind: "overloaded", detail: "Busy.", request: "1", retryAfterS: 3 });
  expect(failureOf({ ...problem, type: "about:blank" }).kind).toBe("internal");
});

test("what is no problem document is still told", async () => {
  const proxy = new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "Retry-After": "9" } });
  expect(await failureOfResponse(proxy)).toEqual({ kind: "unreachable", detail: "", retryAfterS: 9 });
  expect((await failureOfResponse(new Response("", { status: 503 }))).kind).toBe("unavailable");
  expect((await failureOfResponse(new Response("", { status: 418 }))).kind).toBe("broken-answer");
  expect((await failureOfResponse(new Response("", { status: 413 }))).kind).toBe("photo-too-large");
  expect(failureBehind(new TypeError("Failed to fetch")).kind).toBe("unreachable");
  expect(failureBehind(new FailureError({ kind: "x", detail: "" })).kind).toBe("x");
  expect(failureBehind("?").kind).toBe("broken-answer");
});
