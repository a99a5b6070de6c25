/** Debian's Chromium on the live page; whatever it should not do is noted. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { expect, inject } from "vitest";

export const address = inject("address");
export const photo = (name: string) => join(inject("photos"), name);

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
  });
}

export interface Visit {
  page: Page;
  /** Console errors, uncaught exceptions and requests to other origins. */
  complaints: string[];
}

export interface Look extends BrowserContextOptions {
  width?: number;
  /** Failures that a test provokes, and the browser's console reports. */
  expected?: RegExp;
  /** Another service than the tests' own. */
  address?: string;
}

export async function visit(browser: Browser, look: Look = {}): Promise<Visit> {
  const { width = 1440, expected, address: at = address, ...options } = look;
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
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== at) complaints.push(request.url());
  });
  await page.goto(at);
  await page.locator(".intake button.primary").waitFor();
  return { page, complaints };
}

export async function give(page: Page, ...names: string[]): Promise<void> {
  await page.locator("input[type=file][multiple]").setInputFiles(names.map(photo));
}

/** The answer's heading, once there is one. */
export async function answered(page: Page): Promise<string> {
  const heading = page.locator(".verdict h2");
  await heading.waitFor({ timeout: 60_000 });
  return heading.innerText();
}

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
}
