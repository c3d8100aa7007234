"""How a signal ends a command: one line on stderr, status 128 + its number, within a few seconds.

Python runs the handler of a signal between two of its own steps. A compilation by MindSpore has
none for minutes, and wraps what a handler raises into pages of its own text. So nothing happens in
a handler: the number of each signal goes to a socket, and a thread reads it there and ends the
process.

SIGTERM and SIGHUP: the interpreter's C code writes the number.
SIGINT: MindSpore replaces its handler at each call of a compiled step, by one that sends SIGTERM.
    It is blocked in all threads, and one thread waits for it and writes the number. A program that
    this process starts has it blocked too, and is sent SIGTERM at the end.

A thread needs the interpreter's lock, which MindSpore holds for seconds at a time (4.3 s were
measured). A small process watches the same socket, and kills this one if nobody reads the number
in PATIENCE seconds. It gets a terminal's Ctrl-C itself. It also says so when this process dies
without a word: by SIGKILL, which the kernel sends where memory is short, or by a crash.

A command calls prepare() before it imports anything that takes long; without it, all functions here
are without effect.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Iterator

if TYPE_CHECKING:
    from pathlib import Path  # slow to import, and before prepare() nothing here works

SIGNALS: dict[int, str] = {
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGINT: "interrupted (SIGINT)",
    signal.SIGHUP: "ended by SIGHUP",
}
HANDLED = (signal.SIGTERM, signal.SIGHUP)
PATIENCE = 4.0  # seconds for the thread to come to read a signal
LONGEST = 2000  # bytes of the line, which a pipe accepts at once
# ENDING: a signal is ending the process. OVER: the command has said how it ended.
RUNNING, ENDING, OVER = 0, 1, 2


class _Ending:
    """What ends this process when a signal comes.

    `unfinished` are paths that are removed then, `rescue` is called before, `text` says what is
    left.
    """

    def __init__(self) -> None:
        self.unfinished: set[Path] = set()
        self.rescue: Callable[[], str] | None = None
        self.text = ""
        # Whoever redirects stderr for a while does not redirect the line.
        self.stderr = os.dup(2)
        self.name = os.path.basename(sys.argv[0])
        # The watcher reads here RUNNING, ENDING or OVER, and the text.
        self.shared = mmap.mmap(-1, 1 + LONGEST)
        self.reader, self.writer = socket.socketpair()
        self.writer.setblocking(False)

    def start(self) -> None:
        """Catches the signals from now on, except those that were ignored at the start (nohup)."""
        interrupts = signal.getsignal(signal.SIGINT) != signal.SIG_IGN
        if interrupts:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _do_nothing)
        self._start_watcher(interrupts)
        os.register_at_fork(after_in_child=self._forget)
        if interrupts:
            threading.Thread(target=self._wait_for_interrupt, name="SIGINT", daemon=True).start()
        threading.Thread(target=self._wait, name="signals", daemon=True).start()

    def say(self, text: str) -> None:
        """Sets what the line says is left."""
        self.text = " ".join(text.split())
        kept = self.text.encode(errors="replace")[:LONGEST]
        self.shared[1:] = kept.ljust(LONGEST, b"\0")

    def _wait_for_interrupt(self) -> None:
        signal.sigwait({signal.SIGINT})
        self.writer.send(bytes([signal.SIGINT]))

    def _wait(self) -> None:
        number = 0
        while number not in SIGNALS:  # a library may handle signals of its own
            # recv() alone would take the number while another thread has the lock, and the
            # watcher would not see it.
            select.select([self.reader], [], [])
            number = self.reader.recv(1)[0]
        self.shared[0] = ENDING
        try:
            rescued = self.rescue() if self.rescue else ""
            self._write_line(SIGNALS[number], self.text, rescued)
            for path in list(self.unfinished):
                _remove(path)
            _end_children()
        finally:
            os._exit(128 + number)

    def _write_line(self, *parts: str) -> None:
        words = f"{self.name}: error: {'; '.join(filter(None, parts))}"
        # A progress bar stands in the terminal's line.
        start = "\n" if os.isatty(self.stderr) else ""
        try:
            # A reader that has stopped reading must not keep the process.
            if select.select([], [self.stderr], [], 1)[1]:
                os.write(self.stderr, f"{start}{words}".encode(errors="replace")[:LONGEST] + b"\n")
        except OSError:
            pass

    def _start_watcher(self, interrupts: bool) -> None:
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError:  # no more processes are allowed: the thread alone is nearly as good
            return
        if not child:
            try:
                self._watch(parent, interrupts)
            finally:
                os._exit(0)

    def _watch(self, parent: int, interrupts: bool) -> None:
        """Kills the process if it does not end by itself, and says what it could not say.

        Returns when it has ended.
        """
        for number in HANDLED:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self.writer.close()
        try:
            if interrupts:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            number = self._next_signal()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            number = signal.SIGINT
        hung_up = select.poll()
        hung_up.register(self.reader, 0)  # a hang-up is reported always
        died = not number or hung_up.poll(PATIENCE * 1000) or os.getppid() != parent
        if self.shared[0] != RUNNING:
            return
        words = (
            "killed, or crashed as MindSpore does where memory is short"
            if died
            else (f"{SIGNALS[number]}; killed, because MindSpore did not come back in time")
        )
        self._write_line(words, bytes(self.shared[1:]).rstrip(b"\0").decode(errors="replace"))
        if not died:
            os.kill(parent, signal.SIGKILL)

    def _next_signal(self) -> int:
        """The number of the first signal that nobody has read; 0 when the process has ended."""
        while True:
            waiting = self.reader.recv(64, socket.MSG_PEEK)
            number = next((byte for byte in waiting if byte in SIGNALS), 0)
            if number or not waiting:
                return number
            time.sleep(0.1)

    def _forget(self) -> None:
        """In a forked child: its signals are its own, and must not reach the parent's thread."""
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        self.writer.close()


_ending: _Ending | None = None


def prepare(left: str = "") -> None:
    """End this process by signals as the module says, and make its standard streams safe to use.

    The program calls it before anything else. A library that is imported never does.

    Args:
        left: what is left of the work, as for say().

    Standard streams that are closed are opened, so that no file of ours gets their numbers: what is
    written to stdout then fails, what is written to stderr is lost. A character that stdout's
    encoding lacks is written as \\uXXXX.
    """
    global _ending
    _open_streams()
    _ending = _Ending()
    _ending.say(left)
    _ending.start()


def say(text: str) -> None:
    """Sets what the line says is left: which checkpoint --resume accepts, for instance."""
    if _ending is not None:
        _ending.say(text)


def add_unfinished(path: Path) -> None:
    """Has a signal remove a folder, or a file and those whose names begin with its stem."""
    if _ending is not None:
        _ending.unfinished.add(path)


def remove_unfinished(path: Path) -> None:
    """Undoes add_unfinished."""
    if _ending is not None:
        _ending.unfinished.discard(path)


@contextmanager
def rescuing(action: Callable[[], str]) -> Iterator[None]:
    """Has a signal call `action` before the process ends; what it returns is added to the line."""
    if _ending is None:
        yield
        return
    _ending.rescue = action
    try:
        yield
    finally:
        _ending.rescue = None


def take_back() -> None:
    """Catches the signals again. Call it in the main thread, after a library that sets handlers."""
    if _ending is not None:
        for number in HANDLED:
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, _do_nothing)


def leave_to_signal() -> None:
    """Waits for the end if a signal is ending the process: its line and status count."""
    while _ending is not None and _ending.shared[0] == ENDING:
        time.sleep(1)


def be_over() -> None:
    """Notes that the command has said how it ended: a crash in Python's shutdown is no failure."""
    leave_to_signal()
    if _ending is not None:
        _ending.shared[0] = OVER


def leave(status: int, at_once: bool) -> None:
    """Ends the command with a status.

    Args:
        at_once: without the shutdown of Python and MindSpore, which aborts where memory is short.
    """
    if at_once and _ending is not None:
        os._exit(status)
    sys.exit(status)


def _do_nothing(*_: object) -> None:
    """The handler."""


def _open_streams() -> None:
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # it gets the lowest free number
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _remove(path: Path) -> None:
    try:
        if os.path.isdir(path):
            import shutil

            shutil.rmtree(path, ignore_errors=True)
            return
        for name in os.listdir(path.parent):
            if name.startswith(path.stem):
                os.unlink(path.parent / name)
    except OSError:
        pass  # the next run removes it


def _end_children() -> None:
    """Sends SIGTERM to the processes that this one has started; else they would go on alone."""
    children: list[str] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                children += file.read().split()
    except OSError:  # not Linux, a kernel without these lists, or a thread that has just ended
        pass
    for child in children:
        try:
            os.kill(int(child), signal.SIGTERM)
        except OSError:
            pass
