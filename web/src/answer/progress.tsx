/** The stages as the service finishes them. */
import type { Stage } from "../api/types";
import { seconds, t, told } from "../words/words";

export function Progress({ stages }: { stages: readonly Stage[] }) {
  return (
    <ol class="stages" aria-label={t("stages")}>
      {stages.map(({ stage, ms, detail }, at) => (
        <li key={at}>
          <span>{told("stage", stage, stage)}</span>
          {typeof detail.degraded === "string" && (
            <span class="note">{told("cause", detail.degraded, detail.degraded)}</span>
          )}
          <span class="soft">{seconds(ms)}</span>
        </li>
      ))}
    </ol>
  );
}
