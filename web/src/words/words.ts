/** The page's words in the person's language. */
import { signal } from "@preact/signals";

import { de } from "./de";
import { en } from "./en";

export type Key = keyof typeof en;
export type Words = Record<Key, string>;
export type Language = "en" | "de";

const ALL: Record<Language, Words> = { en, de };
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };
const REMEMBERED = "geofix.language";

export const language = signal<Language>(preferred());

function preferred(): Language {
  const known = (code: string | null): code is Language => code !== null && code in ALL;
  const remembered = localStorage.getItem(REMEMBERED);
  if (known(remembered)) return remembered;
  return navigator.languages.map((code) => code.slice(0, 2)).find(known) ?? "en";
}

export function speak(code: Language): void {
  language.value = code;
  localStorage.setItem(REMEMBERED, code);
  document.documentElement.lang = code;
}

/** A sentence, with `{names}` filled in. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return ALL[language.value][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** The sentence of a word that the service uses, where we have one; else what it says itself. */
export function told(
  group: string,
  word: string,
  otherwise: string,
  values: Record<string, string> = {},
): string {
  const key = `${group}.${word}`;
  return key in en ? t(key as Key, values) : otherwise;
}

export function percent(share: number): string {
  if (share > 0 && share < 0.005) return `< ${number(0.01, "percent")}`;
  if (share < 1 && share > 0.995) return `> ${number(0.99, "percent")}`;
  return number(share, "percent");
}

function number(value: number, style: "percent" | "decimal", digits = 0): string {
  return new Intl.NumberFormat(language.value, { style, maximumFractionDigits: digits }).format(value);
}

export function km(distance: number): string {
  if (distance < 1) return `${number(distance * 1000, "decimal")} m`;
  return `${number(distance, "decimal", distance < 10 ? 1 : 0)} km`;
}

export function megabytes(bytes: number): string {
  return `${number(bytes / 2 ** 20, "decimal", 1)} MB`;
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${number(ms, "decimal")} ms` : `${number(ms / 1000, "decimal", 1)} s`;
}

/** Small sums to two telling digits, as one call of a model costs. */
export function money(usd: number): string {
  const style = { style: "currency", currency: "USD", maximumSignificantDigits: 2 } as const;
  return new Intl.NumberFormat(language.value, style).format(usd);
}

/** A moment of the service, in the person's time. */
export function moment(iso: string): string {
  return new Date(iso).toLocaleString(language.value, { dateStyle: "medium", timeStyle: "short" });
}

/** The time of day of such a moment. */
export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString(language.value, { timeStyle: "short" });
}

/** 48.8583° N, 2.2945° E */
export function position(lat: number, lon: number, digits = 4): string {
  const side = (value: number, plus: Key, minus: Key) =>
    `${number(Math.abs(value), "decimal", digits)}° ${t(value >= 0 ? plus : minus)}`;
  return `${side(lat, "north", "south")}, ${side(lon, "east", "west")}`;
}

/** A country's name in the person's language; the service's where the browser knows none. */
export function country(code: string, otherwise: string): string {
  if (!/^[A-Z]{2}$/.test(code)) return otherwise;
  const named = new Intl.DisplayNames(language.value, { type: "region" }).of(code);
  return named && named !== code ? named : otherwise;
}
