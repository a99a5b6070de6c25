/** What the page knows: the photos, their answers, and what a person has chosen. */
import { computed, signal } from "@preact/signals";

import { locate, refine } from "./api/client";
import { failureBehind, type Failure } from "./api/failure";
import { isArchive } from "./api/jobs";
import type { Answer, PageSettings, Refinement, Stage, Summary } from "./api/types";

export interface Shot {
  key: number;
  name: string;
  /** Null for a shared answer. */
  file: Blob | null;
  /** Address of the photo in this browser. */
  url: string;
  phase: "waiting" | "locating" | "answered" | "failed";
  stages: Stage[];
  /** The answer to the photo itself. */
  first?: Answer | undefined;
  /** The answer shown: the first one, or one to a what-if question. */
  answer?: Answer | undefined;
  /** An answer that came by a link, without its evidence. */
  shared?: Summary;
  failure?: Failure | undefined;
  /** When it is tried again by itself, as of `Date.now()`. */
  retryAt?: number | undefined;
  attempts: number;
}

export const settings = signal<PageSettings>({
  version: "",
  max_body_bytes: 20 * 2 ** 20,
  keep_s: 600,
  tiles: "",
  tiles_attribution: "",
});
export const shots = signal<readonly Shot[]>([]);
export const selectedKey = signal<number | null>(null);
export const selected = computed(() => shots.value.find((shot) => shot.key === selectedKey.value));
/** Whether photos are sent with leave to keep their vectors for a while. */
export const keep = signal(true);
/** Takes files that are dropped or pasted while the batch view is shown. */
export const batchTakes = signal<((files: File[]) => void) | undefined>(undefined);
/** A sentence for those who hear the page. */
export const announced = signal("");

export const VIEWS = ["photos", "batch", "galleries"] as const;
/** What the panel shows, as the address says behind its #. */
export const view = signal<(typeof VIEWS)[number]>(viewOf(location.hash));
addEventListener("hashchange", () => (view.value = viewOf(location.hash)));

function viewOf(hash: string): (typeof VIEWS)[number] {
  return VIEWS.find((name) => hash === `#${name}`) ?? "photos";
}

const AT_ONCE = 2;
const MOST_ATTEMPTS = 4;
const LONGEST_WAIT_S = 60;
const running = new Map<number, AbortController>();
let nextKey = 1;

export function update(key: number, change: Partial<Shot>): void {
  shots.value = shots.value.map((shot) => (shot.key === key ? { ...shot, ...change } : shot));
}

/** Take in what was dropped or pasted: into the batch view where that is shown. */
export function receive(files: File[]): void {
  if (view.value === "batch" && batchTakes.value) batchTakes.value(files);
  else {
    if (files.length && view.value !== "photos") location.hash = "";
    add(files);
  }
}

/** Take in photos and begin to locate them; the first of them is shown. */
export function add(files: readonly File[]): void {
  const added = files.map(
    (file): Shot => ({
      key: nextKey++,
      name: file.name || "photo.jpg",
      file,
      url: URL.createObjectURL(file),
      phase: "waiting",
      stages: [],
      attempts: 0,
    }),
  );
  if (!added.length) return;
  shots.value = [...shots.value, ...added];
  selectedKey.value = added[0]?.key ?? null;
  next();
}

/** Show an answer that came by a link. */
export function addShared(name: string, shared: Summary): void {
  const key = nextKey++;
  const shot = { key, name, file: null, url: "", stages: [], attempts: 0 };
  shots.value = [...shots.value, { ...shot, phase: "answered", shared }];
  selectedKey.value = key;
}

export function remove(key: number): void {
  stop(key);
  const at = shots.value.findIndex((shot) => shot.key === key);
  const gone = shots.value[at];
  if (!gone) return;
  if (gone.url) URL.revokeObjectURL(gone.url);
  shots.value = shots.value.filter((shot) => shot.key !== key);
  if (selectedKey.value === key) {
    selectedKey.value = (shots.value[at] ?? shots.value[at - 1])?.key ?? null;
  }
}

export function stop(key: number): void {
  running.get(key)?.abort();
}

/** Locate a photo once more, or another copy of it. */
export function again(key: number, file?: Blob): void {
  update(key, {
    phase: "waiting",
    stages: [],
    failure: undefined,
    retryAt: undefined,
    first: undefined,
    answer: undefined,
    ...(file ? { file } : {}),
  });
  next();
}

/** Ask a what-if question of a photo; the first answer where nothing is changed. */
export async function wonder(key: number, options: Refinement | null): Promise<void> {
  const first = shots.value.find((shot) => shot.key === key)?.first;
  if (!first) return;
  update(key, { answer: options ? await refine(first.id, options) : first });
}

function next(): void {
  for (const shot of shots.value) {
    if (running.size >= AT_ONCE) return;
    if (shot.phase === "waiting") void run(shot);
  }
}

async function run({ key, name, file, attempts }: Shot): Promise<void> {
  if (!file) return;
  const abort = new AbortController();
  running.set(key, abort);
  update(key, { phase: "locating", stages: [], attempts: attempts + 1 });
  try {
    if (isArchive({ name })) {
      update(key, { phase: "failed", failure: { kind: "archive-here", detail: "" } });
      return;
    }
    const limit = settings.value.max_body_bytes;
    if (file.size > limit) {
      update(key, { phase: "failed", failure: { kind: "photo-too-large-here", detail: "" } });
      return;
    }
    const onStage = (stage: Stage) => {
      const stages = shots.value.find((shot) => shot.key === key)?.stages ?? [];
      update(key, { stages: [...stages, stage] });
    };
    const options: Record<string, string> = keep.value ? { keep: "true" } : {};
    const answer = await locate(file, options, onStage, abort.signal);
    update(key, { phase: "answered", first: answer, answer, attempts: 0 });
  } catch (error) {
    if (abort.signal.aborted) update(key, { phase: "failed", failure: undefined });
    else fail(key, failureBehind(error), attempts + 1);
  } finally {
    running.delete(key);
    next();
  }
}

/** Tell the failure; where the service says when to come back, come back by itself. */
function fail(key: number, failure: Failure, attempts: number): void {
  const wait = failure.retryAfterS;
  if (wait === undefined || wait > LONGEST_WAIT_S || attempts >= MOST_ATTEMPTS) {
    update(key, { phase: "failed", failure });
    return;
  }
  const retryAt = Date.now() + Math.max(1, wait) * 1000;
  update(key, { phase: "failed", failure, retryAt });
  setTimeout(() => {
    const shot = shots.value.find((each) => each.key === key);
    if (shot?.phase === "failed" && shot.retryAt === retryAt) again(key);
  }, retryAt - Date.now());
}
