/** Results on the map: clusters that part as one comes closer, drawn on one canvas. */
import { circleMarker, divIcon, LayerGroup, marker, type Map as LeafletMap } from "leaflet";
import Supercluster from "supercluster";

import type { Row } from "../api/jobs";
import { cssColour } from "../map/atlas";
import { near } from "../map/geodesy";

const RADIUS_PX = 60;
const CLOSEST = 16;

export class Clusters extends LayerGroup {
  readonly #index = new Supercluster<Row>({ radius: RADIUS_PX, maxZoom: CLOSEST });

  constructor(readonly onPick: (row: Row) => void) {
    super();
    this.#index.load([]);
  }

  load(rows: readonly Row[]): void {
    this.#index.load(
      rows.map((row) => ({
        type: "Feature",
        geometry: { type: "Point", coordinates: [row.lon, row.lat] },
        properties: row,
      })),
    );
    this.#draw();
  }

  override onAdd(map: LeafletMap): this {
    map.on("moveend", this.#draw, this);
    super.onAdd(map);
    this.#draw();
    return this;
  }

  override onRemove(map: LeafletMap): this {
    map.off("moveend", this.#draw, this);
    return super.onRemove(map);
  }

  #draw(): void {
    const map = this._map as LeafletMap | undefined;
    if (!map) return;
    const view = map.getBounds().pad(0.25);
    const middle = map.getCenter().lng;
    const box: [number, number, number, number] = [
      view.getWest(), Math.max(-90, view.getSouth()), view.getEast(), Math.min(90, view.getNorth()),
    ];
    const colour = cssColour("--accent");
    this.clearLayers();
    for (const { geometry, properties } of this.#index.getClusters(box, Math.round(map.getZoom()))) {
      const [lon = 0, lat = 0] = geometry.coordinates;
      const at = { lat, lng: near(lon, middle) };
      if ("cluster" in properties) {
        const size = 26 + 8 * Math.log10(properties.point_count);
        const icon = divIcon({
          className: "cluster",
          html: String(properties.point_count_abbreviated),
          iconSize: [size, size],
        });
        const closer = this.#index.getClusterExpansionZoom(properties.cluster_id);
        const alt = String(properties.point_count);
        marker(at, { icon, alt, title: alt }).on("click", () => map.setView(at, closer)).addTo(this);
      } else {
        circleMarker(at, { radius: 6, color: colour, fillColor: colour, fillOpacity: 0.7 })
          .on("click", () => { this.onPick(properties); })
          .addTo(this);
      }
    }
  }
}
