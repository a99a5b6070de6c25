/** A gallery's versions: the one in use, those before it, and how far a new one has been built. */
import { useEffect, useState } from "preact/hooks";

import { versions } from "../api/client";
import type { GalleryVersion } from "../api/types";
import { announced } from "../state";
import { moment, percent, t, told } from "../words/words";

const SOON_MS = 1500;
const LATER_MS = 10_000;
const STALLED_MS = 120_000;

/** `onUse` hears which version is in use, whenever another one is. */
export function Versions({ name, onUse }: { name: string; onUse: (version: number) => void }) {
  const [known, setKnown] = useState<readonly GalleryVersion[]>([]);
  useEffect(() => {
    let timer = 0;
    let gone = false;
    let used = 0;
    const look = async () => {
      try {
        const found = await versions(name);
        if (gone) return;
        setKnown(found);
        const now = found.find(({ state }) => state === "active")?.version ?? 0;
        if (used && now !== used) {
          announced.value = t("versionSwapped", { version: now });
          onUse(now);
        }
        used = now;
        timer = window.setTimeout(() => void look(), found.some(isUnderWay) ? SOON_MS : LATER_MS);
      } catch {
        timer = window.setTimeout(() => void look(), LATER_MS); // what is shown stays true meanwhile
      }
    };
    void look();
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, []);
  if (known.length === 0) return null;
  return (
    <>
      <h4>{t("versions")}</h4>
      <ol class="versions" reversed>
        {[...known].reverse().map((version) => (
          <Line version={version} key={version.version} />
        ))}
      </ol>
    </>
  );
}

function isUnderWay({ state }: GalleryVersion): boolean {
  return state === "building" || state === "ready";
}

function Line({ version: each }: { version: GalleryVersion }) {
  const { version, state, encoder, figures, missing, reason, created_at: created } = each;
  const { recall, accuracy, canaries = 0 } = figures;
  const measured = [
    ...(recall === undefined ? [] : [t("versionRecall", { share: percent(recall) })]),
    ...(accuracy === undefined || canaries === 0
      ? []
      : [t("versionAccuracy", { share: percent(accuracy) })]),
  ];
  return (
    <li class={`version ${state}`}>
      <div class="row spread">
        <strong>{t("version", { version, encoder })}</strong>
        <span class="badge">{told("version", state, state)}</span>
      </div>
      {state === "building" && <Building version={each} />}
      <span class="soft small-print">
        {[
          ...(created ? [t("versionMade", { time: moment(created) })] : []),
          ...measured,
          ...(missing ? [t("versionMissing", { count: missing })] : []),
        ].join(" · ")}
      </span>
      {reason && <span class="note small-print">{reason}</span>}
    </li>
  );
}

function Building({ version: { version, progress } }: { version: GalleryVersion }) {
  if (!progress) return <p class="soft">{t("building.begun")}</p>;
  const { done, total, at } = progress;
  const checks = done >= total;
  const stalled = Date.now() - Date.parse(at) > STALLED_MS;
  return (
    <>
      <progress max={Math.max(1, total)} value={done} aria-label={t("buildingOf", { version })} />
      <p class="soft">
        {checks ? t("building.checked") : t("building.encoded", { done, total })}
        {stalled && !checks && ` ${t("building.stalled", { time: moment(at) })}`}
      </p>
    </>
  );
}
