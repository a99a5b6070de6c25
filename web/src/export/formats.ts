/** Answers as GeoJSON, KML and CSV. */
import type { Feature, FeatureCollection, Position } from "geojson";

import type { Summary } from "../api/types";
import { circle } from "../map/geodesy";

export interface Named {
  name: string;
  answer: Summary;
}

export function geojson(named: readonly Named[]): string {
  const features = named.flatMap(({ name, answer }): Feature[] => [
    {
      type: "Feature",
      geometry: { type: "Point", coordinates: [answer.position.lon, answer.position.lat] },
      properties: { photo: name, ...facts(answer) },
    },
    ...([50, 90] as const).map((share): Feature => ({
      type: "Feature",
      geometry: { type: "Polygon", coordinates: outline(answer, share) },
      properties: { photo: name, share: share / 100 },
    })),
  ]);
  const collection: FeatureCollection = { type: "FeatureCollection", features };
  return JSON.stringify(collection, null, 1);
}

export function kml(named: readonly Named[]): string {
  const placemarks = named.flatMap(({ name, answer }) => {
    const { lat, lon } = answer.position;
    const said = Object.entries(facts(answer)).map(([key, value]) => `${key}: ${value}`).join("\n");
    return [
      `<Placemark><name>${xml(name)}</name><description>${xml(said)}</description>` +
        `<Point><coordinates>${lon},${lat}</coordinates></Point></Placemark>`,
      ...([50, 90] as const).map((share) => {
        const rings = outline(answer, share).map(
          (ring, at) =>
            `<${at ? "inner" : "outer"}BoundaryIs><LinearRing><coordinates>` +
            ring.map((position) => position.join()).join(" ") +
            `</coordinates></LinearRing></${at ? "inner" : "outer"}BoundaryIs>`,
        );
        return (
          `<Placemark><name>${xml(name)}: ${share} %</name><styleUrl>#area</styleUrl>` +
          `<Polygon>${rings.join("")}</Polygon></Placemark>`
        );
      }),
    ];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>Geofix</name>',
    '<Style id="area"><LineStyle><color>ff5a12b8</color></LineStyle>',
    "<PolyStyle><color>225a12b8</color></PolyStyle></Style>",
    ...placemarks,
    "</Document></kml>",
    "",
  ].join("\n");
}

export function csv(named: readonly Named[]): string {
  const rows = named.map(({ name, answer }) => ({ photo: name, ...facts(answer) }));
  const columns = Object.keys(rows[0] ?? {});
  const lines = rows.map((row) =>
    columns.map((column) => cell(row[column as keyof typeof row])).join());
  return [columns.join(), ...lines, ""].join("\r\n");
}

function facts(answer: Summary) {
  const { place, position, within } = answer;
  return {
    lat: position.lat,
    lon: position.lon,
    radius_50_km: answer.radius_50_km,
    radius_90_km: answer.radius_90_km,
    within_1_km: within["1"] ?? 0,
    within_25_km: within["25"] ?? 0,
    within_200_km: within["200"] ?? 0,
    within_750_km: within["750"] ?? 0,
    within_2500_km: within["2500"] ?? 0,
    abstained: answer.abstention?.cause ?? "",
    country: place.country,
    region: place.region,
    city: place.city,
  };
}

function outline(answer: Summary, share: 50 | 90): Position[][] {
  const km = Math.max(0.001, share === 50 ? answer.radius_50_km : answer.radius_90_km);
  return circle(answer.position, km).map((ring, at) => {
    const positions = ring.map(([lat, lon]): Position => [round(lon), round(lat)]);
    if (isClockwise(positions) !== at > 0) positions.reverse();
    return [...positions, positions[0] ?? []];
  });
}

function isClockwise(ring: readonly Position[]): boolean {
  const doubled = ring.reduce((sum, [x = 0, y = 0], at) => {
    const [nextX = 0, nextY = 0] = ring[(at + 1) % ring.length] ?? [];
    return sum + (nextX - x) * (nextY + y);
  }, 0);
  return doubled > 0;
}

function round(degrees: number): number {
  return Number(degrees.toFixed(5));
}

function xml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    // eslint-disable-next-line no-control-regex -- characters that XML 1.0 has no way to write
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "");
}

/** A cell that no spreadsheet takes for a formula. */
function cell(value: string | number | undefined): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value ?? "") ? `'${value ?? ""}` : (value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
