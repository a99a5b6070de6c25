/** Asking a person for a point, a box or a polygon on the map. Escape gives up. */
import { DomEvent, LatLngBounds, polyline, rectangle, type LeafletMouseEvent, type Map } from "leaflet";

import type { LatLon } from "../api/types";
import { near } from "./geodesy";

export type Box = [west: number, south: number, east: number, north: number];
export type Corners = [lat: number, lon: number][];

/** Ends a drawing without a result; the promise is then rejected with this. */
export class GivenUpError extends Error {}

let giveUp: (() => void) | undefined;

/** Run one drawing at a time; another one, or Escape, ends it. */
function drawing<T>(map: Map, run: (done: (result: T) => void) => () => void): Promise<T> {
  giveUp?.();
  return new Promise<T>((resolve, reject) => {
    const element = map.getContainer();
    const end = () => {
      cleanUp();
      element.classList.remove("drawing");
      document.removeEventListener("keydown", onKey);
      giveUp = undefined;
    };
    const cancel = () => {
      end();
      reject(new GivenUpError());
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") cancel();
    };
    const cleanUp = run((result) => {
      end();
      resolve(result);
    });
    element.classList.add("drawing");
    document.addEventListener("keydown", onKey);
    giveUp = cancel;
  });
}

export function stopDrawing(): void {
  giveUp?.();
}

export function pickPoint(map: Map): Promise<LatLon> {
  return drawing<LatLon>(map, (done) => {
    const onClick = ({ latlng }: LeafletMouseEvent) => {
      done({ lat: latlng.lat, lon: near(latlng.lng, 0) });
    };
    map.on("click", onClick);
    return () => map.off("click", onClick);
  });
}

/** A box drawn by dragging, or by two taps. */
export function drawBox(map: Map): Promise<Box> {
  return drawing<Box>(map, (done) => {
    let corner: LeafletMouseEvent["latlng"] | undefined;
    let tapped = false;
    const shape = rectangle(new LatLngBounds([0, 0], [0, 0]), { dashArray: "4", weight: 2 });
    const finish = (other: LeafletMouseEvent["latlng"]) => {
      if (!corner) return;
      const bounds = new LatLngBounds(corner, other);
      const [west, east] = [near(bounds.getWest(), 0), near(bounds.getEast(), 0)];
      done([west, Math.max(-90, bounds.getSouth()), east, Math.min(90, bounds.getNorth())]);
    };
    const onDown = ({ latlng }: LeafletMouseEvent) => {
      if (tapped) {
        finish(latlng);
        return;
      }
      corner = latlng;
      shape.addTo(map);
    };
    const onMove = ({ latlng }: LeafletMouseEvent) => {
      if (corner) shape.setBounds(new LatLngBounds(corner, latlng));
    };
    const onUp = ({ latlng }: LeafletMouseEvent) => {
      if (!corner || tapped) return;
      const moved = map.latLngToContainerPoint(corner).distanceTo(map.latLngToContainerPoint(latlng));
      if (moved > 6) finish(latlng);
      else tapped = true;
    };
    map.dragging.disable();
    map.on({ mousedown: onDown, mousemove: onMove, mouseup: onUp });
    return () => {
      map.off({ mousedown: onDown, mousemove: onMove, mouseup: onUp });
      map.dragging.enable();
      shape.remove();
    };
  });
}

/** A polygon drawn corner by corner; a double click, Enter or a click on the first corner ends it. */
export function drawPolygon(map: Map): Promise<Corners> {
  return drawing<Corners>(map, (done) => {
    const corners: LeafletMouseEvent["latlng"][] = [];
    const shape = polyline([], { dashArray: "4", weight: 2 }).addTo(map);
    const finish = () => {
      if (corners.length >= 3) done(corners.map(({ lat, lng }) => [lat, near(lng, 0)]));
    };
    const onClick = ({ latlng }: LeafletMouseEvent) => {
      const first = corners[0];
      const here = map.latLngToContainerPoint(latlng);
      if (first && map.latLngToContainerPoint(first).distanceTo(here) < 12) {
        finish();
        return;
      }
      corners.push(latlng);
      shape.setLatLngs(corners);
    };
    const onDouble = (event: LeafletMouseEvent) => {
      DomEvent.stop(event);
      corners.pop(); // the second click of the two
      finish();
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Enter") finish();
    };
    map.doubleClickZoom.disable();
    map.on({ click: onClick, dblclick: onDouble });
    document.addEventListener("keydown", onKey);
    return () => {
      map.off({ click: onClick, dblclick: onDouble });
      map.doubleClickZoom.enable();
      document.removeEventListener("keydown", onKey);
      shape.remove();
    };
  });
}
