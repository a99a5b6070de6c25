/** The page's states as pictures, into docs/page/. */
import { join } from "node:path";

import type { Page } from "playwright-core";
import { beforeAll } from "vitest";

import { address, answered, give, photo, test } from "./page/browser";
import { fillPlaces, post, ROOT } from "./page/service";

beforeAll(async () => {
  await fillPlaces(address, "places", 2000);
  await post(`${address}/v1/galleries/places/reindex`, { quantization: "none", pace: 0.02 });
});

async function take(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(1200); // tiles, names and thumbnails
  await page.screenshot({ path: join(ROOT, "docs/page", `${name}.png`) });
}

test("galleries", async ({ open }) => {
  const page = await open({ colorScheme: "dark" });
  await page.getByRole("link", { name: "Galleries" }).click();
  await page.getByRole("button", { name: /^places/ }).click();
  await page.locator(".version.building", { hasText: /[1-9]\d* of 2000/ }).waitFor({ timeout: 60_000 });
  await take(page, "galleries");
});

test("empty", async ({ open }) => {
  const page = await open();
  await page.locator(".place span").first().waitFor();
  await take(page, "empty");
});

test("locating", async ({ open }) => {
  const page = await open();
  await give(page, "palace.jpg", "flower.jpg", "sign.jpg");
  await page.locator(".stages li").nth(1).waitFor();
  await page.screenshot({ path: join(ROOT, "docs/page/locating.png") });
});

test("answer with evidence", async ({ open }) => {
  for (const [name, look] of [
    ["answer", {}],
    ["answer-phone-dark", { width: 390, colorScheme: "dark" as const }],
  ] as const) {
    const page = await open(look);
    await give(page, "sign.jpg");
    await answered(page);
    await page.locator(".neighbours img").first().waitFor();
    await page.locator(name === "answer" ? ".evidence" : ".verdict").scrollIntoViewIfNeeded();
    await take(page, name);
  }
});

test("abstention", async ({ open }) => {
  const page = await open();
  await give(page, "grey.jpg");
  await answered(page);
  await take(page, "abstention");
});

test("batch", async ({ open }) => {
  const page = await open();
  await page.getByRole("link", { name: "Batch" }).click();
  await page.getByRole("button", { name: "Choose files" }).waitFor();
  const pieces = ["palace", "flower"].flatMap((name) => [0, 1, 2, 3, 4, 5].map((at) => `${name}-${at}.jpg`));
  const names = ["palace.jpg", "flower.jpg", "sign.jpg", "grey.jpg", "damaged.jpg", ...pieces];
  await page.locator("#panel input[type=file]").setInputFiles(names.map(photo));
  await page.getByRole("heading", { name: "Done", exact: true }).waitFor({ timeout: 120_000 });
  await page.locator("tbody tr").nth(3).waitFor();
  await take(page, "batch");
});
