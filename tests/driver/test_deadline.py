"""What becomes of the threads of an evaluation that was given up."""

from __future__ import annotations

import importlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from skilltrace_mlflow.bounded import HangingCall, call_bounded
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.evaluate._deadline import (
    Deadline,
    abandon,
    settle,
    unfinished,
)

POOL = "MlflowGenAIEvalScore"


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    yield
    settle(Deadline(20))


def test_every_task_of_a_pool_ends_and_the_caller_too() -> None:
    started, written = threading.Event(), []

    def write(number: int) -> None:
        started.set()
        for _ in range(500):
            time.sleep(0.01)
        written.append(number)

    def work() -> None:
        with ThreadPoolExecutor(2, thread_name_prefix=POOL) as pool:
            list(pool.map(write, range(6)))

    with pytest.raises(HangingCall):
        call_bounded(work, 0.2, name="evaluate")
    assert started.wait(5)
    abandon()
    settle(Deadline(10))
    assert not unfinished()
    assert written == []


def test_a_worker_that_waits_for_a_task_holds_nobody_up() -> None:
    pool = ThreadPoolExecutor(2, thread_name_prefix=POOL)
    try:
        list(pool.map(time.sleep, [0.05, 0.05]))
        abandon()
        assert not unfinished()
        settle(Deadline(5))
        assert pool.submit(lambda: 7).result(5) == 7, "the worker was ended"
    finally:
        pool.shutdown()


def test_threads_of_others_are_left_alone() -> None:
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.5)
        ended.set()

    thread = threading.Thread(target=work, name=POOL)
    thread.start()
    abandon(since=threading.enumerate())
    assert not unfinished()
    assert ended.wait(5)
    thread.join()


def test_one_that_does_not_end_is_said() -> None:
    gate = threading.Event()
    with pytest.raises(HangingCall):
        call_bounded(gate.wait, 0.1, name="evaluate")
    abandon()
    with pytest.raises(EvaluationError, match="has not ended yet"):
        settle(Deadline(0.5))
    gate.set()


def test_a_thread_is_not_ended_in_a_transaction(tmp_path: Path) -> None:
    """Ended there, its connection would stay open, and keep the file locked for the process."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE t (x INTEGER)"))
    began, go_on, after = threading.Event(), threading.Event(), []

    def pause(_: object, __: object) -> None:
        began.set()
        for _ in range(500):  # at each step of which an exception could come up
            if go_on.wait(0.01):
                return

    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *a: pause(a, a))

    def work() -> None:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("INSERT INTO t VALUES (1)"))
        for _ in range(500):
            time.sleep(0.01)
        after.append(1)

    with pytest.raises(HangingCall):
        call_bounded(work, 0.2, name="evaluate")
    assert began.wait(5)
    abandon()
    with pytest.raises(EvaluationError, match="has not ended yet"):
        settle(Deadline(0.5))
    go_on.set()
    settle(Deadline(10))
    assert after == []
    with sqlite3.connect(tmp_path / "a.db", timeout=1) as other:
        assert other.execute("SELECT count(*) FROM t").fetchone() == (1,)
        other.execute("INSERT INTO t VALUES (2)")


def test_a_thread_is_not_ended_in_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended there it would leave the module half done, or locked."""
    gate = threading.Event()
    monkeypatch.setattr(threading, "gate_of_this_test", gate, raising=False)
    code = "import threading\nwhile not threading.gate_of_this_test.wait(0.01): pass\nDONE = True\n"
    (tmp_path / "slow_module_of_this_test.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    name = "slow_module_of_this_test"
    with pytest.raises(HangingCall):
        call_bounded(lambda: importlib.import_module(name), 0.2, name="evaluate")
    abandon()
    with pytest.raises(EvaluationError, match="has not ended yet"):
        settle(Deadline(0.5))
    gate.set()
    settle(Deadline(10))
    assert importlib.import_module(name).DONE


def test_threads_that_start_others_are_ended_with_nobody_waiting() -> None:
    """A thread that is about to begin has its starter's id, and would be ended in its place."""

    def work() -> None:
        while True:
            threading.Thread(target=time.sleep, args=(0,)).start()
            time.sleep(0)

    for _ in range(40):
        with pytest.raises(HangingCall):
            call_bounded(work, 0.02, name="evaluate")
        abandon()
        settle(Deadline(20))


def test_a_thread_is_not_ended_with_a_lock_in_its_hands() -> None:
    """What takes a lock in front of its `try`, as `logging.getLogger` does, would keep it."""
    lock, after = threading.Lock(), []

    def work() -> None:
        lock.acquire()
        try:
            pause()
        finally:
            lock.release()
        after.append(1)

    def pause() -> None:
        for _ in range(500):
            time.sleep(0.01)

    with lock:
        with pytest.raises(HangingCall):
            call_bounded(work, 0.1, name="evaluate")
        abandon()
        with pytest.raises(EvaluationError, match="has not ended yet"):
            settle(Deadline(0.2))
    settle(Deadline(10))
    assert after == []
    assert lock.acquire(timeout=5), "the lock was never given back"
