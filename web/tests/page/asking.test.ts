/** What one can do with an answer: what-if, correcting, sharing, saving; and every way in. */
import { readFileSync } from "node:fs";

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { answered, expectAccessible, give, launch, photo, visit, type Visit } from "./browser";

let browser: Browser;
let here: Visit;
let page: Page;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  here = await visit(browser);
  page = here.page;
});
afterEach(async () => {
  expect(here.complaints).toEqual([]);
  await page.context().close();
});

const open = (name: string) => page.locator("summary", { hasText: name }).click();
const said = () => page.locator(".whatif p[role=status]");

async function saved(button: string): Promise<[name: string, content: Buffer]> {
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: button }).click();
  const file = await coming;
  return [file.suggestedFilename(), readFileSync(await file.path())];
}

test("several photos at once, each to be looked at and removed", async () => {
  await give(page, "palace.jpg", "flower.jpg", "sign.jpg");
  await page.locator(".shot .answered").nth(2).waitFor({ timeout: 60_000 });
  expect(await answered(page)).toContain("China");
  await page.getByRole("button", { name: /Show flower.jpg/ }).click();
  await expect.poll(() => answered(page)).toContain("Germany");
  await expectAccessible(page);
  await page.getByRole("button", { name: "Remove flower.jpg" }).click();
  await expect.poll(() => page.locator(".shots li").count()).toBe(2);
});

test.each(["paste", "drop"])("a photo comes in by %s", async (way) => {
  const bytes = readFileSync(photo("palace.jpg")).toString("base64");
  await page.evaluate(
    ([name, data]) => {
      const binary = atob(data ?? "");
      const content = Uint8Array.from(binary, (character) => character.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([content], "palace.jpg", { type: "image/jpeg" }));
      const more = { bubbles: true, cancelable: true };
      window.dispatchEvent(
        name === "paste"
          ? new ClipboardEvent("paste", { ...more, clipboardData: files })
          : new DragEvent("drop", { ...more, dataTransfer: files }),
      );
    },
    [way, bytes],
  );
  expect(await answered(page)).toContain("China");
});

test("a photo comes in by camera", async () => {
  await page.getByRole("button", { name: "Take a photo" }).click();
  const camera = page.getByRole("dialog");
  await expect.poll(() => camera.locator("video").evaluate((v: HTMLVideoElement) => v.videoWidth))
    .toBeGreaterThan(0);
  await expectAccessible(page);
  await camera.getByRole("button", { name: "Take a photo" }).click();
  await answered(page);
  expect(await page.locator("figcaption").innerText()).toBe("camera.jpg");
});

test("what if: other generators, countries and boxes, and back again", async () => {
  await give(page, "palace.jpg");
  expect(await answered(page)).toContain("China");
  await open("What if");
  const sent: string[] = [];
  page.on("request", (request) => sent.push(request.url()));

  await page.getByLabel("Only in countries").fill("DE");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect.poll(() => said().innerText()).toMatch(/moved by [\d,]+ km/);
  expect(await page.locator(".verdict").innerText()).toContain("Germany");
  await page.getByRole("button", { name: "Back to the first answer" }).click();
  expect(await answered(page)).toContain("China");

  await page.getByLabel("Box: west, south, east, north").fill("-10, 35, 30, 60");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect.poll(() => said().innerText()).toMatch(/moved by/);
  await page.getByRole("button", { name: "Back to the first answer" }).click();

  await page.locator(".whatif").getByLabel("Landscape").uncheck();
  await expect.poll(() => said().innerText()).toMatch(/moved by|did not move/);
  expect(sent.some((url) => url.endsWith("/refine"))).toBe(true);
  expect(sent.some((url) => url.includes("/v1/locate?"))).toBe(false);
  await page.locator(".whatif").getByLabel("second").check();
  await expect.poll(() => said().innerText()).toMatch(/moved by|did not move/);
});

test("what if: a box and a polygon drawn on the map", async () => {
  await give(page, "palace.jpg");
  await answered(page);
  for (let at = 0; at < 12; at++) await page.keyboard.press("-");
  await open("What if");
  const map = (await page.locator(".map").boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const at = (x: number, y: number) => [map.x + map.width * x, map.y + map.height * y] as const;

  await page.getByRole("button", { name: "Draw a box" }).click();
  expect(await page.locator(".task").innerText()).toContain("Drag over the map");
  await page.mouse.move(...at(0.6, 0.2));
  await page.mouse.down();
  await page.mouse.move(...at(0.7, 0.3), { steps: 4 });
  await page.mouse.up();
  await expect.poll(() => said().innerText()).toMatch(/moved by/);
  const box = await page.getByLabel("Box: west").inputValue();
  const [west = 0, south = 0, east = 0, north = 0] = box.split(", ").map(Number);
  expect(west).toBeLessThan(east);
  expect(south).toBeLessThan(north);

  await page.getByRole("button", { name: "Draw a polygon" }).click();
  for (const corner of [at(0.2, 0.2), at(0.4, 0.2), at(0.3, 0.5)]) {
    await page.mouse.click(...corner);
    await page.waitForTimeout(350); // or two clicks would be a double one
  }
  const answer = page.waitForResponse((response) => response.url().endsWith("/refine"));
  await page.keyboard.press("Enter");
  expect((await answer).status()).toBe(200);

  await page.getByRole("button", { name: "Draw a box" }).click();
  await page.keyboard.press("Escape");
  await expect.poll(() => page.locator(".task").count()).toBe(0);
});

test("the truth is told, pointed at on the map or typed", async () => {
  await give(page, "palace.jpg");
  await answered(page);
  await open("I know where it was");
  await page.getByRole("button", { name: "Point on the map" }).click();
  await page.locator(".map").click({ position: { x: 200, y: 200 } });
  await expect.poll(() => page.getByLabel("Latitude").inputValue()).toMatch(/^-?\d+\.\d{5}$/);
  await page.getByLabel("Latitude").fill("39,9999");
  await page.getByLabel("Longitude").fill("116.2755");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText(/Thank you. The answer was .* off. The 90 % radius (held|did not hold)/).waitFor();
});

test("an answer is shared as a link that holds it", async () => {
  await give(page, "palace.jpg");
  const heading = await answered(page);
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.locator(".said", { hasText: "Link copied" }).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toContain("#answer=");
  await page.goto("about:blank");
  const sent: string[] = [];
  page.on("request", (request) => sent.push(request.url()));
  await page.goto(link);
  expect(await answered(page)).toBe(heading);
  expect(await page.getByText("Somebody sent you this answer").isVisible()).toBe(true);
  expect(await page.locator(".map .pin").isVisible()).toBe(true);
  expect(sent.some((url) => url.includes("/v1/"))).toBe(false);
  await expectAccessible(page);
});

test("answers are exported", async () => {
  await give(page, "palace.jpg");
  await answered(page);
  const [, geojson] = await saved("Export as GeoJSON");
  const { features } = JSON.parse(geojson.toString()) as {
    features: { geometry: { type: string }; properties: { photo: string } }[];
  };
  expect(features.map(({ geometry }) => geometry.type)).toEqual(["Point", "Polygon", "Polygon"]);
  const [, kml] = await saved("Export as KML");
  expect(kml.toString()).toContain("<Placemark><name>palace.jpg</name>");
  const [name, csv] = await saved("Export as CSV");
  expect(name).toBe("geofix.csv");
  expect(csv.toString()).toMatch(/^photo,lat,lon,.*\r\npalace.jpg,40\.\d+,116\.\d+/);
});

test("the position goes into a copy of the photo, after it was confirmed", async () => {
  await give(page, "palace.jpg");
  await answered(page);
  await page.getByRole("button", { name: "Write into a copy" }).click();
  expect(await page.getByRole("dialog").innerText()).toContain("It is an estimate");
  await expectAccessible(page);
  const [name, copy] = await saved("Write and save the copy");
  expect(name).toBe("palace-geofix.jpg");
  expect(copy.subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
  expect(copy.includes("Geofix estimate")).toBe(true);
});

test("the page speaks German, and keeps to it", async () => {
  await page.getByLabel("Language").selectOption("de");
  expect(await page.getByRole("heading", { name: "Fotos hier ablegen" }).isVisible()).toBe(true);
  await page.reload();
  await page.getByRole("heading", { name: "Fotos hier ablegen" }).waitFor();
  expect(await page.getAttribute("html", "lang")).toBe("de");
  await give(page, "palace.jpg");
  expect(await answered(page)).toContain("China");
  await expectAccessible(page);
  const english = /\b(the|and|photo|answer|within)\b/i;
  expect(await page.locator("#panel").innerText()).not.toMatch(english);
  expect((await page.context().cookies()).length).toBe(0);
});

test("colours are chosen, and the map follows", async () => {
  const water = () =>
    page.locator(".map canvas").first().evaluate((tile: HTMLCanvasElement) =>
      [...(tile.getContext("2d")?.getImageData(2, 2, 1, 1).data ?? [])].join());
  await page.locator(".place span").first().waitFor();
  const light = await water();
  await page.getByLabel("Colours").selectOption("dark");
  await expect.poll(water).not.toBe(light);
});
