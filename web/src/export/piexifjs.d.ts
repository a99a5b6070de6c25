/** The part of piexifjs that the page uses; the package has no types of its own. */
declare module "piexifjs" {
  type Value = string | number | number[] | [number, number][];
  type Block = Record<number, Value>;
  interface Exif {
    "0th": Block;
    Exif: Block;
    GPS: Block;
    Interop: Block;
    "1st": Block;
    thumbnail: string | null;
  }
  const piexif: {
    load(jpeg: string): Exif;
    dump(exif: Exif): string;
    insert(exif: string, jpeg: string): string;
    GPSIFD: Record<
      | "GPSVersionID"
      | "GPSLatitudeRef"
      | "GPSLatitude"
      | "GPSLongitudeRef"
      | "GPSLongitude"
      | "GPSProcessingMethod"
      | "GPSHPositioningError",
      number
    >;
  };
  export default piexif;
}
