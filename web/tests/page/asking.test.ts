/** What one can do with an answer: what-if, correcting, sharing, saving; in other words and colours. */
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";

import { answered, expectAccessible, give, LOOKS, saved, test } from "./browser";

const unfold = (page: Page, name: string) => page.locator("summary", { hasText: name }).click();
const said = (page: Page) => page.locator(".whatif p[role=status]");
const press = (page: Page, name: string) => page.getByRole("button", { name }).click();

/** Points on the map, by shares of its width and height; the map is scrolled to first. */
async function onMap(page: Page): Promise<(x: number, y: number) => readonly [number, number]> {
  const map = page.locator(".map");
  await map.scrollIntoViewIfNeeded();
  const box = (await map.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  return (x, y) => [box.x + box.width * x, box.y + box.height * y] as const;
}

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("what if: other generators, countries, boxes and galleries, and back again", async ({ open }) => {
    const page = await open(look);
    await give(page, "palace.jpg");
    expect(await answered(page)).toContain("China");
    await unfold(page, "What if");
    const sent: string[] = [];
    page.on("request", (request) => sent.push(request.url()));

    await page.getByLabel("Only in countries").fill("DE");
    await press(page, "Apply");
    await expect.poll(() => said(page).innerText()).toMatch(/moved by [\d,]+ km/);
    expect(await page.locator(".verdict").innerText()).toContain("Germany");
    await press(page, "Back to the first answer");
    expect(await answered(page)).toContain("China");

    await page.getByLabel("Box: west, south, east, north").fill("-10, 35, 30, 60");
    await press(page, "Apply");
    await expect.poll(() => said(page).innerText()).toMatch(/moved by/);
    await press(page, "Back to the first answer");
    await page.getByLabel("Box: west, south, east, north").fill("1, 2");
    await press(page, "Apply");
    expect(await page.locator(".whatif [role=alert]").innerText()).toContain("four numbers");
    await page.getByLabel("Box: west, south, east, north").fill("");

    await page.locator(".whatif").getByLabel("Landscape").uncheck();
    await expect.poll(() => said(page).innerText()).toMatch(/moved by|did not move/);
    await page.locator(".whatif").getByLabel("second").check();
    await expect.poll(() => said(page).innerText()).toMatch(/moved by|did not move/);
    expect(sent.some((url) => url.endsWith("/refine"))).toBe(true);
    expect(sent.some((url) => url.includes("/v1/locate?"))).toBe(false);
  });

  test("what if: a box and a polygon drawn on the map", async ({ open }) => {
    const page = await open(look);
    await give(page, "palace.jpg");
    await answered(page);
    for (let at = 0; at < 12; at++) await page.keyboard.press("-");
    await unfold(page, "What if");

    await press(page, "Draw a box");
    expect(await page.locator(".task").innerText()).toContain("Drag over the map");
    let at = await onMap(page);
    await page.mouse.move(...at(0.6, 0.2));
    await page.mouse.down();
    await page.mouse.move(...at(0.7, 0.3), { steps: 4 });
    await page.mouse.up();
    await expect.poll(() => said(page).innerText()).toMatch(/moved by/);
    const box = await page.getByLabel("Box: west").inputValue();
    const [west = 0, south = 0, east = 0, north = 0] = box.split(", ").map(Number);
    expect(west).toBeLessThan(east);
    expect(south).toBeLessThan(north);

    await press(page, "Draw a polygon");
    at = await onMap(page);
    for (const corner of [at(0.2, 0.2), at(0.4, 0.2), at(0.3, 0.5)]) {
      await page.mouse.click(...corner);
      await page.waitForTimeout(350); // or two clicks would be a double one
    }
    const answer = page.waitForResponse((response) => response.url().endsWith("/refine"));
    await page.keyboard.press("Enter");
    expect((await answer).status()).toBe(200);
    await expectAccessible(page);

    await press(page, "Draw a box");
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator(".task").count()).toBe(0);
  });

  test("the truth is told, pointed at on the map or typed", async ({ open }) => {
    const page = await open(look);
    await give(page, "palace.jpg");
    await answered(page);
    await unfold(page, "I know where it was");
    await press(page, "Point on the map");
    const at = await onMap(page);
    await page.mouse.click(...at(0.4, 0.4));
    await expect.poll(() => page.getByLabel("Latitude").inputValue()).toMatch(/^-?\d+\.\d{5}$/);
    await page.getByLabel("Latitude").fill("39,9999");
    await page.getByLabel("Longitude").fill("116.2755");
    await press(page, "Send");
    await page.getByText(/Thank you. The answer was .* off. The 90 % radius (held|did not hold)/).waitFor();
    await expectAccessible(page);
  });

  test("an answer is shared as a link that holds it", async ({ open }) => {
    const page = await open(look);
    await give(page, "palace.jpg");
    const heading = await answered(page);
    await press(page, "Copy link");
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
    const [, csv] = await saved(page, "Export as CSV");
    expect(csv.toString()).toMatch(/^photo,lat,lon,.*\r\npalace.jpg,/);
  });

  test("answers are exported, and written into a copy of the photo once confirmed", async ({ open }) => {
    const page = await open(look);
    await give(page, "palace.jpg");
    await answered(page);
    const [, geojson] = await saved(page, "Export as GeoJSON");
    const { features } = JSON.parse(geojson.toString()) as {
      features: { geometry: { type: string }; properties: { photo: string } }[];
    };
    expect(features.map(({ geometry }) => geometry.type)).toEqual(["Point", "Polygon", "Polygon"]);
    const [, kml] = await saved(page, "Export as KML");
    expect(kml.toString()).toContain("<Placemark><name>palace.jpg</name>");
    const [csvName, csv] = await saved(page, "Export as CSV");
    expect(csvName).toBe("geofix.csv");
    expect(csv.toString()).toMatch(/^photo,lat,lon,.*\r\npalace.jpg,40\.\d+,116\.\d+/);

    await press(page, "Write into a copy");
    expect(await page.getByRole("dialog").innerText()).toContain("It is an estimate");
    await expectAccessible(page);
    const [name, copy] = await saved(page, "Write and save the copy");
    expect(name).toBe("palace-geofix.jpg");
    expect(copy.subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
    expect(copy.includes("Geofix estimate")).toBe(true);
  });

  test("the page speaks German, and keeps to it", async ({ open }) => {
    const page = await open(look);
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
  });

  test("colours are chosen, and the map follows", async ({ open }) => {
    const page = await open(look);
    const water = () =>
      page.locator(".map canvas").first().evaluate((tile: HTMLCanvasElement) =>
        [...(tile.getContext("2d")?.getImageData(2, 2, 1, 1).data ?? [])].join());
    await page.locator(".place span").first().waitFor();
    const before = await water();
    const other = look.colorScheme === "dark" ? "light" : "dark";
    await page.getByLabel("Colours").selectOption(other);
    await expect.poll(water).not.toBe(before);
    await expectAccessible(page);
  });
});
