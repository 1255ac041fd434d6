"""The threads that sync steps run in. A thread cannot be stopped from outside: one that hangs is lost to the others."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

logger = logging.getLogger("agentflow.worker")


class StepThreads(ThreadPoolExecutor):
    """As many threads as steps of one worker may block at a time; says when a step has to wait for one."""

    def __init__(self, count: int) -> None:
        super().__init__(count, thread_name_prefix="agentflow-step")
        self._count = count
        self._lock = threading.Lock()
        self._taken = 0
        self._has_complained = False

    @property
    def taken(self) -> int:
        """How many steps are in a thread, or wait for one."""
        return self._taken

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """The call's future; it begins when a thread is free."""
        with self._lock:
            self._taken += 1
            complain = self._taken > self._count and not self._has_complained
            self._has_complained = self._has_complained or complain
        if complain:
            logger.warning(
                "all %d threads of this worker are in sync steps; further ones wait until one ends. Make steps that "
                "block for long async, or raise WorkerSettings.threads",
                self._count,
            )
        future = super().submit(call, *args, **kwargs)
        future.add_done_callback(self._free)
        return future

    def _free(self, _: Future[Any]) -> None:
        with self._lock:
            self._taken -= 1
            if self._taken <= self._count // 2:
                self._has_complained = False
