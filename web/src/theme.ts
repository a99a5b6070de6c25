/** Light or dark: as the system is, unless somebody chose. */
import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const REMEMBERED = "geofix.theme";
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];
export const theme = signal<Theme>("auto");
/** Rises whenever the colours change. */
export const changed = signal(0);

export function restoreTheme(): void {
  const remembered = localStorage.getItem(REMEMBERED);
  choose(THEMES.find((each) => each === remembered) ?? "auto");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    changed.value += 1;
  });
}

export function choose(wanted: Theme): void {
  theme.value = wanted;
  localStorage.setItem(REMEMBERED, wanted);
  const root = document.documentElement;
  if (wanted === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", wanted);
  changed.value += 1;
}
