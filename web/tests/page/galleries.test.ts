/** The galleries: what they hold, where on Earth, and how far a new version of one is. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect } from "vitest";

import { address, expectAccessible, LOOKS, test, type Look, type Open } from "./browser";
import { fillPlaces, post } from "./service";

const PLACES = 1200;
const PACE = 0.02; // so slow that it can be looked at
const ENDS_MS = 200_000;

beforeAll(async () => {
  await fillPlaces(address, "places", PLACES);
  await post(`${address}/v1/galleries/places/reindex`, { quantization: "none", pace: PACE });
});

/** The view of the gallery that is being re-indexed. */
async function openPlaces(open: Open, look?: Look): Promise<Page> {
  const page = await open(look);
  await page.getByRole("link", { name: "Galleries" }).click();
  await page.getByRole("button", { name: /^places/ }).click();
  return page;
}

test("a re-index under way says how far it is, at every width and in every colour", async ({ open }) => {
  const pages = await Promise.all(LOOKS.map((look) => openPlaces(open, look)));
  await Promise.all(pages.map(async (page) => {
    const building = page.locator(".version.building");
    const bar = building.getByRole("progressbar", { name: "Building of version 2" });
    await bar.waitFor({ timeout: 50_000 });
    expect(await building.innerText()).toMatch(/being built[\s\S]*\d+ of 1200 photos encoded anew/);
    expect(await page.locator(".version.active").innerText()).toMatch(/Version 1, geoclip-location\s+in use/);
  }));
  for (const page of pages) await expectAccessible(page);
});

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("galleries tell what they hold and where", async ({ open }) => {
    const page = await open(look);
    await page.getByRole("link", { name: "Galleries" }).click();
    await page.getByRole("button", { name: /^default/ }).click();
    await page.getByRole("heading", { name: "default" }).waitFor();
    const said = await page.locator("#panel").innerText();
    expect(said).toMatch(/12 photos, version 1[\s\S]*China[\s\S]*50%/);
    expect(said).toMatch(/Photos: 12, in cells of about 290 km: [2-4]/);
    expect(said).toMatch(/Version 1, lite\s+in use/);
    await expectAccessible(page);
  });
});

test("the view follows when the new version is used", async ({ open }) => {
  const page = await openPlaces(open);
  await page.locator(".version.active", { hasText: "Version 2" }).waitFor({ timeout: ENDS_MS });
  expect(await page.locator(".version.retired").innerText()).toMatch(/Version 1[\s\S]*kept, to go back to/);
  expect(await page.locator(".version.active").innerText()).toMatch(/search finds .*% of the true neighbours/);
  await page.getByRole("button", { name: /^places.*version 2/s }).waitFor();
}, ENDS_MS + 10_000);
