import { describe, expect, test } from "vitest";

import { csv, geojson, kml } from "../../src/export/formats";
import { link, readSharedAnswer } from "../../src/export/link";
import { sexagesimal } from "../../src/export/exif";
import type { Answer } from "../../src/api/types";
import { aSummary } from "./summary";

const hash = (address: string) => address.slice(address.indexOf("#"));

describe("a link", () => {
  test("holds the answer, whatever the names", () => {
    const answer = { ...aSummary(), abstention: { cause: "ambiguous", detail: "Überall 😀" } } as Answer;
    const read = readSharedAnswer(hash(link("東京 <b>.jpg", answer)));
    expect(read?.name).toBe("東京 <b>.jpg");
    expect(read?.answer.position).toEqual(answer.position);
    expect(read?.answer.abstention).toEqual(answer.abstention);
    expect(read?.answer.within).toEqual(answer.within);
  });

  const packed = (change: object) =>
    `#answer=${btoa(JSON.stringify({ n: "a", p: [1, 2], r: [3, 4], w: {}, l: ["", "", "", ""], a: null, ...change }))}`;

  test("that is whole is read", () => {
    expect(readSharedAnswer(packed({}))?.answer.position).toEqual({ lat: 1, lon: 2 });
  });

  test.each([
    "#answer=",
    "#answer=%%%",
    "#answer=bm90IGpzb24",
    "#other",
    "",
    `#answer=${"A".repeat(5000)}`,
    packed({ p: [91, 2] }),
    packed({ p: [1, -181] }),
    packed({ p: [1] }),
    packed({ p: ["1", 2] }),
    packed({ r: [-1, 4] }),
    packed({ r: [1, 1e9] }),
    packed({ w: { 25: 2 } }),
    packed({ w: null }),
    packed({ l: [1, 2, 3, 4] }),
    packed({ a: ["x"] }),
    packed({ n: 7 }),
  ])("that does not hold together is none: %s", (text) => {
    expect(readSharedAnswer(text)).toBeNull();
  });
});

describe("files", () => {
  const named = [{ name: '=1+1 "a", <b>&\u0007.jpg', answer: aSummary() }];

  test("GeoJSON has closed rings that turn the right way", () => {
    const { features } = JSON.parse(geojson(named)) as {
      features: { geometry: { type: string; coordinates: [number, number][][] } }[];
    };
    for (const { geometry } of features.filter((each) => each.geometry.type === "Polygon")) {
      const ring = geometry.coordinates[0] ?? [];
      expect(ring[0]).toEqual(ring.at(-1));
      const area = ring.slice(1).reduce((sum, [x, y], at) => {
        const [beforeX, beforeY] = ring[at] ?? [0, 0];
        return sum + beforeX * y - x * beforeY;
      }, 0);
      expect(area).toBeGreaterThan(0);
    }
  });

  test("KML is well-formed, whatever the name", () => {
    const document = new DOMParser().parseFromString(kml(named), "application/xml");
    expect(document.querySelector("parsererror")).toBeNull();
    expect(document.querySelector("Placemark > name")?.textContent).toBe('=1+1 "a", <b>&.jpg');
  });

  test("CSV quotes, and starts no formula", () => {
    const [head, row] = csv(named).split("\r\n");
    expect(head).toMatch(/^photo,lat,lon,/);
    expect(row).toMatch(/^"'=1\+1 ""a"", <b>&/);
  });
});

test.each([
  [48.8583, [[48, 1], [51, 1], [29_880, 1000]]],
  [-0.5, [[0, 1], [30, 1], [0, 1000]]],
  [179.99999999, [[180, 1], [0, 1], [0, 1000]]],
])("%d degrees as EXIF writes them", (degrees, expected) => {
  expect(sexagesimal(degrees)).toEqual(expected);
});
