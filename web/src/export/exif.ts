/** The answer's position in the EXIF block of a copy of a JPEG. */
import piexif from "piexifjs";

import type { LatLon } from "../api/types";

const CHUNK = 0x8000;
const ESTIMATED = "Geofix estimate";

/** A copy of a JPEG that says where it was taken. Throws where its EXIF block is damaged. */
export async function withPosition(
  photo: Blob,
  at: LatLon,
  errorM: number,
): Promise<{ copy: Blob; replaced: boolean }> {
  const binary = toBinary(new Uint8Array(await photo.arrayBuffer()));
  const exif = piexif.load(binary);
  const gps = piexif.GPSIFD;
  const replaced = gps.GPSLatitude in exif.GPS;
  exif.GPS = {
    [gps.GPSVersionID]: [2, 3, 0, 0],
    [gps.GPSLatitudeRef]: at.lat < 0 ? "S" : "N",
    [gps.GPSLatitude]: sexagesimal(at.lat),
    [gps.GPSLongitudeRef]: at.lon < 0 ? "W" : "E",
    [gps.GPSLongitude]: sexagesimal(at.lon),
    [gps.GPSHPositioningError]: [Math.round(errorM), 1],
    [gps.GPSProcessingMethod]: `ASCII\0\0\0${ESTIMATED}`,
  };
  const written = piexif.insert(piexif.dump(exif), binary);
  const bytes = Uint8Array.from(written, (character) => character.charCodeAt(0));
  return { copy: new Blob([bytes], { type: "image/jpeg" }), replaced };
}

/** Degrees, minutes and seconds as EXIF's fractions. */
export function sexagesimal(degrees: number): [number, number][] {
  const ticks = Math.round(Math.abs(degrees) * 3600 * 1000);
  return [
    [Math.floor(ticks / 3_600_000), 1],
    [Math.floor(ticks / 60_000) % 60, 1],
    [ticks % 60_000, 1000],
  ];
}

function toBinary(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + CHUNK)));
  }
  return parts.join("");
}
