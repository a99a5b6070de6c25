/** The live service and the browser that the tests of the page share. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, openAsBlob, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    address: string;
    photos: string;
    browser: string;
  }
}

export const ROOT = resolve(import.meta.dirname, "../../..");
export const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
const READY_MS = 120_000;
const GONE_MS = 30_000;

/** Start a service; resolves to its address. */
export function start(
  data: string,
  more: NodeJS.ProcessEnv = {},
  ...options: string[]
): Promise<[ChildProcess, string]> {
  const environment = { ...process.env, PYTHONPATH: ROOT, GEOFIX_DATA_DIR: data, ...more };
  const service = spawn(PYTHON, ["-m", "geofix.cli.main", "serve", "--port", "0", ...options], {
    cwd: data,
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  return new Promise((done, failed) => {
    let said = "";
    const fail = (why: string) => {
      clearTimeout(timer);
      service.kill("SIGKILL");
      failed(new Error(`${why}: ${said}`));
    };
    const timer = setTimeout(() => { fail("not ready"); }, READY_MS);
    service.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const address = /http:\/\/\S+/.exec(said)?.[0];
      if (!address) return;
      clearTimeout(timer);
      done([service, address]);
    });
    service.on("exit", () => { fail("ended"); });
  });
}

/** Stop a service, and wait until it has gone. */
export async function stop(service: ChildProcess): Promise<void> {
  if (service.exitCode !== null || service.signalCode !== null) return;
  const ended = new Promise((done) => service.once("exit", done));
  service.kill("SIGTERM");
  const late = setTimeout(() => service.kill("SIGKILL"), GONE_MS);
  await ended;
  clearTimeout(late);
}

/** Galleries of pieces of the photos: `default` with all of them, `second` with half. */
export async function fill(address: string, photos: string): Promise<void> {
  const places = { palace: [39.9999, 116.2755], flower: [52.52, 13.405] } as const;
  for (const [name, [lat, lon]] of Object.entries(places)) {
    for (let at = 0; at < 6; at++) {
      for (const gallery of at % 2 ? ["default"] : ["default", "second"]) {
        const form = new FormData();
        form.set("photo", await openAsBlob(join(photos, `${name}-${at}.jpg`)), "photo.jpg");
        form.set("lat", String(lat + at / 500));
        form.set("lon", String(lon + at / 500));
        form.set("key", `${name}-${at}`);
        form.set("contributor", "danielbuechele");
        form.set("licence", "CC-BY-2.0");
        form.set("thumbnail", "true");
        const response = await fetch(`${address}/v1/galleries/${gallery}/photos`, {
          method: "POST",
          body: form,
        });
        if (!response.ok) throw new Error(await response.text());
      }
    }
  }
}

/** A gallery of places, without photos. */
export async function fillPlaces(address: string, name: string, count: number): Promise<void> {
  await post(`${address}/v1/galleries`, { name, encoder: "geoclip-location" });
  const points = Array.from({ length: count }, (_, at) => ({
    key: String(at),
    lat: (Math.asin(1.8 * ((at * 0.569840291) % 1) - 0.9) * 180) / Math.PI, // evenly spread
    lon: 360 * ((at * 0.754877666) % 1) - 180,
  }));
  for (let at = 0; at < count; at += 500) {
    await post(`${address}/v1/galleries/${name}/points`, { points: points.slice(at, at + 500) });
  }
}

export async function post(url: string, body: object): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "geofix-page-"));
  const ends: (() => Promise<void>)[] = [];
  const tidy = async () => {
    await Promise.all(ends.map((end) => end()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    execFileSync(PYTHON, [join(import.meta.dirname, "photos.py"), folder]);
    const [service, address] = await start(folder, {}, "--all");
    ends.push(() => stop(service));
    const browser = await chromium.launchServer({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    });
    ends.push(() => browser.close());
    await fill(address, folder);
    project.provide("address", address);
    project.provide("photos", folder);
    project.provide("browser", browser.wsEndpoint());
  } catch (error) {
    await tidy();
    throw error;
  }
  return tidy;
}
