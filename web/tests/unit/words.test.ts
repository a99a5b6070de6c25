import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { afterEach, describe, expect, test } from "vitest";

import { de } from "../../src/words/de";
import { en } from "../../src/words/en";
import { country, km, money, percent, position, speak, t, told, type Key } from "../../src/words/words";

const ROOT = resolve(import.meta.dirname, "../../..");
const KEYS = Object.keys(en) as Key[];

afterEach(() => {
  speak("en");
});

/** All files below a folder, but those of words, as one text. */
function text(folder: string, endings: RegExp): string {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => endings.test(name) && !/words\/(en|de)\.ts$/.test(name))
    .map((name) => readFileSync(join(ROOT, folder, name), "utf8"))
    .join("\n");
}

describe("the languages", () => {
  test("German says everything that English does, with the same gaps to fill", () => {
    const gaps = (sentence: string) => [...sentence.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const key of KEYS) {
      expect(de[key], key).not.toBe("");
      expect(gaps(de[key]), key).toEqual(gaps(en[key]));
    }
    expect(Object.keys(de)).toHaveLength(KEYS.length);
  });

  test("German is not English left as it was", () => {
    const isSentence = (key: Key) => /[a-z]{4}.* .*[a-z]{4}/.test(en[key].replace(/\{\w+\}/g, ""));
    const alike = KEYS.filter((key) => de[key] === en[key] && isSentence(key));
    expect(alike.filter((key) => !key.startsWith("attribute."))).toEqual([]);
  });

  test("numbers and names follow the language", () => {
    expect([km(0.4237), km(3.25), km(12_345.6)]).toEqual(["424 m", "3.3 km", "12,346 km"]);
    expect(position(-33.8568, 151.2153)).toBe("33.8568° S, 151.2153° E");
    expect([country("DE", ""), money(0.01234)]).toEqual(["Germany", "$0.012"]);
    speak("de");
    expect(km(3.25)).toBe("3,3 km");
    expect(country("DE", "")).toBe("Deutschland");
    expect(country("", "Somewhere")).toBe("Somewhere");
  });
});

describe("every word is used", () => {
  const page = text("web/src", /\.tsx?$/);
  const service = ["geofix", "service", "workers"].map((folder) => text(folder, /\.(py|csv)$/)).join("\n");

  test("by the page, by its name or its group", () => {
    const isUsed = (key: Key) => {
      const [group, word] = [key.slice(0, key.indexOf(".")), key.slice(key.indexOf(".") + 1)];
      const isAsked = page.includes(`told("${group}"`) || page.includes(`t(\`${group}.\${`);
      const isSaid = new RegExp(`["',\n]${word}["',\n]`).test(`${service}\n${page}`);
      return page.includes(`"${key}"`) || (key.includes(".") && isAsked && isSaid);
    };
    expect(KEYS.length).toBeGreaterThan(200);
    expect(KEYS.filter((key) => !isUsed(key))).toEqual([]);
  });

  test("and every failure that the service can tell has one", () => {
    const errors = readFileSync(join(ROOT, "geofix/errors.py"), "utf8");
    const slugs = [...errors.matchAll(/^ {4}slug(?:: ClassVar\[str\])? = "([\w-]+)"$/gm)].map(([, slug]) => slug ?? "");
    expect(slugs).toContain("overloaded");
    // Of commands, of galleries' operators and of requests that the page does not make.
    const elsewhere = ["invalid-source", "canaries-failed", "data-directory-busy", "idempotency-mismatch", "child-failed"];
    expect(slugs.filter((slug) => !(`failure.${slug}` in en) && !elsewhere.includes(slug))).toEqual([]);
  });
});

test("what is unlikely is not called impossible, nor what is likely certain", () => {
  expect([percent(0), percent(0.001), percent(0.5), percent(0.999), percent(1)]).toEqual([
    "0%",
    "< 1%",
    "50%",
    "> 99%",
    "100%",
  ]);
});

test("a word that is not known leaves the service's own sentence", () => {
  expect(told("failure", "offline", "?")).toContain("offline");
  expect(told("failure", "never-heard-of", "As it says.")).toBe("As it says.");
  expect(t("bestGuess", { place: "{name} $&" })).toBe("Best guess: {name} $&");
  expect(told("failure", "invalid-option", "", { detail: "bbox." })).toMatch(/: bbox\.$/);
});
