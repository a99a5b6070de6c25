/** What goes wrong is said in a sentence, and the page goes on. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { answered, expectAccessible, give, launch, visit } from "./browser";
import { PYTHON, ROOT, start } from "./service";

let browser: Browser;
const started: ChildProcess[] = [];
const folders: string[] = [];
beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
  await Promise.all(
    started.map((service) => {
      if (service.exitCode !== null || service.signalCode !== null) return Promise.resolve();
      const ended = new Promise((done) => service.once("exit", done));
      service.kill("SIGKILL");
      return ended;
    }),
  );
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "geofix-page-"));
  folders.push(made);
  return made;
}

async function another(data: string, settings: NodeJS.ProcessEnv): Promise<[ChildProcess, string]> {
  const [service, address] = await start(data, settings);
  started.push(service);
  return [service, address];
}

/** The sentence of the failure that is shown. */
async function sentence(page: Page): Promise<string> {
  const card = page.locator(".failed[role=alert]");
  await card.waitFor({ timeout: 30_000 });
  return card.innerText();
}

const PROVOKED = /Failed to load resource|ERR_/;

test.each([
  ["damaged.jpg", "The photo is damaged"],
  ["text.jpg", "not a photo that can be read"],
  ["empty.jpg", "The file is empty"],
])("a wrong file: %s", async (name, words) => {
  const { page, complaints } = await visit(browser, { expected: PROVOKED });
  await give(page, name);
  expect(await sentence(page)).toContain(words);
  await expectAccessible(page);
  await give(page, "palace.jpg");
  expect(await answered(page)).toContain("China");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("a file of 30 MB is not sent; a smaller copy of it can be", async () => {
  const { page, complaints } = await visit(browser);
  await give(page, "huge.jpg");
  expect(await sentence(page)).toMatch(/The file has 2[89]\.?\d? MB; the service takes up to 20 MB/);
  await page.getByRole("button", { name: "Send a smaller copy" }).click();
  expect(await answered(page)).toContain("China");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("offline, and online again", async () => {
  const { page, complaints } = await visit(browser, { expected: PROVOKED });
  await page.locator(".place span").first().waitFor();
  await page.context().setOffline(true);
  await give(page, "palace.jpg");
  expect(await sentence(page)).toContain("You are offline");
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  expect(await answered(page)).toContain("China");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("a service that is gone", async () => {
  const [service, address] = await another(folder(), {});
  const { page, complaints } = await visit(browser, { expected: PROVOKED, address });
  const ended = new Promise((done) => service.once("exit", done));
  service.kill("SIGKILL");
  await ended;
  await give(page, "palace.jpg");
  expect(await sentence(page)).toContain("cannot be reached");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("a busy service says when to come back, and is asked again", async () => {
  const [, address] = await another(folder(), { GEOFIX_MAX_WAIT_S: "0.000001" });
  const { page, complaints } = await visit(browser, { expected: PROVOKED, address });
  await give(page, "palace.jpg", "flower.jpg", "sign.jpg");
  const told = await sentence(page);
  expect(told).toContain("busy");
  expect(told).toMatch(/Trying again in \d+ s/);
  await page.waitForRequest((request) => request.url().includes("/v1/locate"));
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("a service with keys asks for one, tells a wrong one, and takes the right one", async () => {
  const data = folder();
  const key = execFileSync(
    PYTHON,
    ["-m", "geofix.cli.main", "keys", "create", "tester", "--scope", "locate"],
    { env: { ...process.env, PYTHONPATH: ROOT, GEOFIX_DATA_DIR: data }, encoding: "utf8" },
  );
  const text = /gfx_\S+/.exec(key)?.[0] ?? "";
  const [, address] = await another(data, { GEOFIX_AUTH: "required" });
  const { page, complaints } = await visit(browser, { expected: PROVOKED, address });
  await give(page, "palace.jpg");
  expect(await sentence(page)).toContain("needs an API key");
  const card = page.locator(".failed");
  for (const each of ["gfx_wrong", text]) {
    await card.getByLabel("API key").fill(each);
    await card.getByRole("button", { name: "Use key" }).click();
    if (each !== text) {
      await page.locator(".stages").waitFor({ state: "detached" });
      expect(await sentence(page)).toContain("wrong or expired");
    }
  }
  expect(await answered(page)).toBe("Cannot tell");
  expect(await page.locator(".verdict").innerText()).toContain("no photos to compare with");
  await page.reload();
  await give(page, "palace.jpg");
  expect(await answered(page)).toBe("Cannot tell");
  expect(complaints).toEqual([]);
  await page.context().close();
});
