/** The map: the answer on it, the other photos, and what a person draws. */
import {
  canvas,
  circleMarker,
  control,
  divIcon,
  featureGroup,
  layerGroup,
  map as leafletMap,
  marker,
  polygon,
  polyline,
  tileLayer,
  type FeatureGroup,
  type LayerGroup,
  type Map as LeafletMap,
} from "leaflet";

import type { Answer, LatLon, PageSettings, Summary } from "../api/types";
import { Basemap } from "./basemap";
import { circle, circleLine, near, type Ring } from "./geodesy";
import { Labels } from "./labels";

/** What stands on the map besides the answer. */
export interface Pin extends LatLon {
  key: number;
  name: string;
}

/** An answer, with as much of it as there is. */
type Shown = Summary & Partial<Pick<Answer, "heatmap" | "evidence">>;

export interface MapWords {
  answer: string;
  zoomIn: string;
  zoomOut: string;
}

/** As close as a place is shown: without the operator's tiles there is little to see any closer. */
const [CLOSEST, CLOSEST_ON_TILES] = [12, 15];
const MAX_ZOOM = 17;

export class Atlas {
  readonly map: LeafletMap;
  readonly #basemap = new Basemap();
  readonly #answer: FeatureGroup;
  readonly #hint: LayerGroup;
  readonly #pins: LayerGroup;
  readonly #drawn: LayerGroup;
  #closest = CLOSEST;
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(element: HTMLElement, words: MapWords) {
    this.map = leafletMap(element, {
      center: [25, 10],
      zoom: 2,
      minZoom: 1,
      maxZoom: MAX_ZOOM,
      worldCopyJump: true,
      zoomControl: false,
      renderer: canvas({ padding: 0.5 }),
      zoomAnimation: !this.#calm,
      fadeAnimation: !this.#calm,
      markerZoomAnimation: !this.#calm,
      inertia: !this.#calm,
    });
    this.map.attributionControl.setPrefix(false);
    control
      .zoom({ position: "bottomright", zoomInTitle: words.zoomIn, zoomOutTitle: words.zoomOut })
      .addTo(this.map);
    control.scale({ imperial: false, position: "bottomleft" }).addTo(this.map);
    this.#basemap.addTo(this.map);
    new Labels().addTo(this.map);
    this.#pins = layerGroup().addTo(this.map);
    this.#drawn = layerGroup().addTo(this.map);
    this.#answer = featureGroup().addTo(this.map);
    this.#hint = layerGroup().addTo(this.map);
    new ResizeObserver(() => this.map.invalidateSize({ pan: false })).observe(element);
  }

  /** The operator's tiles above the built-in map, where there are any. */
  async addTiles({ tiles, tiles_attribution: attribution }: PageSettings): Promise<void> {
    if (!tiles) return;
    this.#closest = CLOSEST_ON_TILES;
    const options = { attribution, maxZoom: MAX_ZOOM };
    if (new URL(tiles, location.href).pathname.endsWith(".pmtiles")) {
      const { archiveLayer } = await import("./archive");
      (await archiveLayer(tiles, options))?.addTo(this.map);
    } else {
      tileLayer(tiles, options).addTo(this.map);
    }
  }

  recolour(): void {
    this.#basemap.redraw();
  }

  /** Show an answer, or none; `before` is the answer it is compared with. */
  show(answer: Shown | undefined, words: MapWords, before?: Answer): void {
    this.#answer.clearLayers();
    this.#hint.clearLayers();
    if (!answer) return;
    const at = answer.position;
    this.#heat(answer);
    this.#region(at, answer.radius_90_km, [6, 5]);
    this.#region(at, answer.radius_50_km);
    if (before && before !== answer) {
      const { lat, lon } = before.position;
      circleMarker([lat, near(lon, at.lon)], { radius: 7, ...stroke("--muted"), fill: false })
        .addTo(this.#answer);
    }
    for (const neighbour of answer.evidence?.neighbours.slice(0, 12) ?? []) {
      circleMarker([neighbour.lat, near(neighbour.lon, at.lon)], {
        radius: 4,
        ...stroke("--neighbour"),
        weight: 1.5,
        fillOpacity: 0.5,
      }).addTo(this.#answer);
    }
    const icon = divIcon({
      className: answer.abstention ? "pin pin-unsure" : "pin",
      iconSize: [30, 38],
      iconAnchor: [15, 37],
    });
    marker([at.lat, at.lon], { icon, alt: words.answer, title: words.answer, keyboard: true })
      .on("click keypress", () => this.map.setView([at.lat, at.lon], this.#closest))
      .addTo(this.#answer);
    this.fit(at, answer.radius_90_km);
  }

  /** Bring a circle into view. */
  fit(at: LatLon, km: number): void {
    const ring = circle(at, Math.min(Math.max(km * 1.3, 0.3), 7000)).flat();
    this.map.fitBounds(ring, {
      animate: !this.#calm,
      maxZoom: this.#closest,
      padding: [16, 16],
    });
  }

  /** Mark a place for a moment, such as a neighbour pointed at in the list. */
  hint(at: LatLon | undefined): void {
    this.#hint.clearLayers();
    if (!at) return;
    const lon = near(at.lon, this.map.getCenter().lng);
    circleMarker([at.lat, lon], { radius: 11, ...stroke("--neighbour"), weight: 3, fill: false })
      .addTo(this.#hint);
  }

  pins(pins: readonly Pin[], onPick: (key: number) => void): void {
    this.#pins.clearLayers();
    for (const { lat, lon, key, name } of pins) {
      circleMarker([lat, lon], { radius: 6, ...stroke("--accent"), fillOpacity: 0.7 })
        .bindTooltip(textNode(name))
        .on("click", () => { onPick(key); })
        .addTo(this.#pins);
    }
  }

  /** Outline the area a filter allows. */
  area(ring: Ring | undefined): void {
    this.#drawn.clearLayers();
    if (ring?.length) {
      polygon(ring, { ...stroke("--accent"), dashArray: "2 6", fillOpacity: 0.05 })
        .addTo(this.#drawn);
    }
  }

  /** A circle: filled and outlined; on every copy of the world where it is wider than one. */
  #region(at: LatLon, km: number, dash: number[] = []): void {
    if (km <= 0) return;
    const rings = circle(at, km);
    const { line, closed } = circleLine(at, km);
    const look = { ...stroke("--answer"), weight: 1.5, dashArray: dash, interactive: false, smoothFactor: 0.2 };
    for (const turn of closed && rings.length === 1 ? [0] : [-360, 0, 360]) {
      const turned = (ring: Ring) => ring.map(([lat, lon]): [number, number] => [lat, lon + turn]);
      polygon(rings.map(turned), { ...look, stroke: false, fillOpacity: 0.07 }).addTo(this.#answer);
      const outline = turned(closed && line[0] ? [...line, line[0]] : line);
      polyline(outline, { ...look, fill: false }).addTo(this.#answer);
    }
  }

  #heat(answer: Shown): void {
    const features = answer.heatmap?.features ?? [];
    const most = features[0]?.properties.probability ?? 1;
    const colour = cssColour("--heat");
    for (const { geometry, properties } of features) {
      const ring = geometry.coordinates[0] ?? [];
      const shift = near(ring[0]?.[0] ?? 0, answer.position.lon) - (ring[0]?.[0] ?? 0);
      polygon(
        ring.map(([lon, lat]) => [lat, lon + shift] as [number, number]),
        {
          stroke: false,
          fillColor: colour,
          fillOpacity: 0.08 + 0.62 * Math.sqrt(properties.probability / most),
          interactive: false,
        },
      ).addTo(this.#answer);
    }
  }
}

export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function stroke(name: string): { color: string; fillColor: string; weight: number } {
  const color = cssColour(name);
  return { color, fillColor: color, weight: 2 };
}

/** Names come from strangers: as text, never as markup. */
function textNode(text: string): HTMLElement {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}
