/** How much the first visit loads, how soon the page can be used, and how smooth 10 000 results are. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { answered, give, launch, visit } from "./page/browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

interface TraceEvent {
  name: string;
  ts: number;
  ph: string;
}

test("first visit", async () => {
  const { page: warm } = await visit(browser, {}); // the service reads the page's files once
  await warm.context().close();
  const { page } = await visit(browser, {});
  await page.locator(".place span").first().waitFor();
  const said = await page.evaluate(() => {
    const loaded = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
    const [first] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    const bytes = loaded.reduce((sum, { transferSize }) => sum + transferSize, first?.transferSize ?? 0);
    return { bytes, interactiveMs: Math.round(first?.domContentLoadedEventEnd ?? NaN) };
  });
  console.log(`first load: ${said.bytes} bytes compressed, interactive after ${said.interactiveMs} ms`);
  expect(said.bytes).toBeLessThan(400_000);
  await page.context().close();
});

test("10 000 results", async () => {
  const { page } = await visit(browser, {});
  await give(page, "palace.jpg");
  await answered(page);
  const job = { id: "measured", state: "completed", created_at: "2026-01-01T00:00:00Z", eta: null,
    request_counts: { total: 10_000, completed: 10_000, failed: 0 } };
  const features = Array.from({ length: 10_000 }, (_, index) => {
    const lat = (Math.asin(2 * ((index * 0.618034) % 1) - 1) * 180) / Math.PI;
    const lon = ((index * 137.508) % 360) - 180;
    const properties = { index, custom_id: `photo-${index}.jpg`, lat, lon, radius_50_km: 5,
      radius_90_km: 50, abstained: "", country: "FR", region: "", city: "" };
    return { type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties };
  });
  // Only what is drawn is measured: the results of a job that nobody ran.
  await page.route("**/v1/jobs?*", (route) => route.fulfill({ json: { data: [job] } }));
  await page.route("**/v1/jobs/measured", (route) => route.fulfill({ json: job }));
  await page.route("**/v1/jobs/measured/events", (route) => route.fulfill({ status: 204 }));
  await page.route("**/v1/jobs/measured/results*", (route) => route.fulfill({ json: { features } }));
  await page.getByRole("link", { name: "Batch" }).click();
  await page.getByLabel("Jobs").selectOption("measured");
  await page.getByText("Results: 10,000 of 10,000").or(page.getByText("Results: 10000 of 10000")).waitFor();

  const events: TraceEvent[] = [];
  const client = await page.context().newCDPSession(page);
  client.on("Tracing.dataCollected", ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  await client.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline.frame"] },
  });
  const map = (await page.locator(".map").boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const [x, y] = [map.x + map.width / 2, map.y + map.height / 2];
  for (const turn of [1, -1, 1]) {
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (let step = 1; step <= 40; step++) {
      await page.mouse.move(x + turn * step * 5, y + step, { steps: 1 });
      await page.waitForTimeout(12);
    }
    await page.mouse.up();
    await page.mouse.wheel(0, -240 * turn);
    await page.waitForTimeout(600);
  }
  const ended = new Promise((done) => client.once("Tracing.tracingComplete", done));
  await client.send("Tracing.end");
  await ended;
  const drawn = events.filter(({ name }) => name === "DrawFrame").map(({ ts }) => ts).sort((a, b) => a - b);
  const gaps = drawn.slice(1).map((ts, at) => (ts - (drawn[at] ?? ts)) / 1000).filter((ms) => ms < 400);
  const fps = 1000 / (gaps.reduce((sum, ms) => sum + ms, 0) / gaps.length);
  const slow = gaps.filter((ms) => ms > 1000 / 30).length / gaps.length;
  console.log(`10 000 results: ${fps.toFixed(0)} frames/s, ${(100 * slow).toFixed(0)} % of frames later than 33 ms`);
  expect(gaps.length).toBeGreaterThan(30);
  await page.context().close();
});
