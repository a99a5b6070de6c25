/** A smaller copy of a photo: nothing that the service looks at is lost at this size. */
const LONGEST_SIDE = 2048;

export async function shrunk(photo: Blob): Promise<Blob> {
  const picture = await createImageBitmap(photo);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const sheet = document.createElement("canvas");
  sheet.width = Math.round(picture.width * scale);
  sheet.height = Math.round(picture.height * scale);
  sheet.getContext("2d")?.drawImage(picture, 0, 0, sheet.width, sheet.height);
  picture.close();
  return new Promise((resolve, reject) => {
    sheet.toBlob(
      (copy) => {
        if (copy) resolve(copy);
        else reject(new Error("no copy"));
      },
      "image/jpeg",
      0.9,
    );
  });
}
