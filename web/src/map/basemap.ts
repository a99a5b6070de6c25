/** Natural Earth's coasts and borders, and a graticule, drawn into Leaflet's tiles. */
import type { Feature, MultiLineString, MultiPolygon, Polygon, Position } from "geojson";
import { GridLayer, type Coords } from "leaflet";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import fineUrl from "world-atlas/countries-50m.json?url";
import coarseUrl from "world-atlas/countries-110m.json?url";

type World = Topology<{ countries: GeometryCollection; land: GeometryCollection }>;

/** A line in Web Mercator, both axes 0 to 1, with its bounds. */
interface Line {
  points: Float64Array;
  west: number;
  east: number;
  north: number;
  south: number;
}

interface Shapes {
  land: Line[];
  coasts: Line[];
  borders: Line[];
}

const FINE_FROM_ZOOM = 4;
const SEAM = 179.999;

export function mercator(lat: number): number {
  const sin = Math.sin((Math.max(-85.0511, Math.min(85.0511, lat)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI);
}

function line(positions: Position[]): Line {
  const points = new Float64Array(positions.length * 2);
  let [west, east, north, south] = [1, 0, 1, 0];
  positions.forEach(([lon = 0, lat = 0], at) => {
    const x = lon / 360 + 0.5;
    const y = mercator(lat);
    points[2 * at] = x;
    points[2 * at + 1] = y;
    west = Math.min(west, x);
    east = Math.max(east, x);
    north = Math.min(north, y);
    south = Math.max(south, y);
  });
  return { points, west, east, north, south };
}

/** The parts of a ring that are coasts, not the cut of the data at ±180° or the south pole. */
function* coasts(ring: Position[]): Generator<Position[]> {
  let part: Position[] = [];
  const isCut = ([lon = 0, lat = 0]: Position) => Math.abs(lon) > SEAM || lat < -89.9;
  for (const position of ring) {
    const before = part.at(-1);
    if (before && isCut(before) && isCut(position)) {
      if (part.length > 1) yield part;
      part = [];
    }
    part.push(position);
  }
  if (part.length > 1) yield part;
}

async function load(url: string): Promise<Shapes> {
  const world = (await (await fetch(url)).json()) as World;
  const land = feature(world, world.objects.land) as unknown as {
    features: Feature<MultiPolygon | Polygon>[];
  };
  const rings = land.features.flatMap(({ geometry }) =>
    geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat(),
  );
  const borders: MultiLineString = mesh(world, world.objects.countries, (a, b) => a !== b);
  return {
    land: rings.map(line),
    coasts: rings.flatMap((ring) => [...coasts(ring)].map(line)),
    borders: borders.coordinates.map(line),
  };
}

/** The built-in map as a Leaflet layer. `recolour` draws it anew after a change of theme. */
export class Basemap extends GridLayer {
  #coarse: Shapes | undefined;
  #fine: Shapes | undefined;
  #loadingFine: Promise<void> | undefined;
  readonly ready: Promise<void>;

  constructor() {
    super({ attribution: "Natural Earth · GeoNames", noWrap: false });
    this.ready = load(coarseUrl).then((shapes) => {
      this.#coarse = shapes;
      this.redraw();
    });
  }

  recolour(): void {
    this.redraw();
  }

  override createTile(coords: Coords): HTMLElement {
    const size = this.getTileSize();
    const tile = document.createElement("canvas");
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    tile.width = size.x * scale;
    tile.height = size.y * scale;
    if (coords.z >= FINE_FROM_ZOOM) this.#loadFine();
    const shapes = (coords.z >= FINE_FROM_ZOOM ? this.#fine : undefined) ?? this.#coarse;
    const pen = tile.getContext("2d");
    if (pen && shapes) {
      pen.scale(scale, scale);
      paint(pen, shapes, coords, size.x);
    }
    return tile;
  }

  #loadFine(): void {
    this.#loadingFine ??= load(fineUrl).then(
      (shapes) => {
        this.#fine = shapes;
        this.redraw();
      },
      () => {
        this.#loadingFine = undefined; // offline for now: the coarse one stays
      },
    );
  }
}

function paint(pen: CanvasRenderingContext2D, shapes: Shapes, { x, y, z }: Coords, size: number) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name);
  const world = 2 ** z;
  const column = ((x % world) + world) % world;
  const view = { west: column / world, north: y / world, east: 0, south: 0 };
  view.east = view.west + 1 / world;
  view.south = view.north + 1 / world;
  const trace = (lines: Line[]) => {
    pen.beginPath();
    for (const each of lines) {
      if (each.west > view.east || each.east < view.west) continue;
      if (each.north > view.south || each.south < view.north) continue;
      follow(pen, each.points, view.west, view.north, world * size);
    }
  };
  pen.fillStyle = colour("--water");
  pen.fillRect(0, 0, size, size);
  pen.fillStyle = colour("--land");
  trace(shapes.land);
  pen.fill("evenodd");
  pen.lineWidth = 0.6;
  pen.strokeStyle = colour("--graticule");
  trace(graticule(z));
  pen.stroke();
  pen.strokeStyle = colour("--coast");
  trace(shapes.coasts);
  pen.stroke();
  pen.strokeStyle = colour("--border");
  pen.setLineDash([4, 2]);
  trace(shapes.borders);
  pen.stroke();
}

/** Trace a line, leaving out points that cannot be told apart. */
function follow(
  pen: CanvasRenderingContext2D,
  points: Float64Array,
  west: number,
  north: number,
  scale: number,
): void {
  let [lastX, lastY] = [Infinity, Infinity];
  for (let at = 0; at < points.length; at += 2) {
    const x = ((points[at] ?? 0) - west) * scale;
    const y = ((points[at + 1] ?? 0) - north) * scale;
    const isLast = at >= points.length - 2;
    if (at && !isLast && Math.abs(x - lastX) < 0.5 && Math.abs(y - lastY) < 0.5) continue;
    if (at) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    [lastX, lastY] = [x, y];
  }
}

/** Meridians and parallels: every 30° on the world, finer when closer. */
function graticule(zoom: number): Line[] {
  const step = [30, 30, 30, 15, 10, 5, 2, 1][zoom] ?? 0.5;
  const lines: Line[] = [];
  for (let lon = -180; lon <= 180; lon += step) lines.push(line([[lon, -85.05], [lon, 85.05]]));
  for (let lat = -90 + step; lat < 90; lat += step) lines.push(line([[-180, lat], [180, lat]]));
  return lines;
}
