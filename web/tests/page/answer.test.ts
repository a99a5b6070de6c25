/** A photo goes in; the answer and its evidence come out. */
import { describe, expect } from "vitest";

import { answered, expectAccessible, give, hand, LOOKS, photo, test } from "./browser";

describe.each(LOOKS)("at $width px, $colorScheme", (look) => {
  test("the empty page says what to do", async ({ open }) => {
    const page = await open(look);
    expect(await page.getByRole("heading", { name: "Drop photos here" }).isVisible()).toBe(true);
    await page.locator(".place span").first().waitFor();
    await expectAccessible(page);
  });

  test("a photo is located, stage by stage, and the answer explained", async ({ open }) => {
    const page = await open(look);
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
    await neighbour.locator("img").waitFor();
    expect(await panel.locator(".photo polygon").count()).toBeGreaterThan(0);
    expect(await panel.locator(".clues").first().innerText()).toContain("LISBOA");
    expect(await page.locator(".map .pin").isVisible()).toBe(true);
    expect(await page.locator("p.hidden[role=status]").textContent()).toContain("China");
    await expectAccessible(page);
  });

  test("an answer that cannot tell says so, and why", async ({ open }) => {
    const page = await open(look);
    await give(page, "grey.jpg");
    expect(await answered(page)).toBe("Cannot tell");
    const verdict = await page.locator(".verdict").innerText();
    expect(verdict).toMatch(/Nothing in this photo points|Several places would fit/);
    expect(verdict).toContain("Best guess");
    await expectAccessible(page);
  });

  test("photos come in by paste, drop and camera, several at once", async ({ open }) => {
    const page = await open(look);
    await hand(page, "paste", "palace.jpg");
    expect(await answered(page)).toContain("China");
    await hand(page, "drop", "flower.jpg", "sign.jpg");
    await page.locator(".shot .answered").nth(2).waitFor({ timeout: 60_000 });
    expect(await answered(page)).toContain("Germany");
    await page.getByRole("button", { name: "Take a photo" }).click();
    const camera = page.getByRole("dialog");
    await expect.poll(() => camera.locator("video").evaluate((v: HTMLVideoElement) => v.videoWidth))
      .toBeGreaterThan(0);
    await expectAccessible(page);
    await camera.getByRole("button", { name: "Take a photo" }).click();
    await page.locator(".shot .answered").nth(3).waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: /Show sign.jpg/ }).click();
    await expect.poll(() => answered(page)).toContain("China");
    await page.getByRole("button", { name: "Remove flower.jpg" }).click();
    await expect.poll(() => page.locator(".shots li").count()).toBe(3);
    await expectAccessible(page);
  });

  test("the keyboard is enough", async ({ open }) => {
    const page = await open(look);
    const chooser = page.waitForEvent("filechooser"); // waited for early: Chromium is told in time
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain("Skip");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("panel");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await (await chooser).setFiles(photo("palace.jpg"));
    await answered(page);
    const shown = page.locator("h4", { hasText: "What the photo shows" }).locator("+ ul");
    expect(await shown.innerText()).toMatch(/city\s+\d+%/i);
    for (const name of ["What if", "I know where it was", "Time taken"]) {
      const part = page.locator("summary", { hasText: name });
      await part.focus();
      await page.keyboard.press("Enter");
      expect(await part.locator("..").getAttribute("open")).not.toBeNull();
    }
    await page.locator(".neighbours button").first().focus();
    await page.keyboard.press("Enter");
    await page.locator(".menu summary").focus();
    await page.keyboard.press("Enter");
    expect(await page.locator(".menu input").isVisible()).toBe(true);
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator(".menu").getAttribute("open")).toBeNull();
  });
});

test("the first visit loads little, and quickly", async ({ open }) => {
  const page = await open();
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
});
