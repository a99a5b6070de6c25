"""ONNX Runtime sessions on a processor or a GPU, and one run of them.

A device is named ``auto``, ``cpu``, ``cuda:0`` or ``tensorrt:0``. ONNX Runtime is imported when a
model is opened, not before: commands that need no model start without it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np
from platformdirs import user_cache_path

from geofix.engine.models import ModelCard
from geofix.engine.types import Float32Array
from geofix.errors import ModelUnavailable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")

LARGEST_BATCH = 64
"""Photos in one run, where nobody has fixed another number."""

Options = dict[str, str]


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session runs."""

    kind: str = "cpu"
    """``cpu``, ``cuda`` or ``tensorrt``."""
    index: int = 0
    """Of the GPU."""

    @classmethod
    def named(cls, name: str) -> Device:
        """``auto`` is the first GPU where this ONNX Runtime can use one, else the processor.

        Raises :class:`ModelUnavailable` for a name or a device that there is not.
        """
        available = _onnxruntime().get_available_providers()
        if name == "auto":
            return cls("cuda") if "CUDAExecutionProvider" in available else cls()
        kind, _, index = name.partition(":")
        if kind not in _PROVIDERS or not (index or "0").isdecimal():
            raise ModelUnavailable(
                f"There is no device {name!r}; devices are auto, cpu, cuda:0 and tensorrt:0."
            )
        if _PROVIDERS[kind][0] not in available:
            raise ModelUnavailable(
                f"This ONNX Runtime cannot use {name!r}: install geofix[gpu] in place of [cpu]."
            )
        return cls(kind, int(index or "0"))

    @property
    def is_gpu(self) -> bool:
        """Whether photos have to be copied to it."""
        return self.kind != "cpu"


class Session:
    """An opened model; several threads may run it at once, a GPU takes them in turn."""

    def __init__(
        self, card: ModelCard, session: InferenceSession, device: Device, threads: int = 0
    ) -> None:
        self.card = card
        self.device = device
        self.threads = threads or _cores()
        self._session = session
        self._input = session.get_inputs()[0].name
        self._staging = _Staging() if device.is_gpu else None

    @classmethod
    def open(
        cls, card: ModelCard, threads: int = 0, device: str = "auto", *, fp16: bool = False
    ) -> Session:
        """Check the files of ``card`` and open its graph.

        ``threads`` of the processor, 0 = one per core; ``fp16`` computes in half precision on a
        GPU. Raises :class:`ModelUnavailable` when a file is missing, damaged or no ONNX graph, or
        the device cannot be had.
        """
        ort = _onnxruntime()
        card.require()
        where = Device.named(device)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads starve the other sessions and the decoders: half the median under load.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Work is dealt out in small blocks: a thread that decoding interrupts holds nobody up.
        options.add_session_config_entry("session.dynamic_block_base", "4")
        try:
            graph = _half_precision(card.path) if fp16 and where.kind == "cuda" else card.path
            opened = ort.InferenceSession(graph, options, providers=_providers(card, where, fp16))
        except Exception as error:  # ONNX Runtime's own exceptions share no base
            raise ModelUnavailable(
                f"Model {card.name!r} is no graph that this ONNX Runtime can open. "
                "Check it with `geofix models verify`."
            ) from error
        if where.is_gpu and _PROVIDERS[where.kind][0] not in opened.get_providers():
            # ONNX Runtime goes on with the processor when a driver or a library is missing.
            raise ModelUnavailable(
                f"The GPU {device!r} cannot be used: its driver, CUDA or cuDNN is missing or does "
                "not fit this ONNX Runtime."
            )
        return cls(card, opened, where, threads)

    def run(self, batch: Float32Array) -> dict[str, Float32Array]:
        """float32 [N, …] → the outputs of the model's card by name, each float32 [N, D]."""
        names = list(self.card.outputs)
        if self._staging is None:
            outputs = self._session.run(names, {self._input: batch})
        else:
            with self._staging.lock:
                binding = self._session.io_binding()
                binding.bind_cpu_input(self._input, self._staging.hold(batch))
                for name in names:
                    binding.bind_output(name)
                self._session.run_with_iobinding(binding)
                outputs = binding.copy_outputs_to_cpu()
        return dict(zip(names, cast("list[Float32Array]", outputs), strict=True))


class _Staging:
    """A page-locked buffer: the GPU fetches from it without a copy in between."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._buffer = np.empty(0, dtype=np.float32)
        self._runtime = _cuda_runtime()

    def hold(self, batch: Float32Array) -> Float32Array:
        """``batch`` copied into the buffer; the buffer grows to the largest batch seen."""
        if self._runtime is None:
            return batch
        if batch.size > self._buffer.size:
            self._release()
            self._buffer = np.empty(batch.size, dtype=np.float32)
            pointer, size = ctypes.c_void_p(self._buffer.ctypes.data), self._buffer.nbytes
            if self._runtime.cudaHostRegister(pointer, ctypes.c_size_t(size), 0):
                log.warning("the buffer of %d bytes cannot be page-locked", size)
                self._buffer, self._runtime = np.empty(0, dtype=np.float32), None
                return batch
        held = self._buffer[: batch.size].reshape(batch.shape)
        np.copyto(held, batch)
        return held

    def _release(self) -> None:
        if self._runtime is not None and self._buffer.size:
            self._runtime.cudaHostUnregister(ctypes.c_void_p(self._buffer.ctypes.data))

    def __del__(self) -> None:
        self._release()


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime  # noqa: PLC0415 – a quarter of a second that only models pay
    except ImportError as error:
        raise ModelUnavailable(
            "ONNX Runtime is not installed: install geofix[cpu] or geofix[gpu]."
        ) from error
    module: ModuleType = onnxruntime
    return module


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _providers(card: ModelCard, device: Device, fp16: bool) -> list[tuple[str, Options]]:
    ort = _onnxruntime()
    if device.is_gpu:
        ort.preload_dlls()  # CUDA and cuDNN as pip installs them
    options: dict[str, Options] = {
        "TensorrtExecutionProvider": {
            "device_id": str(device.index),
            "trt_fp16_enable": str(int(fp16)),
            "trt_engine_cache_enable": "1",  # building an engine takes minutes
            "trt_engine_cache_path": str(user_cache_path("geofix") / "tensorrt"),
            **_profile(card),
        },
        "CUDAExecutionProvider": {"device_id": str(device.index)},
    }
    available = ort.get_available_providers()
    return [(name, options.get(name, {})) for name in _PROVIDERS[device.kind] if name in available]


def _profile(card: ModelCard) -> Options:
    """The batches TensorRT builds its engine for, so that a new size is no new engine."""
    if card.preprocessing is None:
        return {}
    height, width = card.preprocessing.crop
    name = card.input.split()[0]
    return {
        f"trt_profile_{which}_shapes": f"{name}:{size}x3x{height}x{width}"
        for which, size in (("min", 1), ("opt", 8), ("max", LARGEST_BATCH))
    }


def _half_precision(path: Path) -> bytes:
    """The graph at ``path`` computing in float16, with float32 inputs and outputs."""
    import onnx  # noqa: PLC0415 – only for this option
    from onnxruntime.transformers.float16 import (  # type: ignore[import-untyped]  # noqa: PLC0415
        convert_float_to_float16,
    )

    converted = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    return cast("bytes", converted.SerializeToString())


def _cuda_runtime() -> ctypes.CDLL | None:
    """CUDA's runtime library as ONNX Runtime has loaded it."""
    for name in _CUDA_RUNTIMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    log.warning("CUDA's runtime library is not found: photos are copied to the GPU twice")
    return None
