import { expect, test } from "vitest";

import { statements } from "../../src/answer/statements";
import type { Candidate } from "../../src/api/types";

const candidate = (change: Partial<Candidate>): Candidate => ({
  lat: 38.7, lon: -9.1, channel: "lmm", score: 0.5, width_km: 25, source: "lmm:a:b/c:direct-0:0",
  name: "Lisbon, Portugal", ...change,
});

test("what models said is told once for each, with the model's whole name", () => {
  const said = statements([
    candidate({}),
    candidate({ source: "lmm:a:b/c:direct-5:1", score: 0.6 }),
    candidate({ source: "lmm:other:direct-5:0" }),
    candidate({ name: "", lat: 1.25, lon: 2, score: 0.9 }),
    candidate({ channel: "retrieval", source: "photo-1" }),
  ]);
  expect(said.map(({ name, model, times, score }) => [name, model, times, score])).toEqual([
    ["1.25° N, 2° E", "a:b/c", 1, 0.9],
    ["Lisbon, Portugal", "a:b/c", 2, 0.6],
    ["Lisbon, Portugal", "other", 1, 0.5],
  ]);
});
