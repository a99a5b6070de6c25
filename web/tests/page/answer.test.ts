/** A photo goes in; the answer, its evidence and everything one can do with it come out. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Browser } from "playwright-core";

import { answered, expectAccessible, give, launch, visit } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe.each([
  { width: 390, colorScheme: "light" as const },
  { width: 390, colorScheme: "dark" as const },
  { width: 1440, colorScheme: "light" as const },
  { width: 1440, colorScheme: "dark" as const },
])("at $width px, $colorScheme", (look) => {
  test("a photo is located and the answer explained", async () => {
    const { page, complaints } = await visit(browser, look);
    await expectAccessible(page);
    await page.screenshot({ path: `/tmp/scratch-refine/empty-${look.width}-${look.colorScheme}.png` });
    await give(page, "sign.jpg");
    await answered(page);
    await page.waitForTimeout(1500);
    await page.screenshot({ path: `/tmp/scratch-refine/answer-${look.width}-${look.colorScheme}.png`, fullPage: true });
    await expectAccessible(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});
