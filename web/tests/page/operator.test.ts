/** What an operator sets: a language model to be asked, and map tiles of their own. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject } from "vitest";

import { answered, expectAccessible, give, LOOKS, test, type Open } from "./browser";
import { Model } from "./model";
import { fill, start, stop } from "./service";
import { GREEN, Tiles } from "./tiles";

const CREDIT = "Tiles by the operator";
const model = new Model();
const tiles = new Tiles();
const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), "geofix-page-")));
const started: ChildProcess[] = [];
let tilesAt: string;
let withModel: string;
let withArchive: string;

beforeAll(async () => {
  const [modelAt, at] = await Promise.all([model.open(), tiles.open()]);
  tilesAt = at;
  [withModel, withArchive] = await Promise.all([
    another(folders[0] ?? "", {
      GEOFIX_CACHE_S: "0",
      GEOFIX_LMM_BASE_URL: modelAt,
      GEOFIX_LMM_MODEL: "seer-7b",
      GEOFIX_LMM_PROMPTS: '[{"references": 0, "n": 3}, {"references": 5, "n": 1}]',
      GEOFIX_LMM_CACHE_SIZE: "0",
      GEOFIX_LMM_INPUT_USD: "10",
      GEOFIX_LMM_OUTPUT_USD: "100",
      GEOFIX_PAGE_TILES: `${tilesAt}/{z}/{x}/{y}.png`,
      GEOFIX_PAGE_TILES_ATTRIBUTION: CREDIT,
    }),
    another(folders[1] ?? "", {
      GEOFIX_PAGE_TILES: `${tilesAt}/world.pmtiles`,
      GEOFIX_PAGE_TILES_ATTRIBUTION: CREDIT,
    }),
  ]);
  await fill(withModel, inject("photos"));
});
afterAll(async () => {
  await Promise.all([model.close(), tiles.close(), ...started.map(stop)]);
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

async function another(data: string, settings: NodeJS.ProcessEnv): Promise<string> {
  const [service, at] = await start(data, settings);
  started.push(service);
  return at;
}

/** The page's policy holds its own origin and the tiles', and nothing inline. */
async function openTiled(open: Open, look: object, at: string): Promise<Page> {
  const page = await open({ ...look, address: at, tiles: tilesAt });
  const policy = (await page.request.get(at)).headers()["content-security-policy"] ?? "";
  expect(policy).toContain(`img-src 'self' blob: data: ${tilesAt};`);
  expect(policy).toContain("script-src 'self';");
  expect(policy).not.toContain("unsafe");
  return page;
}

/** The colour of the map on the screen, away from names and controls. */
async function colour(page: Page): Promise<number[]> {
  const shot = await page.locator(".map").screenshot();
  return page.evaluate(async (png) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    const sheet = document.createElement("canvas").getContext("2d");
    sheet?.drawImage(picture, -picture.width / 2, -12);
    return [...(sheet?.getImageData(0, 0, 1, 1).data ?? [])].slice(0, 3);
  }, shot.toString("base64"));
}

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("tiles by their address are shown, with their credit", async ({ open }) => {
    const page = await openTiled(open, look, withModel);
    await page.locator("img.leaflet-tile-loaded").first().waitFor();
    await expect.poll(() => page.locator(".leaflet-control-attribution").innerText()).toContain(CREDIT);
    await expect.poll(() => colour(page)).toEqual([...GREEN]);
    await expectAccessible(page);
  });

  test("tiles out of a PMTiles archive are shown, with their credit", async ({ open }) => {
    const page = await openTiled(open, look, withArchive);
    await expect.poll(() => page.locator(".leaflet-control-attribution").innerText()).toContain(CREDIT);
    await expect.poll(() => colour(page), { timeout: 10_000 }).toEqual([...GREEN]);
    await expectAccessible(page);
  });

  test("what a language model said is told with its model and its price", async ({ open }) => {
    const page = await openTiled(open, look, withModel);
    await give(page, "grey.jpg"); // nothing to see: worth a question
    await answered(page);
    const said = page.locator("h4", { hasText: "What the language model said" });
    const statement = said.locator("+ ul li").first();
    expect(await statement.innerText()).toMatch(/Lisbon, PT seer-7b, times: 3, agreement \d+%/);
    const panel = page.locator("#panel");
    expect(await panel.innerText()).toContain("Statements that named no usable place: 1");
    expect(await panel.innerText()).toMatch(/seer-7b · direct-0 · answered · .* · 1,?150 tokens · \$0\.025/);
    await expectAccessible(page);

    await page.locator("summary", { hasText: "What if" }).click();
    await page.locator(".whatif").getByLabel("Language model").uncheck();
    await expect.poll(() => page.locator(".whatif p[role=status]").innerText()).toMatch(/moved|did not move/);
    expect(await said.count()).toBe(0);
  });

  test("a photo that is plain to see is not paid for", async ({ open }) => {
    const page = await openTiled(open, look, withModel);
    const before = model.asked;
    await give(page, "flower.jpg");
    expect(await answered(page)).toContain("Germany");
    expect(model.asked).toBe(before);
    await page.locator(".verdict").waitFor();
    expect(await page.locator("#panel").innerText()).not.toContain("What the language model said");
  });
});
