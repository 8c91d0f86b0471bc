"""Tasks on Ray Data: the only file that knows it.

Rows of the data set are numbers of tasks, results are small: what is read and written lies in files, so
nothing passes through Ray's object store, and a worker holds one task.
"""

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ray
from ray.data import DataContext, TaskPoolStrategy
from ray.exceptions import RayError, RayTaskError

from recsys.core.errors import FieldError, RecsysError, UnavailableError

_STORE_BYTES = 128 << 20  # numbers and results alone pass through it
_ONE_CORE = {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # a task is one core to Ray

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(slots=True)
class RayData(AbstractContextManager["RayData"]):
    """Runs tasks as Ray Data's, some at a time, a core each.

    Raises:
        FieldError: the address is that of a Ray client, which reads and writes no files here.
        UnavailableError: no Ray answers there, or it was lost.
    """

    n_workers: int
    address: str | None = None  # auto or host:port, from a machine of that cluster; None: one of our own
    _before: dict[str, str | None] = field(default_factory=dict, init=False)

    def __enter__(self) -> "RayData":
        """Start Ray, or connect to it."""
        if self.address is not None and self.address.startswith("ray://"):
            raise FieldError("--address", self.address, "auto or host:port, from within the cluster")
        is_ours = self.address is None
        self._before = {name: os.environ.get(name) for name in _ONE_CORE}
        os.environ.update(_ONE_CORE)  # those whom we start take it from us
        try:
            ray.init(
                address=self.address or "local",
                num_cpus=self.n_workers if is_ours else None,
                object_store_memory=_STORE_BYTES if is_ours else None,
                include_dashboard=False if is_ours else None,
                runtime_env=None if is_ours else {"env_vars": _ONE_CORE},
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (RayError, ConnectionError) as error:
            self.__exit__()
            raise UnavailableError(f"Ray at {self.address or 'this machine'}", _first_line(error)) from error
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Ray's, of its own default
            context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        return self

    def __exit__(self, *_: object) -> None:
        """Leave Ray."""
        ray.shutdown()
        for name, value in self._before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """See :class:`recsys.features.build.Executor`."""
        if not tasks:
            return
        numbered = ray.data.range(len(tasks), override_num_blocks=len(tasks))
        results = numbered.map_batches(
            _Work(work, tuple(tasks)),
            batch_size=1,
            compute=TaskPoolStrategy(size=min(self.n_workers, len(tasks))),
            num_cpus=1,
        )
        try:
            for row in results.iter_rows():
                result = pickle.loads(row["result"])
                if isinstance(result, RecsysError):
                    raise result
                yield result
        except RayTaskError:
            raise  # a fault of ours, with the traceback of the worker
        except RayError as error:
            raise UnavailableError("Ray", _first_line(error)) from error


@dataclass(frozen=True, slots=True)
class _Work:
    work: Callable[[Any], object]
    tasks: tuple[object, ...]

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Run the tasks of these numbers; an error of ours is a result, for Ray would wrap it."""
        return {"result": [pickle.dumps(self._result(int(number))) for number in batch["id"]]}

    def _result(self, number: int) -> object:
        try:
            return self.work(self.tasks[number])
        except RecsysError as error:
            return error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
