/** The page's five states as pictures, into docs/page/. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, inject, test } from "vitest";

import { answered, give, launch, photo, visit } from "./page/browser";
import { fill, ROOT, start, stop } from "./page/service";

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

async function take(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(1200); // tiles, names and thumbnails
  await page.screenshot({ path: join(ROOT, "docs/page", `${name}.png`) });
}

test("empty", async () => {
  const { page } = await visit(browser, { address });
  await page.locator(".place span").first().waitFor();
  await take(page, "empty");
  await page.context().close();
});

test("locating", async () => {
  const { page } = await visit(browser, { address });
  await give(page, "palace.jpg", "flower.jpg", "sign.jpg");
  await page.locator(".stages li").nth(1).waitFor();
  await page.screenshot({ path: join(ROOT, "docs/page/locating.png") });
  await page.context().close();
});

test("answer with evidence", async () => {
  for (const [name, look] of [
    ["answer", {}],
    ["answer-phone-dark", { width: 390, colorScheme: "dark" as const }],
  ] as const) {
    const { page } = await visit(browser, { address, ...look });
    await give(page, "sign.jpg");
    await answered(page);
    await page.locator(".neighbours img").first().waitFor();
    await page.locator(name === "answer" ? ".evidence" : ".verdict").scrollIntoViewIfNeeded();
    await take(page, name);
    await page.context().close();
  }
});

test("abstention", async () => {
  const { page } = await visit(browser, { address });
  await give(page, "grey.jpg");
  await answered(page);
  await take(page, "abstention");
  await page.context().close();
});

test("batch", async () => {
  const { page } = await visit(browser, { address });
  await page.getByRole("link", { name: "Batch" }).click();
  await page.getByRole("button", { name: "Choose photos or an archive" }).waitFor();
  const names = ["palace.jpg", "flower.jpg", "sign.jpg", "grey.jpg"];
  await page.locator("#panel input[type=file]").setInputFiles(names.map(photo));
  await page.getByRole("heading", { name: "Done", exact: true }).waitFor({ timeout: 120_000 });
  await page.locator("tbody tr").nth(3).waitFor();
  await take(page, "batch");
  await page.context().close();
});
