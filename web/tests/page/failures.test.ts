/** What goes wrong is said in a sentence, and the page goes on. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect } from "vitest";

import { address, answered, expectAccessible, give, LOOKS, test } from "./browser";
import { Way } from "./between";
import { PYTHON, ROOT, start, stop } from "./service";

const PROVOKED = /Failed to load resource|ERR_/;
const SCOPES = ["locate", "jobs", "galleries"].flatMap((scope) => ["--scope", scope]);
const way = new Way(address);
const folders: string[] = [];
const started: ChildProcess[] = [];
let behindWay: string;
let busy: string;
let locked: string;
const keys = { right: "", expired: "" };

beforeAll(async () => {
  behindWay = await way.open();
  const [busyData, lockedData] = [folder(), folder()];
  keys.right = key(lockedData);
  keys.expired = key(lockedData, "--days", "0.00001");
  [busy, locked] = await Promise.all([
    another(busyData, { GEOFIX_MAX_WAIT_S: "0.000001" }),
    another(lockedData, { GEOFIX_AUTH: "required" }),
  ]);
});
afterAll(async () => {
  await way.close();
  await Promise.all(started.map(stop));
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "geofix-page-"));
  folders.push(made);
  return made;
}

function key(data: string, ...options: string[]): string {
  const command = ["-m", "geofix.cli.main", "keys", "create", "tester", ...SCOPES, ...options];
  const env = { ...process.env, PYTHONPATH: ROOT, GEOFIX_DATA_DIR: data };
  const said = execFileSync(PYTHON, command, { env, encoding: "utf8", stdio: "pipe" });
  return /^\s*(gfx_\S{20,})\s*$/m.exec(said)?.[1] ?? "";
}

async function another(data: string, settings: NodeJS.ProcessEnv): Promise<string> {
  const [service, at] = await start(data, settings);
  started.push(service);
  return at;
}

/** The sentence of the failure that is shown. */
async function sentence(page: Page): Promise<string> {
  const card = page.locator(".failed[role=alert]");
  await card.waitFor({ timeout: 30_000 });
  return card.innerText();
}

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("wrong files are told apart, and the next photo is located", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED });
    for (const [name, words] of [
      ["damaged.jpg", "The photo is damaged"],
      ["text.jpg", "not a photo that can be read"],
      ["empty.jpg", "The file is empty"],
    ] as const) {
      await give(page, name);
      await expect.poll(() => sentence(page), { timeout: 15_000 }).toContain(words);
    }
    await expectAccessible(page);
    await give(page, "palace.jpg");
    expect(await answered(page)).toContain("China");
  });

  test("a file of 30 MB is not sent; a smaller copy of it can be", async ({ open }) => {
    const page = await open(look);
    await give(page, "huge.jpg");
    expect(await sentence(page)).toMatch(/The file has 2[89]\.?\d? MB; the service takes up to 20 MB/);
    await expectAccessible(page);
    await page.getByRole("button", { name: "Send a smaller copy" }).click();
    expect(await answered(page)).toContain("China");
  });

  test("offline, and online again", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED });
    await page.locator(".place span").first().waitFor();
    await page.context().setOffline(true);
    await give(page, "palace.jpg");
    expect(await sentence(page)).toContain("You are offline");
    await expectAccessible(page);
    await page.context().setOffline(false);
    await page.getByRole("button", { name: "Try again" }).click();
    expect(await answered(page)).toContain("China");
  });

  test("a service that is gone, and there again", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED, address: behindWay });
    await page.locator(".place span").first().waitFor();
    way.cut();
    try {
      await give(page, "palace.jpg");
      expect(await sentence(page)).toContain("cannot be reached");
      await expectAccessible(page);
    } finally {
      way.mend();
    }
    await page.getByRole("button", { name: "Try again" }).click();
    expect(await answered(page)).toContain("China");
  });

  test("503 with Retry-After: the page comes back by itself", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED, address: behindWay });
    way.beBusyOnce();
    await give(page, "palace.jpg");
    expect(await sentence(page)).toMatch(/busy or starting[\s\S]*Trying again in [12] s/);
    expect(await answered(page)).toContain("China");
  });

  test("a busy service says so, and is asked again", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED, address: busy });
    await give(page, "palace.jpg", "flower.jpg", "sign.jpg");
    const told = await sentence(page);
    expect(told).toContain("busy");
    expect(told).toMatch(/Trying again in \d+ s/);
    await expectAccessible(page);
    await page.waitForRequest((request) => request.url().includes("/v1/locate"));
  });

  test("a service with keys asks for one, refuses wrong and expired ones, takes the right one", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED, address: locked });
    await give(page, "palace.jpg");
    expect(await sentence(page)).toContain("needs an API key");
    await expectAccessible(page);
    const card = page.locator(".failed");
    for (const each of ["gfx_wrong", keys.expired, keys.right]) {
      const answer = page.waitForResponse((response) => response.url().includes("/v1/locate"));
      await card.getByLabel("API key").fill(each);
      await card.getByRole("button", { name: "Use key" }).click();
      expect((await answer).status()).toBe(each === keys.right ? 200 : 401);
      if (each !== keys.right) expect(await sentence(page)).toContain("missing, wrong or expired");
    }
    expect(await answered(page)).toBe("Cannot tell");
    expect(await page.locator(".verdict").innerText()).toContain("no photos to compare with");
    await page.reload(); // the tab keeps the key
    await give(page, "palace.jpg");
    expect(await answered(page)).toBe("Cannot tell");
    await page.getByRole("link", { name: "Batch" }).click();
    expect(await page.getByRole("alert").innerText()).toContain("takes no jobs");
  });

  test("a key can be given before anything fails, and forgotten", async ({ open }) => {
    const page = await open({ ...look, expected: PROVOKED, address: locked });
    const menu = page.locator(".menu");
    await menu.locator("summary").click();
    await menu.locator("input").fill(keys.right);
    await menu.getByRole("button", { name: "Use key" }).click();
    await give(page, "palace.jpg");
    expect(await answered(page)).toBe("Cannot tell");
    await menu.getByRole("button", { name: "Forget key" }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Galleries" }).click();
    const field = page.locator("#panel").getByLabel("API key");
    await field.fill(keys.right);
    await field.press("Enter");
    await page.getByText("There is no gallery yet").waitFor();
  });
});
