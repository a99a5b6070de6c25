/** Distances and outlines on the sphere. Degrees in, degrees out; distances in km. */
import type { LatLon } from "../api/types";

const EARTH_KM = 6371.0088;
const RAD = Math.PI / 180;
const POLE = 90;

export type Ring = [lat: number, lon: number][];

export function distanceKm(a: LatLon, b: LatLon): number {
  const dLat = (b.lat - a.lat) * RAD;
  const dLon = (b.lon - a.lon) * RAD;
  const h =
    Math.sin(dLat / 2) ** 2 +
    Math.cos(a.lat * RAD) * Math.cos(b.lat * RAD) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The longitude, give or take full turns, that lies nearest to another. */
export function near(lon: number, other: number): number {
  return lon - 360 * Math.round((lon - other) / 360);
}

/**
 * A circle on the sphere as polygon rings for a flat map, longitudes without a jump. A circle
 * around a pole is closed along the map's edge; one around both is the whole map with a hole.
 */
export function circle(centre: LatLon, km: number): Ring[] {
  const reach = km / EARTH_KM / RAD;
  if (reach >= 180) return [world(centre.lon)];
  const north = centre.lat + reach > POLE;
  const south = centre.lat - reach < -POLE;
  if (north && south) {
    const opposite = { lat: -centre.lat, lon: centre.lon + 180 };
    return [world(opposite.lon), outline(opposite, 180 - reach)];
  }
  if (!north && !south) return [outline(centre, reach)];
  const pole = north ? POLE : -POLE;
  const byLongitude = aroundPole(centre, reach);
  const edge = byLongitude[0]?.[0] ?? pole;
  const [west, east] = [centre.lon - 180, centre.lon + 180];
  return [[[pole, west], [edge, west], ...byLongitude, [edge, east], [pole, east]]];
}

/** Only the line of a circle, as it is drawn: `closed` unless it goes round a pole. */
export function circleLine(centre: LatLon, km: number): { line: Ring; closed: boolean } {
  const reach = km / EARTH_KM / RAD;
  const poles = Number(centre.lat + reach > POLE) + Number(centre.lat - reach < -POLE);
  if (reach >= 180) return { line: [], closed: true };
  if (poles === 1) return { line: aroundPole(centre, reach), closed: false };
  if (poles === 0) return { line: outline(centre, reach), closed: true };
  const opposite = { lat: -centre.lat, lon: centre.lon + 180 };
  return { line: outline(opposite, 180 - reach), closed: true };
}

/** The outline of a circle around a pole, from west to east. */
function aroundPole(centre: LatLon, reach: number): Ring {
  return outline(centre, reach)
    .map(([lat, lon]): [number, number] => [lat, near(lon, centre.lon)])
    .sort((a, b) => a[1] - b[1]);
}

function outline(centre: LatLon, reach: number): Ring {
  const [lat, d] = [centre.lat * RAD, reach * RAD];
  const ring: Ring = [];
  for (let bearing = 0; bearing < 360; bearing += 3) {
    const angle = bearing * RAD;
    const sinLat = Math.sin(lat) * Math.cos(d) + Math.cos(lat) * Math.sin(d) * Math.cos(angle);
    const at = Math.asin(Math.max(-1, Math.min(1, sinLat)));
    const lon = Math.atan2(
      Math.sin(angle) * Math.sin(d) * Math.cos(lat),
      Math.cos(d) - Math.sin(lat) * sinLat,
    );
    ring.push([at / RAD, centre.lon + lon / RAD]);
  }
  return ring;
}

function world(middle: number): Ring {
  const [west, east] = [middle - 180, middle + 180];
  return [
    [-POLE, west],
    [POLE, west],
    [POLE, east],
    [-POLE, east],
  ];
}
