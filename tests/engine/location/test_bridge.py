"""The bridge on linear worlds with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geofix.engine.location import bridge
from geofix.engine.types import Float32Array
from geofix.errors import InvalidOption, ModelUnavailable


def world(n: int, noise: float, seed: int = 0) -> tuple[Float32Array, Float32Array, list[str]]:
    """Image vectors that hold the location linearly, plus a signature of the contributor."""
    rng = np.random.default_rng(seed)
    contributors = rng.integers(n // 20, size=n)
    locations = rng.standard_normal((n, 12))
    mix = rng.standard_normal((12, 40))
    signature = rng.standard_normal((n // 20, 40))
    images = locations @ mix + noise * (signature[contributors] + rng.standard_normal((n, 40)))
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (images, locations)]
    return (
        unit[0].astype(np.float32),
        unit[1].astype(np.float32),
        [f"c{c}" for c in contributors],
    )


def likeness(built: bridge.Bridge, images: Float32Array, locations: Float32Array) -> float:
    return float((bridge.apply(built, images) * locations).sum(axis=1).mean())


def test_a_linear_relation_is_found_and_holds_for_new_photos() -> None:
    images, locations, contributors = world(1500, 0.1)
    built = bridge.fit("lite", images[:1000], locations[:1000], contributors[:1000])
    assert likeness(built, images[1000:], locations[1000:]) > 0.95
    assert np.linalg.norm(bridge.apply(built, images), axis=1) == pytest.approx(1.0, abs=1e-5)
    assert built.points == 1000


def test_noise_asks_for_a_stronger_ridge() -> None:
    clear = bridge.fit("lite", *world(600, 0.05))
    noisy = bridge.fit("lite", *world(600, 6.0))
    assert noisy.strength > clear.strength
    assert noisy.likeness < clear.likeness


def test_its_likeness_is_honest_for_contributors_it_has_not_seen() -> None:
    images, locations, contributors = world(2000, 2.0)
    known = np.array([int(c[1:]) < 50 for c in contributors])
    names = [c for c, k in zip(contributors, known, strict=True) if k]
    built = bridge.fit("lite", images[known], locations[known], names)
    fresh = likeness(built, images[~known], locations[~known])
    assert built.likeness == pytest.approx(fresh, abs=0.05)


def test_too_few_points_and_a_single_contributor_are_refused() -> None:
    images, locations, contributors = world(499, 0.1)
    with pytest.raises(InvalidOption, match="500"):
        bridge.fit("lite", images, locations, contributors)
    images, locations, _ = world(600, 0.1)
    with pytest.raises(InvalidOption, match="two contributors"):
        bridge.fit("lite", images, locations, ["one"] * 600)


def test_points_without_contributor_stand_for_themselves() -> None:
    images, locations, _ = world(600, 0.1)
    assert bridge.fit("lite", images, locations, [""] * 600).likeness > 0.9


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    images, locations, contributors = world(600, 0.3)
    built = bridge.fit("lite", images, locations, contributors)
    bridge.save(built, tmp_path / "bridge.npz")
    again = bridge.load(tmp_path / "bridge.npz", "lite")
    np.testing.assert_array_equal(bridge.apply(again, images), bridge.apply(built, images))
    assert (again.points, again.strength) == (built.points, built.strength)
    assert [file.name for file in tmp_path.iterdir()] == ["bridge.npz"]


def test_a_missing_damaged_or_foreign_bridge_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bridge.npz"
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        bridge.load(file, "lite")
    bridge.save(bridge.fit("lite", *world(600, 0.3)), file)
    with pytest.raises(ModelUnavailable, match="not of 'geoclip'"):
        bridge.load(file, "geoclip")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        bridge.load(file, "lite")


def test_a_gallery_outgrows_its_bridge_at_a_fifth() -> None:
    built = bridge.fit("lite", *world(600, 0.3))
    assert not built.outgrown_by(719)
    assert built.outgrown_by(720)
