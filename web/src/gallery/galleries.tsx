/** The galleries: what they hold, and where on Earth. */
import { layerGroup, polygon } from "leaflet";
import { useEffect, useState } from "preact/hooks";

import { coverage, described, galleries } from "../api/client";
import { failureBehind, type Failure } from "../api/failure";
import type { GalleryDescription, GallerySummary } from "../api/types";
import { Bar } from "../answer/levels";
import { sentence } from "../answer/failure";
import { KeyField } from "../key";
import { cssColour } from "../map/atlas";
import { atlas } from "../map/view";
import { country, t } from "../words/words";

export function Galleries() {
  const [known, setKnown] = useState<readonly GallerySummary[]>();
  const [name, setName] = useState("");
  const [failure, setFailure] = useState<Failure>();
  useEffect(() => {
    galleries().then(
      (found) => {
        setKnown(found);
        setName(found[0]?.name ?? "");
      },
      (error: unknown) => { setFailure(failureBehind(error)); },
    );
  }, []);
  return (
    <>
      <section class="card">
        <h2>{t("galleries")}</h2>
        {failure && <p class="note" role="alert">{sentence(failure)}</p>}
        {failure?.kind === "unauthenticated" && <KeyField />}
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
      {name && <Gallery name={name} key={name} />}
    </>
  );
}

function Gallery({ name }: { name: string }) {
  const [gallery, setGallery] = useState<GalleryDescription>();
  useEffect(() => {
    const cells = layerGroup();
    const show = async () => {
      setGallery(await described(name));
      const { features } = await coverage(name);
      const most = features[0]?.properties.count ?? 1;
      const colour = cssColour("--heat");
      for (const { geometry, properties } of features) {
        const ring = (geometry.coordinates[0] ?? []).map(([lon, lat]) => [lat, lon] as [number, number]);
        const share = Math.log1p(properties.count) / Math.log1p(most);
        polygon(ring, { color: colour, weight: 1, fillColor: colour, fillOpacity: 0.15 + 0.6 * share })
          .bindTooltip(String(properties.count))
          .addTo(cells);
      }
      const map = atlas.value?.map;
      if (map) cells.addTo(map);
    };
    show().catch(() => undefined); // it was removed a moment ago
    return () => { cells.remove(); };
  }, []);
  if (!gallery) return null;
  const parts = [
    [t("countries"), gallery.countries, (code: string) => country(code, code)],
    [t("contributors"), gallery.contributors, (text: string) => text],
    [t("licences"), gallery.licences, (text: string) => text],
  ] as const;
  return (
    <section class="card">
      <h3>{gallery.name}</h3>
      {parts.map(([title, counts, named]) => (
        <div key={title}>
          <h4>{title}</h4>
          <ul class="places">
            {Object.entries(counts).slice(0, 8).map(([value, count]) => (
              <li key={value}>
                <span>{named(value) || "–"}</span>
                <Bar share={count / Math.max(1, gallery.count)} />
              </li>
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}
