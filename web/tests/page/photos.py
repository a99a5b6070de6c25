"""Photos to test the page with, into a folder: ``python photos.py FOLDER``.

Two real ones come with scikit-learn (CC BY 2.0, danielbuechele and vultilion); others are made of
them: pieces for a gallery, one with a sign painted into it, a damaged one; and lists of them.
"""

from __future__ import annotations

import base64
import json
import sys
import tarfile
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from sklearn import datasets


def main(folder: Path) -> None:
    """Write the photos."""
    images = Path(datasets.__file__).parent / "images"
    palace, flower = (Image.open(images / name).convert("RGB") for name in _NAMES)
    palace.save(folder / "palace.jpg", quality=92)
    flower.save(folder / "flower.jpg", quality=92)
    for at, left in enumerate(range(0, 120, 20)):
        palace.crop((left, 0, left + 520, 427)).save(folder / f"palace-{at}.jpg", quality=85)
        flower.crop((left, 0, left + 520, 427)).save(folder / f"flower-{at}.jpg", quality=85)
    sign = palace.resize((1280, 854))
    pen = ImageDraw.Draw(sign)
    pen.rectangle((120, 90, 900, 260), fill=(20, 60, 140))
    pen.text((150, 110), "LISBOA", fill="white", font=ImageFont.load_default(110))
    sign.save(folder / "sign.jpg", quality=92)
    Image.new("RGB", (640, 480), (128, 128, 128)).save(folder / "grey.jpg")
    data = (folder / "palace.jpg").read_bytes()
    filler = b"\xff\xfe\xff\xff" + bytes(65_533)  # a comment, as long as one may be
    (folder / "huge.jpg").write_bytes(data[:2] + filler * 470 + data[2:])
    (folder / "text.jpg").write_text("This is no photo.")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "damaged.jpg").write_bytes(data[: len(data) // 3])
    _lists(folder)


def _lists(folder: Path) -> None:
    """Photos as archives and in lines, whole and broken."""
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for name in ("palace.jpg", "damaged.jpg"):
            archive.write(folder / name, name)
    with tarfile.open(folder / "photos.tar", "w") as archive:
        for name in ("palace.jpg", "flower.jpg"):
            archive.add(folder / name, name)
    lines = [
        json.dumps(
            {"custom_id": name, "photo": base64.b64encode((folder / name).read_bytes()).decode()}
        )
        for name in ("palace.jpg", "flower.jpg", "sign.jpg")
    ]
    (folder / "photos.ndjson").write_text("\n".join(lines) + "\n")
    (folder / "broken.ndjson").write_text(lines[0] + "\n{}\n")
    (folder / "broken.zip").write_bytes((folder / "photos.zip").read_bytes()[:1000])


_NAMES = ("china.jpg", "flower.jpg")

if __name__ == "__main__":
    main(Path(sys.argv[1]))
