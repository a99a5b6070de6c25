/** Many photos as a job, and the galleries. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { ChildProcess } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";

import { expectAccessible, launch, photo, visit } from "./browser";
import { fill, start, stop } from "./service";

const data = mkdtempSync(join(tmpdir(), "geofix-page-"));
let browser: Browser;
let service: ChildProcess;
let address: string;
beforeAll(async () => {
  browser = await launch();
  [service, address] = await start(data, {}, "--all");
  await fill(address, inject("photos"));
});
afterAll(async () => {
  await browser.close();
  await stop(service);
  rmSync(data, { recursive: true, force: true });
});

describe.each([
  { width: 390, colorScheme: "dark" as const },
  { width: 1440, colorScheme: "light" as const },
])("at $width px, $colorScheme", (look) => {
  test("a job is sent, followed, looked through and exported", async () => {
    const { page, complaints } = await visit(browser, { ...look, address });
    await page.getByRole("link", { name: "Batch" }).click();
    await page.getByRole("button", { name: "Choose photos or an archive" }).waitFor();
    const names = ["palace.jpg", "flower.jpg", "sign.jpg", "grey.jpg", "damaged.jpg"];
    await page.locator("#panel input[type=file]").setInputFiles(names.map(photo));
    await page.getByRole("heading", { name: "Done", exact: true }).waitFor({ timeout: 120_000 });
    await page.getByText("4 located, 1 failed, of 5").waitFor();
    expect(await page.locator("tbody tr").count()).toBe(4);
    expect(await page.locator("tbody").innerText()).toMatch(/palace.jpg[\s\S]*Berlin, Germany/);
    await expect.poll(() => page.locator(".cluster").count()).toBeGreaterThan(0);
    await expectAccessible(page);

    await page.getByLabel("Only answers that can tell").check();
    await expect.poll(() => page.locator("tbody tr").count()).toBe(3);
    await page.getByLabel("Country").selectOption("DE");
    await expect.poll(() => page.locator("tbody tr").count()).toBe(1);
    await page.getByLabel("Country").selectOption("");
    await page.getByLabel("Search").fill("sign");
    await expect.poll(() => page.locator("tbody tr").count()).toBe(1);

    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export as CSV" }).click();
    const csv = readFileSync(await (await coming).path(), "utf8");
    expect(csv.trim().split("\n")).toHaveLength(5);
    await page.getByRole("button", { name: "Delete" }).click();
    await expect.poll(() => page.locator("tbody tr").count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("galleries tell what they hold and where", async () => {
    const { page, complaints } = await visit(browser, { ...look, address });
    await page.getByRole("link", { name: "Galleries" }).click();
    await page.getByRole("button", { name: /^default/ }).click();
    await page.getByRole("heading", { name: "default" }).waitFor();
    expect(await page.locator("#panel").innerText()).toMatch(/12 photos, version 1[\s\S]*China[\s\S]*50%/);
    await expectAccessible(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

test("a service without jobs says so", async () => {
  const { page } = await visit(browser, { expected: /Failed to load resource/ });
  await page.getByRole("link", { name: "Batch" }).click();
  expect(await page.getByRole("alert").innerText()).toContain("takes no jobs");
  await page.context().close();
});
