"""Hold custom resources to the models that were generated from their operators' definitions.

Run in the operators' own environment: ``crd_check.py FILE.yaml …`` prints the kinds it saw. A
field that a definition does not know is lost on the way through its model.
"""

import sys
from importlib import import_module
from pathlib import Path

import yaml

MODELS = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "ServiceMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PodMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}


def main() -> None:
    """Exit status: 0 when all fit."""
    for path in sys.argv[1:]:
        for resource in yaml.safe_load_all(Path(path).read_text("utf-8")):
            module = MODELS.get(resource["kind"])
            if module is None:
                continue
            model = getattr(import_module(module), resource["kind"])
            read = model.model_validate(resource)
            known = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
            if known != resource:
                sys.exit(f"{path}: {_lost(resource, known, resource['kind'])}")
            print(resource["kind"])


def _lost(given: object, known: object, where: str) -> str:
    """The first place at which the two differ."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                return f"{where}.{key} is unknown"
            if value != known[key]:
                return _lost(value, known[key], f"{where}.{key}")
    if isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for n, (one, other) in enumerate(zip(given, known, strict=True)):
            if one != other:
                return _lost(one, other, f"{where}[{n}]")
    return f"{where} is {given!r}, and would be read as {known!r}"


if __name__ == "__main__":
    main()
