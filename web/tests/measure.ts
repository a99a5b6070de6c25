/** How much the first visit loads, how soon the page can be used, and how smooth 10 000 results are. */
import type { CDPSession, Page } from "playwright-core";
import { expect } from "vitest";

import { test } from "./page/browser";

const RUNS = 5;
const RESULTS = 10_000;

/** When the page showed what to do and no task of more than 50 ms came after, from its first byte. */
async function interactiveMs(page: Page): Promise<number> {
  await page.locator(".place span").first().waitFor();
  await page.waitForTimeout(1500); // for whatever long task is still to come
  return page.evaluate(() => {
    const { shown, longTasks } = window as unknown as { shown: number; longTasks: number[] };
    return Math.max(shown, ...longTasks);
  });
}

/** Runs in the page before its own code. */
function watch(): void {
  const seen = { shown: NaN, longTasks: [] as number[] };
  Object.assign(window, seen);
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) seen.longTasks.push(startTime + duration);
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (document.querySelector(".intake button.primary") && document.querySelector(".leaflet-tile")) {
      Object.assign(window, { shown: performance.now() });
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

test("first visit", async ({ open }) => {
  const warm = await open(); // the service reads the page's files and its gazetteer once
  await warm.locator(".place span").first().waitFor();
  const times: number[] = [];
  let bytes = 0;
  for (let run = 0; run < RUNS; run++) {
    const page = await open({ before: watch });
    times.push(Math.round(await interactiveMs(page)));
    bytes = await page.evaluate(() =>
      [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).transferSize, 0));
  }
  times.sort((a, b) => a - b);
  console.log(`first visit: ${bytes} bytes compressed; interactive after ${times.join(", ")} ms`);
  expect(bytes).toBeLessThan(400_000);
});

interface TraceEvent {
  name: string;
  ts: number;
  args?: { data?: { type?: string } };
}

test("10 000 results", async ({ open }) => {
  const page = await open({ hasTouch: true });
  await openResults(page);
  const client = await page.context().newCDPSession(page);
  const map = (await page.locator(".map").boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const middle = { x: Math.round(map.x + map.width / 2), y: Math.round(map.y + map.height / 2) };
  const pinch = (scaleFactor: number) => () => client.send("Input.synthesizePinchGesture", {
    ...middle, scaleFactor, relativeSpeed: 300, gestureSourceType: "touch" });
  const turnWheel = async () => {
    for (const way of [-1, -1, -1, 1, 1, 1]) {
      await page.mouse.wheel(0, 240 * way);
      await page.waitForTimeout(350);
    }
  };
  for (const [name, gesture] of [
    ["pan", () => drag(page, client, middle)],
    ["wheel", turnWheel],
    ["pinch in", pinch(4)],
    ["pan closer", () => drag(page, client, middle)],
    ["pinch out", pinch(0.25)],
  ] as const) {
    const { frames, seconds, late } = await traced(client, gesture);
    console.log(`10 000 results, ${name}: ${(frames / seconds).toFixed(0)} frames/s for ` +
      `${seconds.toFixed(1)} s, ${(100 * late).toFixed(0)} % of it in frames of more than 33 ms`);
    expect(frames).toBeGreaterThan(10);
    await page.waitForTimeout(1000);
  }
});

/** A mouse that drags the map to and fro, moving 60 times a second whatever the page does. */
async function drag(page: Page, client: CDPSession, { x, y }: { x: number; y: number }): Promise<void> {
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let step = 0; step < 180; step++) {
    void client.send("Input.dispatchMouseEvent", { type: "mouseMoved", button: "left", buttons: 1,
      x: x + Math.round(250 * Math.sin(step / 15)), y: y + Math.round(step / 2) });
    await page.waitForTimeout(16);
  }
  await page.mouse.up();
}

const ASKED = new Set(["pointerdown", "pointermove", "mousedown", "mousemove", "touchmove", "wheel"]);

/** The frames that Chromium drew from the first movement to the last, as its trace has them. */
async function traced(client: CDPSession, gesture: () => Promise<unknown>) {
  const events: TraceEvent[] = [];
  const collect = ({ value }: { value: unknown }) => events.push(...(value as TraceEvent[]));
  client.on("Tracing.dataCollected", collect);
  await client.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: {
      includedCategories: ["disabled-by-default-devtools.timeline.frame", "devtools.timeline"],
    },
  });
  await gesture();
  const ended = new Promise((done) => client.once("Tracing.tracingComplete", done));
  await client.send("Tracing.end");
  await ended;
  client.off("Tracing.dataCollected", collect);
  const moves = events
    .filter(({ name, args }) => name === "EventDispatch" && ASKED.has(args?.data?.type ?? ""))
    .map(({ ts }) => ts);
  const [began, over] = [Math.min(...moves), Math.max(...moves)];
  const drawn = events
    .filter(({ name, ts }) => name === "DrawFrame" && ts >= began && ts <= over)
    .map(({ ts }) => ts)
    .sort((a, b) => a - b);
  const gaps = [...drawn, over].map((ts, at) => (ts - (drawn[at - 1] ?? began)) / 1e6);
  const late = gaps.filter((gap) => gap > 1 / 30).reduce((sum, gap) => sum + gap, 0);
  const seconds = (over - began) / 1e6;
  return { frames: drawn.length, seconds, late: late / seconds };
}

/** The view of a job that nobody ran: only what is drawn is measured. */
async function openResults(page: Page): Promise<void> {
  const job = { id: "measured", state: "completed", created_at: "2026-01-01T00:00:00Z", eta: null,
    request_counts: { total: RESULTS, completed: RESULTS, failed: 0 } };
  const features = Array.from({ length: RESULTS }, (_, index) => {
    const lat = (Math.asin(2 * ((index * 0.569840291) % 1) - 1) * 180) / Math.PI; // evenly spread
    const lon = 360 * ((index * 0.754877666) % 1) - 180;
    const properties = { index, custom_id: `photo-${index}.jpg`, lat, lon, radius_50_km: 5,
      radius_90_km: 50, abstained: "", country: "FR", region: "", city: "" };
    return { type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties };
  });
  await page.route("**/v1/jobs?*", (route) => route.fulfill({ json: { data: [job] } }));
  await page.route("**/v1/jobs/measured", (route) => route.fulfill({ json: job }));
  await page.route("**/v1/jobs/measured/events", (route) => route.fulfill({ status: 204 }));
  await page.route("**/v1/jobs/measured/results*", (route) => route.fulfill({ json: { features } }));
  await page.getByRole("link", { name: "Batch" }).click();
  await page.getByLabel("Jobs").selectOption("measured");
  await page.getByText(/Results: 10,?000 of 10,?000/).waitFor();
  await page.waitForTimeout(1500); // tiles and names
}
