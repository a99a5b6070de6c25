"""The training loop: can be killed at any moment, and goes on to the same numbers."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor

from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.durable import replacing
from geofix.errors import Conflict, InvalidOption
from geofix.geo import cells
from indexer.models.align import checkpoint
from indexer.models.align.aligner import Aligner, Batch
from indexer.models.align.examples import Examples, held_out
from indexer.models.align.measure import Retrieval, retrieval
from indexer.models.align.options import Gps, Options

METRICS_FILE = "metrics.json"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to. Losses are means of the sums of all terms."""

    epoch: int
    learning_rate: float
    training: dict[str, float]
    """Each term of the loss, and ``total``."""
    held_out: dict[str, float]
    retrieval: Retrieval


@dataclass(frozen=True, slots=True)
class Step:
    """How far the running epoch is."""

    epoch: int
    step: int
    steps: int


Observer = Callable[[Step | Epoch], None]
_HISTORY = TypeAdapter(list[Epoch])


class Training:
    """One run in a folder of its own; use it within :func:`deterministic`."""

    def __init__(self, examples: Examples, options: Options, folder: Path) -> None:
        """Begin; :meth:`resume` then takes up what the folder holds."""
        self.examples, self.options, self.folder = examples, options, folder
        self._fingerprint = examples.fingerprint()
        rows, out = held_out(examples.latlon, options)
        self.rows, self.held_out_rows = torch.from_numpy(rows), torch.from_numpy(out)
        self._image = torch.from_numpy(examples.image)
        self._text = None if examples.text is None else torch.from_numpy(examples.text)
        if options.text_gps and self._text is None:
            raise InvalidOption("A loss between text and GPS needs a text model.")
        self._place = _places(examples, options)
        torch.manual_seed(options.seed)
        random.seed(options.seed)
        self._shuffle = np.random.default_rng(options.seed)
        self.model = Aligner(
            self._image[self.rows], None if self._text is None else self._text[self.rows], options
        )
        self._optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )
        self._best: dict[str, Tensor] = {}
        self._best_epoch = 0
        self._order = self.rows
        self._step = 0
        self._sums: dict[str, float] = {}
        self.history: list[Epoch] = []

    @property
    def epochs(self) -> int:
        """Complete ones."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The one with the least held-out loss, counted from 1."""
        return self._best_epoch

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or patience is at an end."""
        waited = self.epochs - self._best_epoch
        impatient = bool(self.options.patience) and waited >= self.options.patience
        return self.epochs >= self.options.epochs or impatient

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one.

        Raises :class:`Conflict` where it belongs to other options or other photos.
        """
        state = checkpoint.read(self.folder)
        if state is None:
            return False
        if not self.options.same_training(Options.model_validate_json(state["options"])):
            raise Conflict(
                "The run was begun with other options. Give the same ones (epochs and patience "
                "may differ), or another folder."
            )
        if state["examples"] != self._fingerprint:
            raise Conflict("The run was begun with other photos. Use another folder.")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best, self._best_epoch = state["best"], state["best_epoch"]
        self._order, self._step, self._sums = state["order"], state["step"], state["sums"]
        self.history = _HISTORY.validate_json(state["history"])
        checkpoint.restore_random_states(state, self._shuffle)
        return True

    def run(self, *, checkpoint_steps: int = 0, observe: Observer = lambda at: None) -> None:
        """Train to the end. The folder gets a checkpoint after each epoch, and between them
        after every ``checkpoint_steps`` batches unless that is 0.
        """
        while not self.finished:
            if self._step == 0:
                self._order = self.rows[torch.from_numpy(self._shuffle.permutation(len(self.rows)))]
                self._sums = {}
            batches = _even(self._order, self.options.batch)
            for rows in batches[self._step :]:
                self._update(rows)
                self._step += 1
                if checkpoint_steps and self._step % checkpoint_steps == 0:
                    self._write_checkpoint()
                observe(Step(self.epochs + 1, self._step, len(batches)))
            observe(self._close_epoch(len(batches)))

    def best(self) -> Aligner:
        """The model after its best epoch, for use."""
        self.model.load_state_dict(self._best)
        return self.model.eval()

    def measure(self) -> tuple[dict[str, float], Retrieval]:
        """Held-out losses, means over batches, and held-out retrieval, of the model as it is."""
        self.model.eval()
        sums: dict[str, float] = defaultdict(float)
        batches = _even(self.held_out_rows, self.options.batch)
        photos, places = [], []
        with torch.no_grad():
            for rows in batches:
                batch = self._batch(rows)
                _add(sums, self.model.losses(batch))
                photos.append(self.model.photos(batch.image))
                places.append(self.model.places(batch.place))
        ids = cells.cell_ids(self.examples.latlon[self.held_out_rows], self.options.cell_level)
        found = retrieval(torch.cat(photos), torch.cat(places), ids)
        return _means(sums, len(batches)), found

    def _update(self, rows: Tensor) -> None:
        self.model.train()
        rate = self.options.learning_rate * self.options.decay**self.epochs
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        terms = self.model.losses(self._batch(rows))
        self._optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        _add(self._sums, terms)

    def _close_epoch(self, steps: int) -> Epoch:
        measured, found = self.measure()
        done = Epoch(
            epoch=self.epochs + 1,
            learning_rate=self.options.learning_rate * self.options.decay**self.epochs,
            training=_means(self._sums, steps),
            held_out=measured,
            retrieval=found,
        )
        self.history.append(done)
        best = self.history[max(self._best_epoch - 1, 0)]
        if not self._best or measured["total"] < best.held_out["total"]:
            self._best_epoch = done.epoch
            self._best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self._step = 0
        self._write_checkpoint()
        self._write_metrics()
        return done

    def _batch(self, rows: Tensor) -> Batch:
        text = None if self._text is None else self._text[rows]
        return Batch(rows, self._image[rows], self._place[rows], text)

    def _write_checkpoint(self) -> None:
        of_torch, of_numpy, of_python = checkpoint.random_states(self._shuffle)
        checkpoint.write(
            {
                "options": self.options.model_dump_json(),
                "examples": self._fingerprint,
                "model": self.model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "best": self._best,
                "best_epoch": self._best_epoch,
                "order": self._order,
                "step": self._step,
                "sums": dict(self._sums),
                "history": _HISTORY.dump_json(self.history).decode(),
                "torch_rng": of_torch,
                "numpy_rng": of_numpy,
                "python_rng": of_python,
            },
            self.folder,
        )

    def _write_metrics(self) -> None:
        document = {
            "options": self.options.model_dump(mode="json"),
            "model": self.examples.origin.model,
            "photos": len(self.examples.keys),
            "trained_on": len(self.rows),
            "held_out": len(self.held_out_rows),
            "best_epoch": self._best_epoch,
            "finished": self.finished,
            "epochs": [asdict(epoch) for epoch in self.history],
        }
        with replacing(self.folder / METRICS_FILE) as fresh:
            fresh.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


@contextmanager
def deterministic(options: Options) -> Iterator[None]:
    """Within it torch gives equal numbers for equal inputs; afterwards all is as it was."""
    threads = torch.get_num_threads()
    before = torch.are_deterministic_algorithms_enabled()
    of_python = random.getstate()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(before)
        random.setstate(of_python)


def _places(examples: Examples, options: Options) -> Tensor:
    """What :class:`Batch` calls places, of every example, float32."""
    if options.gps is Gps.FROZEN:
        return torch.from_numpy(LocationEncoder.load(threads=1).encode(examples.latlon))
    return torch.from_numpy(examples.latlon.astype(np.float32))


def _even(rows: Tensor, batch: int) -> list[Tensor]:
    """In as few batches of at most ``batch`` as there can be, all of nearly one size: in a batch
    of one there would be nothing to tell apart.
    """
    return list(torch.tensor_split(rows, -(-len(rows) // batch)))


def _add(sums: dict[str, float], terms: dict[str, Tensor]) -> None:
    for name, value in terms.items():
        sums[name] = sums.get(name, 0.0) + float(value.detach())


def _means(sums: dict[str, float], count: int) -> dict[str, float]:
    means = {name: value / count for name, value in sums.items()}
    return {**means, "total": sum(means.values())}
