/** Pictures of the map out of one PMTiles archive, which is read by ranges. */
import { GridLayer, type Coords, type DoneCallback, type GridLayerOptions } from "leaflet";
import { PMTiles, TileType } from "pmtiles";

const PICTURES: Partial<Record<TileType, string>> = {
  [TileType.Png]: "image/png",
  [TileType.Jpeg]: "image/jpeg",
  [TileType.Webp]: "image/webp",
  [TileType.Avif]: "image/avif",
};

/** The archive as a layer; undefined where it holds something else than pictures. */
export async function archiveLayer(
  address: string,
  options: GridLayerOptions,
): Promise<GridLayer | undefined> {
  const archive = new PMTiles(address);
  const { minZoom, maxZoom, tileType } = await archive.getHeader();
  const type = PICTURES[tileType];
  if (!type) return undefined;
  return new Archive(archive, type, { ...options, minNativeZoom: minZoom, maxNativeZoom: maxZoom });
}

class Archive extends GridLayer {
  constructor(readonly archive: PMTiles, readonly type: string, options: GridLayerOptions) {
    super(options);
  }

  override createTile({ x, y, z }: Coords, done: DoneCallback): HTMLElement {
    const picture = document.createElement("img");
    picture.alt = "";
    const show = async () => {
      const found = await this.archive.getZxy(z, x, y);
      if (!found) return;
      picture.src = URL.createObjectURL(new Blob([found.data], { type: this.type }));
      await picture.decode().finally(() => { URL.revokeObjectURL(picture.src); });
    };
    show().then(
      () => { done(undefined, picture); },
      (error: unknown) => { done(error instanceof Error ? error : new Error("no tile"), picture); },
    );
    return picture;
  }
}
