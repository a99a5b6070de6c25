/** Natural Earth's coasts and borders, and a graticule, drawn into Leaflet's tiles. */
import type { Feature, MultiLineString, MultiPolygon, Polygon, Position } from "geojson";
import { GridLayer, type Coords } from "leaflet";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import fineUrl from "world-atlas/countries-50m.json?url";
import coarseUrl from "world-atlas/countries-110m.json?url";

type World = Topology<{ countries: GeometryCollection; land: GeometryCollection }>;

/** A line in Web Mercator, the world 0 to 1 on both axes, with its bounds. */
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

/**
 * A line whose longitudes do not jump at ±180°: it may leave the world on either side. A ring
 * around the south pole is closed along the map's lower edge.
 */
function line(positions: Position[]): Line {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const [lon = 0, lat = 0] of positions) {
    const x = lon / 360 + 0.5;
    const before = xs.at(-1) ?? x;
    xs.push(x - Math.round(x - before));
    ys.push(mercator(lat));
  }
  const [first = 0, last = 0] = [xs[0], xs.at(-1)];
  if (Math.abs(last - first) > 0.5) {
    xs.push(last, first);
    ys.push(1, 1);
  }
  const points = new Float64Array(xs.length * 2);
  xs.forEach((x, at) => { points.set([x, ys[at] ?? 0], 2 * at); });
  const [west, east] = [Math.min(...xs), Math.max(...xs)];
  return { points, west, east, north: Math.min(...ys), south: Math.max(...ys) };
}

/** The parts of a ring that are coasts, not the cut of the data at ±180° or the south pole. */
function coasts(ring: Position[]): Line[] {
  const parts: Position[][] = [[]];
  const isCut = ([lon = 0, lat = 0]: Position) => Math.abs(lon) > SEAM || lat < -89.9;
  for (const position of ring) {
    const before = parts.at(-1)?.at(-1);
    if (before && isCut(before) && isCut(position)) parts.push([]);
    parts.at(-1)?.push(position);
  }
  return parts.filter((part) => part.length > 1).map(openLine);
}

/** A line that is not to be closed, whatever it goes round. */
function openLine(positions: Position[]): Line {
  const whole = line(positions);
  return { ...whole, points: whole.points.subarray(0, 2 * positions.length) };
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
    coasts: rings.flatMap(coasts),
    borders: borders.coordinates.map(openLine),
  };
}

/** The built-in map as a Leaflet layer; to be redrawn when the page's colours change. */
export class Basemap extends GridLayer {
  #coarse: Shapes | undefined;
  #fine: Shapes | undefined;
  #fineIsComing = false;

  constructor() {
    super({ attribution: "Natural Earth · GeoNames" });
    void this.#load(coarseUrl, (shapes) => (this.#coarse = shapes));
  }

  override createTile(coords: Coords): HTMLElement {
    const size = this.getTileSize();
    const tile = document.createElement("canvas");
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    tile.width = size.x * scale;
    tile.height = size.y * scale;
    if (coords.z >= FINE_FROM_ZOOM && !this.#fineIsComing) this.#loadFine();
    const shapes = (coords.z >= FINE_FROM_ZOOM ? this.#fine : undefined) ?? this.#coarse;
    const pen = tile.getContext("2d");
    if (pen && shapes) {
      pen.scale(scale, scale);
      paint(pen, shapes, coords, size.x);
    }
    return tile;
  }

  #loadFine(): void {
    this.#fineIsComing = true;
    void this.#load(fineUrl, (shapes) => (this.#fine = shapes)).then((came) => {
      this.#fineIsComing = came;
    });
  }

  /** Whether it came; offline, the map stays as coarse as it is. */
  async #load(url: string, use: (shapes: Shapes) => void): Promise<boolean> {
    try {
      use(await load(url));
    } catch {
      return false;
    }
    this.redraw();
    return true;
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
      if (each.north > view.south || each.south < view.north) continue;
      for (const turn of [-1, 0, 1]) {
        if (each.west + turn > view.east || each.east + turn < view.west) continue;
        follow(pen, each.points, view.west - turn, view.north, world * size);
      }
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
  for (let lon = -180; lon < 180; lon += step) lines.push(straight([lon, -90], [lon, 90]));
  for (let lat = -90 + step; lat < 90; lat += step) lines.push(straight([-180, lat], [180, lat]));
  return lines;
}

function straight([west, south]: [number, number], [east, north]: [number, number]): Line {
  const [x1, x2] = [west / 360 + 0.5, east / 360 + 0.5];
  const [y1, y2] = [mercator(south), mercator(north)];
  return { points: Float64Array.of(x1, y1, x2, y2), west: x1, east: x2, north: y2, south: y1 };
}
