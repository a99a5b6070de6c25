// The typed client: paths, options, answers and problems come from openapi/openapi.json.
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, paths };
export type Answer = components["schemas"]["Answer"];
export type Job = components["schemas"]["JobAnswer"];
export type Problem = components["schemas"]["Problem"];

/** A client of the service at `baseUrl`; the key is needed unless that is on this machine. */
export function geofix(baseUrl: string, key?: string): Client<paths> {
  return createClient<paths>({ baseUrl, ...(key && { headers: { "X-API-Key": key } }) });
}

/** The body of a multipart request: `photo` files beside options, as strings. */
export function form(body: object): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(body)) {
    for (const part of Array.isArray(value) ? value : [value]) data.append(name, part);
  }
  return data;
}
