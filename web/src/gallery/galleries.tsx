/** The galleries: what they hold, where on Earth, and their versions. */
import { featureGroup, polygon } from "leaflet";
import { useEffect, useRef, useState } from "preact/hooks";

import { coverage, described, galleries } from "../api/client";
import { failureBehind, type Failure } from "../api/failure";
import type { Coverage, GalleryDescription, GallerySummary } from "../api/types";
import { Bar } from "../answer/levels";
import { sentence } from "../answer/failure";
import { KeyField } from "../key";
import { cssColour } from "../map/atlas";
import { atlas } from "../map/view";
import { changed } from "../theme";
import { country, t } from "../words/words";
import { Versions } from "./versions";

export function Galleries() {
  const [known, setKnown] = useState<readonly GallerySummary[]>();
  const [name, setName] = useState("");
  const [failure, setFailure] = useState<Failure>();
  const load = () => {
    setFailure(undefined);
    galleries().then(
      (found) => {
        setKnown(found);
        setName((chosen) => chosen || (found[0]?.name ?? ""));
      },
      (error: unknown) => { setFailure(failureBehind(error)); },
    );
  };
  useEffect(load, []);
  return (
    <>
      <section class="card">
        <h2>{t("galleries")}</h2>
        <p class="soft">{t("galleriesDetail")}</p>
        {failure && <p class="note" role="alert">{sentence(failure)}</p>}
        {failure?.kind === "unauthenticated" && <KeyField onUse={load} />}
        {failure && failure.kind !== "unauthenticated" && (
          <button type="button" onClick={load}>{t("again")}</button>
        )}
        {known?.length === 0 && <p>{t("galleriesNone")}</p>}
        <ul class="gallery-list">
          {known?.map((gallery) => (
            <li key={gallery.name}>
              <button type="button" aria-pressed={gallery.name === name}
                onClick={() => { setName(gallery.name); }}>
                <strong>{gallery.name}</strong>
                <span class="soft">{t("galleryFacts", {
                  count: gallery.count, version: gallery.version, encoder: gallery.encoder,
                })}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      {name && <Gallery name={name} key={name} onUse={load} />}
    </>
  );
}

function Gallery({ name, onUse }: { name: string; onUse: () => void }) {
  const [gallery, setGallery] = useState<GalleryDescription>();
  const [cells, setCells] = useState<Coverage>();
  const [round, setRound] = useState(0);
  const isSeen = useRef(false);
  useEffect(() => {
    let gone = false;
    const show = async () => {
      const [holds, covers] = await Promise.all([described(name), coverage(name)]);
      if (gone) return;
      setGallery(holds);
      setCells(covers);
    };
    show().catch(() => undefined); // it was removed a moment ago
    return () => { gone = true; };
  }, [round]);
  useEffect(() => {
    const map = atlas.value?.map;
    if (!map || !cells) return undefined;
    const drawn = drawnCells(cells).addTo(map);
    if (!isSeen.current && cells.features.length) {
      map.fitBounds(drawn.getBounds(), { maxZoom: 5, padding: [24, 24] });
      isSeen.current = true; // afterwards the person says what is seen
    }
    return () => { drawn.remove(); };
  }, [cells, changed.value]);
  if (!gallery) return null;
  const parts = [
    [t("countries"), gallery.countries, (code: string) => country(code, code)],
    [t("contributors"), gallery.contributors, (text: string) => text],
    [t("licences"), gallery.licences, (text: string) => text],
  ] as const;
  return (
    <section class="card">
      <h3>{gallery.name}</h3>
      {cells && <p>{t("coverage", { count: gallery.count, cells: cells.features.length })}</p>}
      <Versions name={name} onUse={() => {
        setRound((before) => before + 1);
        onUse();
      }} />
      {parts.filter(([, counts]) => Object.keys(counts).length > 0).map(([title, counts, named]) => (
        <div key={title}>
          <h4>{title}</h4>
          <ul class="places">
            {Object.entries(counts).slice(0, 8).map(([value, count]) => (
              <li key={value}>
                <span>{named(value) || t("unnamed")}</span>
                <Bar share={count / Math.max(1, gallery.count)} />
              </li>
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}

/** Cells on the map, the fuller the stronger. */
function drawnCells({ features }: Coverage) {
  const drawn = featureGroup();
  const most = features[0]?.properties.count ?? 1;
  const colour = cssColour("--heat");
  for (const { geometry, properties } of features) {
    const ring = (geometry.coordinates[0] ?? []).map(([lon, lat]) => [lat, lon] as [number, number]);
    const share = Math.log1p(properties.count) / Math.log1p(most);
    polygon(ring, { color: colour, weight: 1, fillColor: colour, fillOpacity: 0.15 + 0.6 * share })
      .bindTooltip(t("photosHere", { count: properties.count }))
      .addTo(drawn);
  }
  return drawn;
}
