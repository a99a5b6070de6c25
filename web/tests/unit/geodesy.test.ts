import { describe, expect, test } from "vitest";

import { circle, circleLine, distanceKm, near } from "../../src/map/geodesy";

test("distances are great circles", () => {
  expect(distanceKm({ lat: 48.8566, lon: 2.3522 }, { lat: 51.5074, lon: -0.1278 })).toBeCloseTo(343.6, 0);
  expect(distanceKm({ lat: 0, lon: 179.5 }, { lat: 0, lon: -179.5 })).toBeCloseTo(111.2, 1);
  expect(distanceKm({ lat: 90, lon: 0 }, { lat: -90, lon: 77 })).toBeCloseTo(20015.1, 0);
});

test("a longitude is brought near another one", () => {
  expect(near(-179, 178)).toBe(181);
  expect(near(179, -178)).toBe(-181);
  expect(near(10, 20)).toBe(10);
});

describe("circles", () => {
  test.each([
    [{ lat: 48, lon: 2 }, 100],
    [{ lat: -17, lon: 179.9 }, 500],
    [{ lat: 0, lon: 0 }, 9000],
  ])("every point of the outline lies at the radius: %o, %d km", (centre, km) => {
    const [ring = []] = circle(centre, km);
    expect(ring.length).toBeGreaterThan(90);
    for (const [lat, lon] of ring) expect(distanceKm(centre, { lat, lon })).toBeCloseTo(km, 3);
    const longitudes = ring.map(([, lon]) => lon);
    for (const lon of longitudes) expect(Math.abs(lon - centre.lon)).toBeLessThanOrEqual(180);
  });

  test("one around a pole reaches the map's edge from side to side", () => {
    const rings = circle({ lat: 85, lon: 40 }, 1500);
    expect(rings).toHaveLength(1);
    const longitudes = rings[0]?.map(([, lon]) => lon) ?? [];
    expect([Math.min(...longitudes), Math.max(...longitudes)]).toEqual([-140, 220]);
    expect(rings[0]?.filter(([lat]) => lat === 90)).toHaveLength(2);
  });

  test("one around both poles is the world with a hole", () => {
    const rings = circle({ lat: 10, lon: 20 }, 15_000);
    expect(rings).toHaveLength(2);
    for (const [lat, lon] of rings[1] ?? []) {
      expect(distanceKm({ lat: 10, lon: 20 }, { lat, lon })).toBeCloseTo(15_000, 2);
    }
  });

  test.each([
    [80, 500, true],
    [80, 1500, false],
    [-80, 15_000, false],
    [10, 15_000, true],
  ])("from %d°, the line of %d km holds the radius wherever it goes", (lat0, km, isClosed) => {
    const centre = { lat: lat0, lon: 170 };
    const { line, closed } = circleLine(centre, km);
    expect(closed).toBe(isClosed);
    for (const [lat, lon] of line) expect(distanceKm(centre, { lat, lon })).toBeCloseTo(km, 2);
    const steps = line.slice(1).map(([, lon], at) => Math.abs(lon - (line[at]?.[1] ?? NaN)));
    expect(Math.max(...steps)).toBeLessThan(120);
  });

  test("one as large as the Earth is the world", () => {
    expect(circle({ lat: 10, lon: 20 }, 20_038)[0]).toHaveLength(4);
  });
});
