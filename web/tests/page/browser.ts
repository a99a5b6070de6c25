/** Debian's Chromium on the live page. Whatever the page should not do fails the test it does it in. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { expect, inject, test as base } from "vitest";

export const address = inject("address");
export const photo = (name: string) => join(inject("photos"), name);

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Every feature is tried at both widths, in light and in dark. */
export const LOOKS = [390, 1440].flatMap((width) =>
  (["light", "dark"] as const).map((colorScheme) => ({ width, colorScheme })),
);

export interface Look extends BrowserContextOptions {
  width?: number;
  /** Failures that a test provokes, and the browser's console reports. */
  expected?: RegExp;
  /** Another service than the tests' own. */
  address?: string;
  /** Where the operator's map tiles come from, as the service's setting says. */
  tiles?: string;
  /** Runs in the page before its own code. */
  before?: () => void;
}

export type Open = (look?: Look) => Promise<Page>;

/**
 * `open` shows the page. Afterwards the console has told of no error, no exception went uncaught,
 * no request has left the origin, and no cookie was set.
 */
export const test = base.extend<{ browser: Browser; open: Open }>({
  browser: [
    // eslint-disable-next-line no-empty-pattern -- Vitest wants the pattern
    async ({}, use) => {
      const browser = await chromium.connect(inject("browser"));
      await use(browser);
      await browser.close();
    },
    { scope: "file" },
  ],
  open: async ({ browser }, use) => {
    const visits: [Page, string[]][] = [];
    await use(async (look = {}) => {
      const visit = await visited(browser, look);
      visits.push(visit);
      return visit[0];
    });
    for (const [page, complaints] of visits) {
      const cookies = await page.context().cookies();
      await page.context().close();
      expect(complaints).toEqual([]);
      expect(cookies).toEqual([]);
    }
  },
});

async function visited(browser: Browser, look: Look): Promise<[Page, string[]]> {
  const { width = 1440, expected, address: at = address, tiles, before, ...options } = look;
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 844 : 900 },
    locale: "en-GB",
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !expected?.test(message.text())) {
      complaints.push(`${message.text()} ${message.location().url}`);
    }
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    const isOurs = origin === at || (origin === tiles && request.resourceType() !== "script");
    if (protocol.startsWith("http") && !isOurs) complaints.push(request.url());
  });
  if (before) await page.addInitScript(before);
  await page.goto(at);
  await page.locator(".intake button.primary").waitFor();
  return [page, complaints];
}

export async function give(page: Page, ...names: string[]): Promise<void> {
  await page.locator("input[type=file][multiple]").setInputFiles(names.map(photo));
}

/** Hand files to the page as a drop or a paste does. */
export async function hand(page: Page, way: "paste" | "drop", ...names: string[]): Promise<void> {
  const files = names.map((name) => [name, readFileSync(photo(name)).toString("base64")] as const);
  await page.evaluate(
    ([how, given]) => {
      const data = new DataTransfer();
      for (const [name, content] of given) {
        const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
        data.items.add(new File([bytes], name, { type: name.endsWith("jpg") ? "image/jpeg" : "" }));
      }
      const more = { bubbles: true, cancelable: true };
      window.dispatchEvent(
        how === "paste"
          ? new ClipboardEvent("paste", { ...more, clipboardData: data })
          : new DragEvent("drop", { ...more, dataTransfer: data }),
      );
    },
    [way, files] as const,
  );
}

/** The file that a button hands out: its name and what is in it. */
export async function saved(page: Page, button: string): Promise<[name: string, content: Buffer]> {
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: button }).click();
  const file = await coming;
  const parts: Buffer[] = [];
  for await (const part of await file.createReadStream()) parts.push(part as Buffer);
  return [file.suggestedFilename(), Buffer.concat(parts)];
}

/** The answer's heading, once there is one. */
export async function answered(page: Page): Promise<string> {
  const heading = page.locator(".verdict h2");
  await heading.waitFor({ timeout: 60_000 });
  return heading.innerText();
}

/** axe-core finds nothing, and nothing stands out of the window sideways. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import("axe-core") };
    const found = await axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return found.violations.map(({ id, nodes }) =>
      `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`).join("; ")}`);
  });
  expect(violations).toEqual([]);
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(sideways).toBeLessThanOrEqual(0);
}
