/** Many photos as a job. */
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";

import { expectAccessible, hand, LOOKS, photo, saved, test, type Look, type Open } from "./browser";

const PHOTOS = ["palace.jpg", "flower.jpg", "sign.jpg", "grey.jpg", "damaged.jpg"];

async function openBatch(open: Open, look: Look): Promise<Page> {
  const page = await open(look);
  await page.getByRole("link", { name: "Batch" }).click();
  await page.getByRole("button", { name: "Choose files" }).waitFor();
  return page;
}

/** A cluster is on the map, and parts when it is clicked. */
async function expectClusters(page: Page): Promise<void> {
  const place = () => page.locator(".leaflet-overlay-pane canvas").evaluate((sheet: HTMLCanvasElement) => {
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)).join();
    const pixels = sheet.getContext("2d")?.getImageData(0, 0, sheet.width, sheet.height).data ?? [];
    const { left, top, width } = sheet.getBoundingClientRect();
    const map = document.querySelector(".map")?.getBoundingClientRect();
    for (let at = 0; at < pixels.length; at += 4) {
      if ([...pixels.slice(at, at + 3)].join() !== wanted) continue;
      const [x, y] = [(at / 4) % sheet.width, Math.floor(at / 4 / sheet.width)];
      const scale = width / sheet.width;
      const [over, down] = [left + x * scale, top + y * scale + 3];
      if (map && over > map.left && over < map.right && down > map.top && down < map.bottom) return [over, down] as const;
    }
    return null;
  });
  await page.locator(".map").scrollIntoViewIfNeeded();
  await expect.poll(place).not.toBeNull();
  const scale = page.locator(".leaflet-control-scale-line");
  const before = await scale.innerText();
  const clicked = async () => {
    const [x, y] = (await place()) ?? [0, 0]; // the map may still be moving to its results
    await page.mouse.click(x, y);
    return scale.innerText();
  };
  await expect.poll(clicked, { interval: 500 }).not.toBe(before);
}

const done = (page: Page) =>
  page.getByRole("heading", { name: "Done", exact: true }).waitFor({ timeout: 60_000 });

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("a job is sent, followed, looked through and exported", async ({ open }) => {
    const page = await openBatch(open, look);
    const events = page.waitForResponse((response) => response.url().endsWith("/events"));
    await page.locator("#panel input[type=file]").setInputFiles(PHOTOS.map(photo));
    expect((await events).headers()["content-type"]).toContain("text/event-stream");
    await done(page);
    await page.getByText("4 located, 1 failed, of 5").waitFor();
    const rows = page.locator("tbody tr");
    await expect.poll(() => rows.count()).toBe(4);
    expect(await page.locator("tbody").innerText()).toMatch(/palace.jpg[\s\S]*Berlin, Germany/);
    await expectClusters(page);
    await page.getByText("Photos that failed: 1").click();
    expect(await page.locator("details .clues").innerText()).toMatch(/damaged.jpg: The photo is damaged/);
    await expectAccessible(page);

    await page.getByLabel("Only answers that can tell").check();
    await expect.poll(() => rows.count()).toBe(3);
    await page.getByLabel("Country").selectOption("DE");
    await expect.poll(() => rows.count()).toBe(1);
    await page.getByLabel("Country").selectOption("");
    await page.getByLabel("Search").fill("sign");
    await expect.poll(() => rows.count()).toBe(1);

    for (const [format, told] of [
      ["CSV", /^index,custom_id,[\s\S]*palace\.jpg/],
      ["NDJSON", /^\{.*"custom_id": ?"palace\.jpg"/],
      ["GEOJSON", /"FeatureCollection"/],
    ] as const) {
      const [, content] = await saved(page, `Export as ${format}`);
      expect(content.toString()).toMatch(told);
    }
    await page.getByRole("button", { name: "Delete" }).click();
    await expect.poll(() => rows.count()).toBe(0);
  });

  test("a zip, a tar and a list in NDJSON become jobs, picked or dropped", async ({ open }) => {
    const page = await openBatch(open, { ...look, expected: /Failed to load resource/ });
    for (const [name, located] of [
      ["photos.zip", "1 located, 1 failed, of 2"],
      ["photos.tar", "2 located, 0 failed, of 2"],
      ["photos.ndjson", "3 located, 0 failed, of 3"],
    ] as const) {
      if (name === "photos.zip") await hand(page, "drop", name);
      else await page.locator("#panel input[type=file]").setInputFiles(photo(name));
      await page.getByText(located).waitFor({ timeout: 60_000 });
    }
    expect(await page.getByText("Files of the archive that are no photos").count()).toBe(0);
    await page.locator("#panel input[type=file]").setInputFiles(photo("broken.zip"));
    expect(await page.locator("#panel [role=alert]").innerText()).toContain("The archive cannot be used");
    await page.locator("#panel input[type=file]").setInputFiles(photo("broken.ndjson"));
    await page.getByText("The service cannot use this: Line 2").waitFor();
    await page.getByLabel("Jobs").selectOption({ index: 1 });
    await done(page);
    await expectAccessible(page);
  });

  test("an archive among single photos is told where to go", async ({ open }) => {
    const page = await open(look);
    await hand(page, "drop", "photos.zip");
    expect(await page.locator(".failed[role=alert]").innerText()).toContain("Open Batch");
  });
});
