/** Taking an answer along: a link, a file, or the position in a copy of the photo. */
import { useRef, useState } from "preact/hooks";

import type { Summary } from "../api/types";
import { download } from "../export/download";
import { csv, geojson, kml, type Named } from "../export/formats";
import { link } from "../export/link";
import { announced, shots, type Shot } from "../state";
import { km, position, t } from "../words/words";

const FORMATS = [
  ["GeoJSON", "geojson", "application/geo+json", geojson],
  ["KML", "kml", "application/vnd.google-earth.kml+xml", kml],
  ["CSV", "csv", "text/csv", csv],
] as const;

export function Save({ shot, answer }: { shot: Shot; answer: Summary }) {
  const [said, setSaid] = useState("");
  const say = (text: string) => {
    setSaid(text);
    announced.value = text;
  };
  const share = async () => {
    const address = link(shot.name, answer);
    try {
      await navigator.clipboard.writeText(address);
      say(t("shared"));
    } catch {
      say(address); // without leave to use the clipboard, to be copied by hand
    }
  };
  return (
    <section class="card">
      <h3>{t("save")}</h3>
      <div class="row wrap">
        <button type="button" onClick={() => void share()}>
          {t("share")}
        </button>
        {FORMATS.map(([name, ending, type, write]) => (
          <button
            type="button"
            key={name}
            aria-label={t("exportAs", { format: name })}
            onClick={() => { download(`geofix.${ending}`, new Blob([write(answered())], { type })); }}
          >
            {name}
          </button>
        ))}
        {shot.file && shot.answer?.photo.format === "JPEG" && <Exif shot={shot} answer={answer} say={say} />}
      </div>
      <p class="said" role="status">
        {said}
      </p>
    </section>
  );
}

function answered(): Named[] {
  return shots.value.flatMap(({ name, answer, shared }) => {
    const known = answer ?? shared;
    return known ? [{ name, answer: known }] : [];
  });
}

function Exif({ shot, answer, say }: { shot: Shot; answer: Summary; say: (text: string) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { lat, lon } = answer.position;
  const write = async () => {
    dialog.current?.close();
    try {
      const { withPosition } = await import("../export/exif");
      if (!shot.file) return;
      const { copy, replaced } = await withPosition(
        shot.file, answer.position, answer.radius_50_km * 1000);
      download(shot.name.replace(/(\.\w+)?$/, "-geofix.jpg"), copy);
      say(replaced ? t("exifReplaces") : "");
    } catch {
      say(t("exifFailed"));
    }
  };
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        {t("exif")}
      </button>
      <dialog ref={dialog} aria-label={t("exifTitle")}>
        <h2>{t("exifTitle")}</h2>
        <p>
          {t("exifDetail", {
            name: shot.name,
            position: position(lat, lon),
            km: km(answer.radius_50_km).replace(/ km$/, ""),
          })}
        </p>
        <div class="row">
          <button type="button" class="primary" onClick={() => void write()}>
            {t("exifConfirm")}
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            {t("cancel")}
          </button>
        </div>
      </dialog>
    </>
  );
}
