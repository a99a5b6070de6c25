/** Where photos come in: drop, paste, pick or camera. */
import { useRef, useState } from "preact/hooks";

import { add, keep, settings, shots } from "../state";
import { megabytes, t } from "../words/words";
import { Camera } from "./camera";

export function Intake() {
  const picker = useRef<HTMLInputElement>(null);
  const [shooting, setShooting] = useState(false);
  const { max_body_bytes: limit, keep_s: keepS } = settings.value;
  const isFirst = shots.value.length === 0;
  return (
    <section class={isFirst ? "intake card" : "intake small"} aria-label={t("drop")}>
      {isFirst && (
        <>
          <svg class="hero" viewBox="0 0 48 48" aria-hidden="true">
            <path d="M24 44S10 29 10 19a14 14 0 0 1 28 0c0 10-14 25-14 25Z" />
            <circle cx="24" cy="19" r="5" />
          </svg>
          <h2>{t("drop")}</h2>
          <p class="soft">{t("dropDetail", { limit: megabytes(limit) })}</p>
        </>
      )}
      <div class="row">
        <button type="button" class="primary" onClick={() => picker.current?.click()}>
          {t("pick")}
        </button>
        <button type="button" onClick={() => { setShooting(true); }}>
          {t("camera")}
        </button>
      </div>
      <input
        ref={picker}
        hidden
        type="file"
        accept="image/*"
        multiple
        onChange={(event) => {
          add([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
      {isFirst && (
        <>
          <label class="check">
            <input
              type="checkbox"
              checked={keep.value}
              onChange={(event) => {
                keep.value = event.currentTarget.checked;
              }}
            />
            <span>
              {t("keep")}
              <small class="soft">{t("keepDetail", { minutes: Math.round(keepS / 60) })}</small>
            </span>
          </label>
          <p class="soft small-print">{t("privacy")}</p>
        </>
      )}
      {shooting && <Camera onClose={() => { setShooting(false); }} />}
    </section>
  );
}
