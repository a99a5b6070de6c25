/** Jobs: many photos at once, worked on in the background. */
import type { FeatureCollection, Point } from "geojson";

import { ask, events } from "./client";
import type { Job, Problem } from "./types";

/** The main facts of one photo's answer. */
export interface Row {
  index: number;
  custom_id: string;
  lat: number;
  lon: number;
  radius_50_km: number;
  radius_90_km: number;
  abstained: string;
  country: string;
  region: string;
  city: string;
}

/** A photo that failed, with a problem as a request for it alone would have had. */
export interface FailedPhoto {
  index: number;
  custom_id: string;
  problem: Omit<Problem, "instance">;
}

export const FORMATS = ["ndjson", "csv", "geojson", "geoparquet"] as const;
export type Format = (typeof FORMATS)[number];

export async function jobs(): Promise<Job[]> {
  return ((await (await ask("/v1/jobs?limit=20")).json()) as { data: Job[] }).data;
}

export async function job(id: string): Promise<Job> {
  return (await (await ask(path(id))).json()) as Job;
}

/** A job of photos, of one archive, or of one list of photos in lines. */
export async function create(files: readonly File[]): Promise<Job> {
  return (await (await ask("/v1/jobs", { method: "POST", ...bodyOf(files) })).json()) as Job;
}

function bodyOf(files: readonly File[]): RequestInit {
  const [first] = files;
  if (first && files.length === 1 && isLines(first)) {
    return { body: first, headers: { "Content-Type": "application/x-ndjson" } };
  }
  const form = new FormData();
  for (const file of files) form.append(isArchive(file) ? "archive" : "photo", file, file.name);
  return { body: form };
}

export async function act(id: string, what: "cancel" | "retry"): Promise<Job> {
  return (await (await ask(`${path(id)}/${what}`, { method: "POST" })).json()) as Job;
}

export async function erase(id: string): Promise<void> {
  await ask(path(id), { method: "DELETE" });
}

export async function rows(id: string): Promise<Row[]> {
  const found = (await (await results(id, "geojson")).json()) as FeatureCollection<Point, Row>;
  return found.features.map(({ properties }) => properties);
}

export async function failed(id: string): Promise<FailedPhoto[]> {
  const lines = await (await ask(`${path(id)}/errors`)).text();
  return lines.split("\n").filter(Boolean).map((line) => JSON.parse(line) as FailedPhoto);
}

export function results(id: string, format: Format): Promise<Response> {
  return ask(`${path(id)}/results?format=${format}`);
}

/** Calls back whenever something happens to a job, until it ends; picks up a broken stream. */
export async function follow(id: string, onEvent: () => void, signal: AbortSignal): Promise<void> {
  let last = "";
  while (!signal.aborted) {
    const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
    const response = await ask(`${path(id)}/events`, { headers, signal });
    if (response.status === 204) return;
    let state = "";
    for await (const event of events(response)) {
      last = event.id ?? last;
      onEvent();
      if (event.event === "state") state = event.data;
    }
    if (ENDED.some((word) => state.includes(`"${word}"`))) return;
  }
}

export const ENDED: readonly string[] = ["completed", "failed", "expired", "cancelled"];

export function isArchive({ name }: { name: string }): boolean {
  return /\.(zip|tar|tgz|tar\.gz)$/i.test(name);
}

function isLines({ name }: { name: string }): boolean {
  return /\.(ndjson|jsonl)$/i.test(name);
}

function path(id: string): string {
  return `/v1/jobs/${encodeURIComponent(id)}`;
}
