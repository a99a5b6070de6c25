/** Every request of the page; all of them to its own origin. */
import { createParser } from "eventsource-parser";

import { FailureError, failureOf, failureOfResponse } from "./failure";
import type {
  Answer,
  Coverage,
  GalleryDescription,
  GallerySummary,
  GalleryVersion,
  Label,
  LatLon,
  Measured,
  Neighbour,
  PageSettings,
  Problem,
  Refinement,
  Stage,
} from "./types";

let key = "";

/** Send this API key from now on; none when it is empty. */
export function useKey(text: string): void {
  key = text.trim();
}

/** One request. Throws a FailureError for whatever is not a success. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  const response = await fetch(path, { ...init, headers, credentials: "omit" });
  if (!response.ok) throw new FailureError(await failureOfResponse(response));
  return response;
}

async function post<T>(path: string, body: object): Promise<T> {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await response.json()) as T;
}

/** Where a photo was taken; `onStage` hears of every stage as the service finishes it. */
export async function locate(
  photo: Blob,
  options: Record<string, string>,
  onStage: (stage: Stage) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const response = await ask(`/v1/locate?${new URLSearchParams(options).toString()}`, {
    method: "POST",
    headers: { "Content-Type": "image/*", Accept: "text/event-stream" },
    body: photo,
    signal,
  });
  let answer: Answer | undefined;
  for await (const { event, data, retryMs } of events(response)) {
    if (event === "stage") onStage(JSON.parse(data) as Stage);
    if (event === "answer") answer = JSON.parse(data) as Answer;
    if (event === "problem") {
      throw new FailureError(failureOf(JSON.parse(data) as Problem, retryMs && retryMs / 1000));
    }
  }
  if (!answer) throw new FailureError({ kind: "broken-answer", detail: "" });
  return answer;
}

/** Another answer for a photo that the service still knows by the id of its first answer. */
export function refine(id: string, options: Refinement): Promise<Answer> {
  return post(`/v1/locate/${encodeURIComponent(id)}/refine`, options);
}

/** Say where the photo of an answer was really taken. */
export function tellTruth(id: string, truth: LatLon): Promise<Measured> {
  return post("/v1/feedback", { id, ...truth, source: "web page" });
}

export async function pageSettings(): Promise<PageSettings> {
  return (await (await ask("/page/settings")).json()) as PageSettings;
}

export async function labels(bbox: string, limit: number): Promise<Label[]> {
  const query = new URLSearchParams({ bbox, limit: String(limit) });
  const body = (await (await ask(`/page/labels?${query.toString()}`)).json()) as {
    places: Label[];
  };
  return body.places;
}

export async function galleries(): Promise<GallerySummary[]> {
  const body = (await (await ask("/v1/galleries")).json()) as { galleries: GallerySummary[] };
  return body.galleries;
}

export async function described(name: string): Promise<GalleryDescription> {
  return (await (await ask(`/v1/galleries/${encodeURIComponent(name)}`)).json()) as GalleryDescription;
}

export async function coverage(name: string): Promise<Coverage> {
  const path = `/v1/galleries/${encodeURIComponent(name)}/coverage`;
  return (await (await ask(path)).json()) as Coverage;
}

/** A gallery's versions, oldest first. */
export async function versions(name: string): Promise<GalleryVersion[]> {
  const path = `/v1/galleries/${encodeURIComponent(name)}/versions`;
  return ((await (await ask(path)).json()) as { versions: GalleryVersion[] }).versions;
}

/** A neighbour's thumbnail as an address for an image. */
export async function thumbnail(neighbour: Neighbour): Promise<string> {
  const gallery = encodeURIComponent(neighbour.gallery);
  const id = encodeURIComponent(neighbour.id);
  const response = await ask(`/v1/galleries/${gallery}/photos/${id}/thumbnail`);
  return URL.createObjectURL(await response.blob());
}

interface StreamEvent {
  event: string;
  data: string;
  id: string | undefined;
  /** How long to wait before asking again, where the stream said so. */
  retryMs: number | undefined;
}

/** The events of a response as they arrive. */
export async function* events(response: Response): AsyncGenerator<StreamEvent> {
  const arrived: StreamEvent[] = [];
  let retryMs: number | undefined;
  const parser = createParser({
    onRetry: (ms) => {
      retryMs = ms;
    },
    onEvent: ({ event, data, id }) => {
      arrived.push({ event: event ?? "message", data, id, retryMs });
    },
  });
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
    yield* arrived.splice(0);
  }
}
