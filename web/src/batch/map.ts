/** Results on the map: clusters that part as one comes closer, all of them on one canvas. */
import { CircleMarker, LayerGroup, type CircleMarkerOptions, type Map as LeafletMap, type Point } from "leaflet";
import Supercluster from "supercluster";

import type { Row } from "../api/jobs";
import { cssColour } from "../map/atlas";
import { near } from "../map/geodesy";

const RADIUS_PX = 60;
const CLOSEST = 16;
/** Share of the view that is drawn around it, as the map's canvas is that much larger. */
const AROUND = 0.5;

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
    const view = map.getBounds().pad(AROUND);
    const middle = map.getCenter().lng;
    const box: [number, number, number, number] = [
      view.getWest(), Math.max(-90, view.getSouth()), view.getEast(), Math.min(90, view.getNorth()),
    ];
    const [colour, paper, ink] = ["--accent", "--paper", "--on-accent"].map(cssColour);
    const look = { fillColor: colour ?? "", weight: 2 };
    this.clearLayers();
    for (const { geometry, properties } of this.#index.getClusters(box, Math.round(map.getZoom()))) {
      const [lon = 0, lat = 0] = geometry.coordinates;
      const at = { lat, lng: near(lon, middle) };
      if ("cluster" in properties) {
        const { cluster_id: id, point_count: count, point_count_abbreviated: told } = properties;
        const shown = { ...look, color: paper ?? "", fillOpacity: 1, radius: 13 + 4 * Math.log10(count) };
        new Counted(at, String(told), ink ?? "", shown)
          .on("click", () => map.setView(at, this.#index.getClusterExpansionZoom(id)))
          .addTo(this);
      } else {
        new CircleMarker(at, { ...look, color: colour ?? "", fillOpacity: 0.7, radius: 6 })
          .on("click", () => { this.onPick(properties); })
          .addTo(this);
      }
    }
  }
}

/** What Leaflet keeps of a circle and of the canvas that it is drawn on. */
interface Drawn {
  _point: Point;
  _renderer: { _ctx: CanvasRenderingContext2D; _drawing: boolean };
  _empty(): boolean;
}

/** A circle with a number in it. */
class Counted extends CircleMarker {
  constructor(
    at: { lat: number; lng: number },
    readonly told: string,
    readonly ink: string,
    options: CircleMarkerOptions,
  ) {
    super(at, options);
  }

  /** Leaflet's own step of drawing, taken for every shape of the part that is drawn anew. */
  protected _updatePath(): void {
    (CircleMarker.prototype as unknown as { _updatePath(): void })._updatePath.call(this);
    const drawn = this as unknown as Drawn;
    const { _renderer: renderer, _point: at } = drawn;
    if (!renderer._drawing || drawn._empty()) return;
    const pen = renderer._ctx;
    pen.font = "700 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = this.ink;
    pen.globalAlpha = 1;
    pen.fillText(this.told, at.x, at.y + 1);
  }
}
