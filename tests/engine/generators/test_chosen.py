"""Which generators a caller gets."""

from __future__ import annotations

import pytest

from geofix.engine.generators.chosen import Generators
from geofix.errors import InvalidOption
from geofix.settings import Settings


@pytest.mark.parametrize(
    ("names", "channels"),
    [
        (("auto",), ["text", "attributes"]),
        (("attributes",), ["attributes"]),
        (("attributes", "text"), ["text", "attributes"]),
        (("none", "text"), []),
        ((), []),
    ],
)
def test_generators_by_name(names: tuple[str, ...], channels: list[str]) -> None:
    chosen = Generators(Settings(), None).named(names)
    assert [str(generator.channel) for generator in chosen] == channels


def test_a_generator_that_is_not_here_is_an_invalid_option() -> None:
    generators = Generators(Settings(), None)
    assert generators.circuit is None
    with pytest.raises(InvalidOption, match="no generator lmm here"):
        generators.named(("lmm", "text"))
