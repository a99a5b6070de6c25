import { expect, test } from "vitest";

import { refinement } from "../../src/answer/whatif";

const NOTHING = { off: [], countries: "", galleries: [] };

test("nothing changed asks nothing", () => {
  expect(refinement(NOTHING, ["text"])).toBeNull();
});

test("what is taken away leaves the others, or none", () => {
  expect(refinement({ ...NOTHING, off: ["text"] }, ["text", "attributes"])).toEqual({ generators: ["attributes"] });
  expect(refinement({ ...NOTHING, off: ["text"] }, ["text"])).toEqual({ generators: ["none"] });
});

test("filters are passed on as the service names them", () => {
  const wish = { ...NOTHING, countries: " fr, DE ", galleries: ["a"], bbox: [1, 2, 3, 4] as [number, number, number, number] };
  expect(refinement(wish, [])).toEqual({ country: ["fr", "DE"], gallery: ["a"], bbox: [1, 2, 3, 4] });
});
