/** An operator's own map tiles, on another origin: pictures by their address, and a PMTiles archive. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { crc32, deflateSync } from "node:zlib";

export const GREEN = [20, 160, 70] as const;

export class Tiles {
  readonly #server = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag");
    response.setHeader("Access-Control-Allow-Headers", "Range");
    if (request.method === "OPTIONS") {
      response.end();
    } else if (request.url?.startsWith("/world.pmtiles")) {
      const [, from = 0, to = 0] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "")?.map(Number) ?? [];
      const piece = ARCHIVE.subarray(from, to + 1);
      response.writeHead(206, { "Content-Range": `bytes ${from}-${from + piece.length - 1}/${ARCHIVE.length}` });
      response.end(piece);
    } else {
      response.setHeader("Content-Type", "image/png");
      response.end(PICTURE);
    }
  });

  async open(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

/** One colour, 256 pixels a side. */
const PICTURE = png(256);
/** The same for every tile down to zoom 5, as PMTiles version 3 lays it out. */
const ARCHIVE = pmtiles(PICTURE, 5);

function png(side: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const named = Buffer.concat([Buffer.from(name), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2], 8); // bits, RGB
  const row = Buffer.concat([Buffer.of(0), ...Array.from({ length: side }, () => Buffer.from(GREEN))]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
}

function pmtiles(tile: Buffer, maxZoom: number): Buffer {
  const tiles = (4 ** (maxZoom + 1) - 1) / 3;
  // One entry: from tile 0 on, so many the same, so long, at offset 0 (written as 1).
  const directory = Buffer.from([1, 0, ...varint(tiles), ...varint(tile.length), 1]);
  const metadata = Buffer.from("{}");
  const header = Buffer.alloc(127);
  header.write("PMTiles");
  header[7] = 3;
  const sizes = [127, directory.length, 127 + directory.length, metadata.length, 0, 0,
    127 + directory.length + metadata.length, tile.length, tiles, 1, 1];
  sizes.forEach((size, at) => { header.writeBigUInt64LE(BigInt(size), 8 + 8 * at); });
  header.set([1, 1, 1, 2, 0, maxZoom], 96); // clustered, nothing compressed, PNG, zooms
  [-180, -85, 180, 85].forEach((degrees, at) => { header.writeInt32LE(degrees * 1e7, 102 + 4 * at); });
  return Buffer.concat([header, directory, metadata, tile]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
