/** A photo goes in; the answer and its evidence come out: at every width, in every colour. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { answered, expectAccessible, give, launch, visit } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const LOOKS = [390, 1440].flatMap((width) =>
  (["light", "dark"] as const).map((colorScheme) => ({ width, colorScheme })),
);

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("the empty page says what to do", async () => {
    const { page, complaints } = await visit(browser, look);
    expect(await page.getByRole("heading", { name: "Drop photos here" }).isVisible()).toBe(true);
    await page.locator(".place span").first().waitFor();
    await expectAccessible(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a photo is located, stage by stage, and the answer explained", async () => {
    const { page, complaints } = await visit(browser, look);
    const streamed = page.waitForResponse((response) => response.url().includes("/v1/locate"));
    await give(page, "sign.jpg");
    const response = await streamed;
    expect(response.headers()["content-type"]).toContain("text/event-stream");
    await page.locator(".stages li").filter({ hasText: "Photo understood" }).waitFor();
    expect(await answered(page)).toContain("China");

    const panel = page.locator("#panel");
    expect(await panel.locator(".radii").innerText()).toMatch(/50 %: within .*90 %: within/s);
    expect(await panel.locator(".levels li").allInnerTexts()).toHaveLength(5);
    expect(await panel.locator(".levels").innerText()).toMatch(/City\s*> 99%|City\s*\d+%/);
    const neighbour = panel.locator(".neighbours li").first();
    expect(await neighbour.innerText()).toMatch(/\d+% alike\s+[\d.,]+ k?m from the answer/);
    expect(await neighbour.innerText()).toContain("by danielbuechele");
    expect(await panel.locator(".photo polygon").count()).toBeGreaterThan(0);
    expect(await panel.locator(".clues").first().innerText()).toContain("LISBOA");
    expect(await page.locator(".map .pin").isVisible()).toBe(true);
    expect(await page.locator("p.hidden[role=status]").textContent()).toContain("China");

    await expectAccessible(page);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(sideways).toBeLessThanOrEqual(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("every part can be opened and used by keyboard", async () => {
    const { page, complaints } = await visit(browser, look);
    await give(page, "palace.jpg");
    await answered(page);
    const shown = page.locator("h4", { hasText: "What the photo shows" }).locator("+ ul");
    expect(await shown.innerText()).toMatch(/city\s+\d+%/i);
    for (const name of ["What if", "I know where it was", "Time taken"]) {
      const part = page.locator("summary", { hasText: name });
      await part.focus();
      await page.keyboard.press("Enter");
      expect(await part.locator("..").getAttribute("open")).not.toBeNull();
    }
    await page.locator(".menu summary").focus();
    await page.keyboard.press("Enter");
    await expectAccessible(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

test("an answer that cannot tell says so, and why", async () => {
  const { page, complaints } = await visit(browser, {});
  await give(page, "grey.jpg");
  expect(await answered(page)).toBe("Cannot tell");
  const verdict = await page.locator(".verdict").innerText();
  expect(verdict).toMatch(/Nothing in this photo points|Several places would fit/);
  expect(verdict).toContain("Best guess");
  expect(complaints).toEqual([]);
  await page.context().close();
});

test("the first visit loads little, and quickly", async () => {
  const { page } = await visit(browser, {});
  await page.locator(".place span").first().waitFor();
  const { bytes, interactiveMs } = await page.evaluate(() => {
    const entries = [
      ...performance.getEntriesByType("navigation"),
      ...performance.getEntriesByType("resource"),
    ] as PerformanceResourceTiming[];
    const [visitTiming] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    return {
      bytes: entries.reduce((sum, { transferSize }) => sum + transferSize, 0),
      interactiveMs: visitTiming?.domInteractive ?? Infinity,
    };
  });
  expect(bytes).toBeLessThan(400_000);
  expect(bytes).toBeGreaterThan(50_000);
  expect(interactiveMs).toBeLessThan(5_000); // that it takes 1 s is measured, not tested
  await page.context().close();
});
