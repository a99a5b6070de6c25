/** Photos dropped or pasted anywhere on the page. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { receive } from "../state";
import { t } from "../words/words";

const hovering = signal(false);

const isFiles = (data: DataTransfer | null) => data?.types.includes("Files") ?? false;

export function DropEverywhere() {
  useEffect(() => {
    let depth = 0;
    const listeners = new AbortController();
    const { signal: stop } = listeners;
    const listen = <E extends keyof WindowEventMap>(
      name: E,
      react: (event: WindowEventMap[E]) => void,
    ) => {
      window.addEventListener(name, react, { signal: stop });
    };
    listen("dragenter", (event) => {
      if (isFiles(event.dataTransfer)) hovering.value = ++depth > 0;
    });
    listen("dragleave", (event) => {
      if (isFiles(event.dataTransfer)) hovering.value = --depth > 0;
    });
    listen("dragover", (event) => {
      if (isFiles(event.dataTransfer)) event.preventDefault();
    });
    listen("drop", (event) => {
      if (!isFiles(event.dataTransfer)) return;
      event.preventDefault();
      depth = 0;
      hovering.value = false;
      receive([...(event.dataTransfer?.files ?? [])]);
    });
    listen("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      receive(files);
    });
    return () => {
      listeners.abort();
    };
  }, []);
  return hovering.value ? <div class="dropping">{t("dropNow")}</div> : null;
}
