/** What went wrong, in a form that can be told to a person in their language. */
import type { Problem } from "./types";

export interface Failure {
  /** A stable word: the problem's own, or `offline`, `unreachable`, `broken-answer`. */
  kind: string;
  /** The service's sentence, in English; empty where it did not answer. */
  detail: string;
  /** Seconds after which it is worth trying again. */
  retryAfterS?: number;
  /** The request's id, for whoever looks into it. */
  request?: string;
}

/** What a gateway means that answers for the service. */
const IN_BETWEEN: Partial<Record<number, string>> = {
  413: "photo-too-large",
  429: "quota-exceeded",
  502: "unreachable",
  503: "unavailable",
  504: "unreachable",
};

const URN = "urn:geofix:problem:";

export class FailureError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.detail || failure.kind);
  }
}

/** A problem in a job's list of failed photos is that of no request, and has no number. */
type Told = Omit<Problem, "instance"> & Partial<Pick<Problem, "instance">>;

export function failureOf(problem: Told, retryAfterS?: number): Failure {
  return {
    kind: problem.type.startsWith(URN) ? problem.type.slice(URN.length) : "internal",
    detail: problem.detail,
    ...(problem.instance ? { request: problem.instance.replace("urn:uuid:", "") } : {}),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  };
}

/** The failure behind anything thrown while the service was asked. */
export function failureBehind(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  if (!navigator.onLine) return { kind: "offline", detail: "" };
  if (error instanceof TypeError) return { kind: "unreachable", detail: "" };
  return { kind: "broken-answer", detail: "" };
}

export async function failureOfResponse(response: Response): Promise<Failure> {
  const told = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfterS = Number.isFinite(told) ? told : undefined;
  try {
    const body: unknown = await response.json();
    if (isProblem(body)) return failureOf(body, retryAfterS);
  } catch {
    // something in between answered in its own words
  }
  const kind = IN_BETWEEN[response.status] ?? "broken-answer";
  return { kind, detail: "", ...(retryAfterS === undefined ? {} : { retryAfterS }) };
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "type" in value && "detail" in value;
}
