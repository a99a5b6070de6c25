/** The photo, with the text that was read in it as boxes. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";

import type { Shot } from "../state";
import { t } from "../words/words";

/** The text clue that is pointed at, in the photo or in the list. */
export const pointedAt = signal<number | null>(null);

export function Photo({ shot }: { shot: Shot }) {
  const [hidden, setHidden] = useState(false);
  const clues = shot.answer?.evidence.text ?? [];
  return (
    <figure class="photo">
      {hidden ? (
        <p class="soft">{t("photoHidden")}</p>
      ) : (
        <img
          src={shot.url}
          alt={t("photoAlt", { name: shot.name })}
          onError={() => { setHidden(true); }}
        />
      )}
      {!hidden && clues.length > 0 && (
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          {clues.map(({ box, rejected }, at) => (
            <polygon
              key={at}
              points={box.map((corner) => corner.join(",")).join(" ")}
              class={[rejected ? "rejected" : "", pointedAt.value === at ? "on" : ""].join(" ")}
              onPointerEnter={() => (pointedAt.value = at)}
              onPointerLeave={() => (pointedAt.value = null)}
            />
          ))}
        </svg>
      )}
      <figcaption class="soft">{shot.name}</figcaption>
    </figure>
  );
}
