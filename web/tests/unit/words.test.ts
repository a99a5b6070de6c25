import { afterEach, describe, expect, test } from "vitest";

import { de } from "../../src/words/de";
import { en } from "../../src/words/en";
import { country, km, percent, position, speak, t, told, type Key } from "../../src/words/words";

afterEach(() => {
  speak("en");
});

describe("the languages", () => {
  test("German says everything that English does, with the same gaps to fill", () => {
    const gaps = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const key of Object.keys(en) as Key[]) {
      expect(de[key], key).not.toBe("");
      expect(gaps(de[key]), key).toEqual(gaps(en[key]));
    }
    expect(Object.keys(de)).toHaveLength(Object.keys(en).length);
  });

  test("numbers and names follow the language", () => {
    expect([km(0.4237), km(3.25), km(12_345.6)]).toEqual(["424 m", "3.3 km", "12,346 km"]);
    expect(position(-33.8568, 151.2153)).toBe("33.8568° S, 151.2153° E");
    expect(country("DE", "")).toBe("Germany");
    speak("de");
    expect(km(3.25)).toBe("3,3 km");
    expect(country("DE", "")).toBe("Deutschland");
    expect(country("", "Somewhere")).toBe("Somewhere");
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
});
