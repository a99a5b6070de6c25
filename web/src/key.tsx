/** The API key: in this tab alone, and sent to this service alone. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";

import { useKey } from "./api/client";
import { again, shots } from "./state";
import { t } from "./words/words";

const REMEMBERED = "geofix.key";
const known = signal(false);

export function restoreKey(): void {
  set(sessionStorage.getItem(REMEMBERED) ?? "");
}

function set(text: string): void {
  useKey(text);
  known.value = text !== "";
  if (text) sessionStorage.setItem(REMEMBERED, text);
  else sessionStorage.removeItem(REMEMBERED);
}

/** A field for the key; what failed for want of one is tried again. */
export function KeyField({ onUse }: { onUse?: () => void }) {
  const [text, setText] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    set(text.trim());
    setText("");
    for (const { key, failure } of shots.value) {
      if (failure?.kind === "unauthenticated") again(key);
    }
    onUse?.();
  };
  return (
    <form class="key" onSubmit={submit}>
      <label>
        {t("apiKey")}
        <input
          type="password"
          autocomplete="off"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
          }}
        />
      </label>
      <p class="soft">{t("apiKeyDetail")}</p>
      <div class="row">
        <button type="submit" class="primary" disabled={!text.trim()}>
          {t("apiKeyUse")}
        </button>
        {known.value && (
          <button type="button" onClick={() => { set(""); }}>
            {t("apiKeyForget")}
          </button>
        )}
      </div>
    </form>
  );
}
