/** The map in the page, kept in step with the photo that is selected. */
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { selected, selectedKey, settings, shots, view } from "../state";
import { changed } from "../theme";
import { t } from "../words/words";
import { Atlas } from "./atlas";

/** The map, once it stands; for whoever points or draws on it. */
export const atlas = signal<Atlas | null>(null);
/** What a person is asked to do on the map. */
export const task = signal("");

export function MapPane() {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!element.current) return;
    const words = () => ({ answer: t("answer"), zoomIn: t("zoomIn"), zoomOut: t("zoomOut") });
    const map = new Atlas(element.current, words());
    atlas.value = map;
    const show = () => {
      const shot = view.value === "photos" ? selected.value : undefined;
      map.show(shot?.answer ?? shot?.shared, words(), shot?.first);
    };
    const stops = [
      effect(() => {
        map.addTiles(settings.value).catch(() => undefined); // the built-in map shows through
      }),
      effect(show),
      changed.subscribe(() => {
        map.recolour();
        show();
      }),
      effect(() => {
        const taken = view.value === "photos" ? shots.value : [];
        const others = taken.filter((shot) => shot.key !== selectedKey.value);
        map.pins(
          others.flatMap(({ key, name, answer }) =>
            answer ? [{ key, name, ...answer.position }] : [],
          ),
          (key) => (selectedKey.value = key),
        );
      }),
    ];
    return () => {
      stops.forEach((stop) => {
        stop();
      });
      map.map.remove();
      atlas.value = null;
    };
  }, []);
  return (
    <section class="atlas" aria-label={t("map")}>
      <div class="map" ref={element} />
      {task.value && (
        <p class="task" role="status">
          {task.value}
        </p>
      )}
    </section>
  );
}
