/** Names of places, from the service's gazetteer, as many as fit. */
import { divIcon, LayerGroup, marker, type Map as LeafletMap } from "leaflet";

import { labels } from "../api/client";
import { near } from "./geodesy";

const MOST = 60;
const WAIT_MS = 250;
/** Above the land, below whatever is shown on it. */
const PANE = "names";
const [WIDTH, HEIGHT] = [110, 22];

export class Labels extends LayerGroup {
  #timer = 0;
  #shown = "";

  override onAdd(map: LeafletMap): this {
    const pane = map.getPane(PANE) ?? map.createPane(PANE);
    pane.classList.add("names");
    map.on("moveend", this.#later, this);
    this.#later();
    return super.onAdd(map);
  }

  #later(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#show(), WAIT_MS);
  }

  async #show(): Promise<void> {
    const map = this._map as LeafletMap | undefined;
    if (!map) return;
    const bounds = map.getBounds();
    const whole = bounds.getEast() - bounds.getWest() >= 360;
    const west = whole ? -180 : near(bounds.getWest(), 0);
    const east = whole ? 180 : near(bounds.getEast(), 0);
    const digits = map.getZoom() > 7 ? 3 : 1; // coarse boxes are asked for again, and cached
    const sides = [west, bounds.getSouth(), east, bounds.getNorth()];
    const box = sides.map((degrees) => degrees.toFixed(digits)).join();
    if (box === this.#shown) return;
    this.#shown = box;
    const middle = map.getCenter().lng;
    try {
      const places = await labels(box, MOST);
      if (box !== this.#shown) return;
      this.clearLayers();
      const taken: { x: number; y: number }[] = [];
      for (const place of places) {
        const at = { lat: place.lat, lng: near(place.lon, middle) };
        const { x, y } = map.latLngToContainerPoint(at);
        const clashes = taken.some(
          (t) => Math.abs(t.x - x) < WIDTH && Math.abs(t.y - y) < HEIGHT,
        );
        if (clashes) continue;
        taken.push({ x, y });
        const name = document.createElement("span");
        name.textContent = place.name;
        const icon = divIcon({ className: "place", html: name, iconSize: [0, 0] });
        this.addLayer(marker(at, { icon, interactive: false, keyboard: false, alt: "", pane: PANE }));
      }
    } catch {
      this.#shown = ""; // a map without names is still a map
    }
  }
}
