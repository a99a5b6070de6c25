"""Peers, each installed from the package registry into an environment of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.load.peers.one_model import MODEL_VARIABLE
from benchmarks.load.servers import START_S, Server, process, wait

_APPS = Path(__file__).with_name("peers")


@dataclass(frozen=True, slots=True)
class Peer:
    """How one is installed, started and asked."""

    name: str
    packages: Sequence[str]
    command: Callable[[Path, int], Sequence[str]]
    """Of the environment's bin folder and a port."""
    path: str
    takes_json: bool = False
    without: Sequence[str] = ()
    """Packages that come along and are taken out again."""


PEERS = (
    Peer(
        "LitServe",
        ("litserve==0.2.19", "onnxruntime", "pillow", "numpy"),
        lambda bin_, port: (str(bin_ / "python"), "litserve_app.py", str(port)),
        "/predict",
        takes_json=True,
    ),
    Peer(
        "BentoML",
        ("bentoml==1.4.39", "onnxruntime", "pillow", "numpy"),
        lambda bin_, port: (
            *(str(bin_ / "bentoml"), "serve", "bentoml_app:Embed"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ),
        "/embed",
    ),
    Peer(
        "infinity",
        (
            "aiohttp",
            "infinity-emb[server,torch,vision]==0.0.78",
            "torch==2.13.0",
            "transformers<5",
            "click<8.2",
        ),
        lambda bin_, port: (str(bin_ / "python"), "infinity_app.py", str(port)),
        "/embed",
        without=("torchvision",),  # its builds do not fit torch's for processors; it is not used
    ),
)


@contextmanager
def running(peer: Peer, folder: Path, model: Path) -> Iterator[Server]:
    """The peer, serving ``model``; its environment in ``folder`` is made when it is not there."""
    bin_ = _installed(peer, folder) / "bin"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    environment = {MODEL_VARIABLE: str(model), "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    with process(peer.command(bin_, port), environment, cwd=_APPS) as started:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
        while not _listens(address):
            wait(started, deadline)
        yield Server(peer.name, address, peer.path, started.pid, peer.takes_json)


def _installed(peer: Peer, folder: Path) -> Path:
    environment = folder / peer.name
    done = environment / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)  # noqa: S603
        pip = environment / "bin" / "pip"
        subprocess.run([pip, "install", "--quiet", *peer.packages], check=True)  # noqa: S603
        if peer.without:
            subprocess.run([pip, "uninstall", "--quiet", "-y", *peer.without], check=True)  # noqa: S603
        done.touch()
    return environment


def _listens(address: str) -> bool:
    try:
        httpx.get(address)
    except httpx.TransportError:
        return False
    return True
