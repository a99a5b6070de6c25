"""The document's style, and the TypeScript client: it compiles, and asks the live service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.generated import TYPESCRIPT, run

pytestmark = pytest.mark.tools

_PROGRAM = """
import { readFile } from "node:fs/promises";
import { form, geofix } from "%(client)s/dist/index.js";

const client = geofix(process.argv[2]);
const photo = new Blob([await readFile(process.argv[3])]);
const multipart = { bodySerializer: form };
const { data, error } = await client.POST("/v1/locate", {
  body: { photo, generators: "none" },
  ...multipart,
});
if (!data) throw new Error(error.detail);
const refused = await client.POST("/v1/locate", {
  body: { photo: new Blob(["no photo"]) },
  ...multipart,
});
console.log(data.position.lat, refused.error.status, refused.error.type);
"""


def test_the_document_is_in_good_style() -> None:
    run("npm", "run", "--silent", "lint", cwd=TYPESCRIPT)


def test_the_client_compiles_and_talks_to_the_service(
    address: str, jpeg: bytes, tmp_path: Path
) -> None:
    run("npm", "run", "--silent", "build", cwd=TYPESCRIPT)
    photo, program = tmp_path / "photo.jpg", tmp_path / "program.mjs"
    photo.write_bytes(jpeg)
    program.write_text(_PROGRAM % {"client": TYPESCRIPT}, "utf-8")
    latitude, status, kind = run("node", program, address, photo).split()
    assert -90 <= float(latitude) <= 90
    assert (status, kind) == ("415", "urn:geofix:problem:unsupported-format")
