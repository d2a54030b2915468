"""Requests that wait in line. One thread works on them, so that no two are ever mixed and none is lost."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """label: what people read while it waits. work: runs in the thread. done: gets what it returned, or its error."""

    label: str
    work: Callable[[], Any]
    done: Callable[[Any], object]


class Jobs:
    """A line of jobs. changed: called with the labels of the job at work and of those behind it, at each change."""

    def __init__(self, changed: Callable[[list[str]], None]):
        self.changed, self.labels = changed, list[str]()
        self._lock, self._line = threading.Lock(), queue.Queue[Job]()
        threading.Thread(target=self._run, daemon=True).start()  # daemon: a job at work does not keep a process alive

    def add(self, label: str, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """Put a job at the end of the line."""
        with self._lock:
            self.labels.append(label)
            self.changed(list(self.labels))
            self._line.put(Job(label, work, done))

    def wait(self) -> None:
        """Return when all jobs are done."""
        self._line.join()

    def _run(self) -> None:
        while True:
            job = self._line.get()
            try:
                try:
                    found = job.work()
                except Exception as error:
                    found = error
                job.done(found)
            except Exception:  # of `done`: whatever went wrong, the people waiting behind it must still be served
                traceback.print_exc()
            with self._lock:
                self.labels.pop(0)
                self.changed(list(self.labels))
            self._line.task_done()
