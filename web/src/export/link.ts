/** An answer in a link: all of it behind the #, which no server ever sees. */
import type { Summary } from "../api/types";

export interface SharedAnswer {
  name: string;
  answer: Summary;
}

interface Packed {
  n: string;
  p: [lat: number, lon: number];
  r: [km50: number, km90: number];
  w: Record<string, number>;
  l: [country: string, countryName: string, region: string, city: string];
  a: [cause: string, detail: string] | null;
}

const PREFIX = "#answer=";
const MOST = 4000;

export function link(name: string, answer: Summary): string {
  const { place, abstention } = answer;
  const packed: Packed = {
    n: name.slice(0, 100),
    p: [round(answer.position.lat), round(answer.position.lon)],
    r: [round(answer.radius_50_km), round(answer.radius_90_km)],
    w: Object.fromEntries(Object.entries(answer.within).map(([at, p]) => [at, round(p)])),
    l: [place.country, place.country_name, place.region, place.city],
    a: abstention ? [abstention.cause, abstention.detail] : null,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(packed));
  const text = btoa(String.fromCharCode(...bytes));
  const safe = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${location.origin}${location.pathname}${PREFIX}${safe}`;
}

/** The answer behind the # of this page's address; null where there is none that holds together. */
export function readSharedAnswer(hash: string): SharedAnswer | null {
  if (!hash.startsWith(PREFIX) || hash.length > MOST) return null;
  try {
    const text = hash.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const packed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isPacked(packed) ? unpacked(packed) : null;
  } catch {
    return null;
  }
}

function isPacked(value: unknown): value is Packed {
  if (typeof value !== "object" || value === null) return false;
  const { n, p, r, w, l, a } = value as Record<string, unknown>;
  const numbers = (list: unknown, count: number): list is number[] =>
    Array.isArray(list) && list.length === count && list.every((each) => Number.isFinite(each));
  const strings = (list: unknown, count: number) =>
    Array.isArray(list) && list.length === count && list.every((each) => typeof each === "string");
  return (
    typeof n === "string" &&
    numbers(p, 2) &&
    Math.abs(p[0] ?? NaN) <= 90 &&
    Math.abs(p[1] ?? NaN) <= 180 &&
    numbers(r, 2) &&
    r.every((km) => km >= 0 && km <= 20_038) &&
    typeof w === "object" &&
    w !== null &&
    Object.values(w).every((share) => typeof share === "number" && share >= 0 && share <= 1) &&
    strings(l, 4) &&
    (a === null || strings(a, 2))
  );
}

function unpacked({ n, p, r, w, l, a }: Packed): SharedAnswer {
  const [country, country_name, region, city] = l;
  return {
    name: n,
    answer: {
      position: { lat: p[0], lon: p[1] },
      radius_50_km: r[0],
      radius_90_km: r[1],
      within: w,
      abstention: a && { cause: a[0], detail: a[1] },
      place: { country, country_name, region, region_approximate: false, city, city_km: null },
    },
  };
}

function round(value: number): number {
  return Number(value.toFixed(4));
}
