"""How a signal ends a command: one line on stderr, status 128 + its number, within a few seconds.

Python runs the handler of a signal between two of its own steps. A compilation by MindSpore has
none for minutes, and wraps what a handler raises into pages of its own text. So nothing happens in
a handler: the number of each signal goes to a socket, and a thread reads it there and ends the
process.

SIGTERM and SIGHUP: the interpreter's C code writes the number.
SIGINT: at each call of a compiled step MindSpore replaces its handler by one that sends SIGTERM;
    its server for several processes installs one that ends the server alone. So SIGINT is blocked
    in all threads: no handler runs, and the kernel keeps the signal. One thread looks for a kept
    SIGINT and writes the number. A program that this process starts has it blocked too, and gets
    SIGTERM at the end.

A thread needs the interpreter's lock, which MindSpore holds for seconds at a time (4.3 s were
measured), and in its scheduler for ever. A small process, the watcher, looks at the same socket and
at the signals that the kernel keeps for this process. It kills this process if no thread reads the
number in PATIENCE seconds. It also says so when this process dies without a word: by a crash, or by
SIGKILL, which the kernel sends if memory is short.

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
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dlinknet import leftovers, streams

if TYPE_CHECKING:
    # Slow to import, and before prepare() nothing here works.
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIGNALS: dict[int, str] = {
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGINT: "interrupted (SIGINT)",
    signal.SIGHUP: "ended by SIGHUP",
}
HANDLED = (signal.SIGTERM, signal.SIGHUP)
PATIENCE = 4.0  # seconds for the thread to read a signal
LOOK = 0.2  # seconds between two looks at the signals that the kernel keeps
LONGEST = 2000  # bytes of the line, which a pipe accepts at once
# ENDING: a signal is ending the process. OVER: the command has said how it ended.
RUNNING, ENDING, OVER = 0, 1, 2


class _Ending:
    """How this process ends when a signal comes.

    unfinished: paths that are removed then.
    rescue: is called before.
    text: tells the user which work is kept.
    """

    def __init__(self) -> None:
        self.unfinished: set[Path] = set()
        self.rescue: Callable[[], str] | None = None
        self.text = ""
        # Code that redirects stderr for a while does not redirect the line.
        self.stderr = os.dup(2)
        self.name = os.path.basename(sys.argv[0])
        # The watcher reads here RUNNING, ENDING or OVER, and the text.
        self.shared = mmap.mmap(-1, 1 + LONGEST)
        self.reader, self.writer = socket.socketpair()
        self.writer.setblocking(False)

    def start(self) -> None:
        """Catch the signals from now on, except those that were ignored at the start (nohup)."""
        interrupts = signal.getsignal(signal.SIGINT) != signal.SIG_IGN
        # Also where it was ignored: MindSpore would catch it.
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
        """Set the text of the line."""
        self.text = " ".join(text.split())
        kept = self.text.encode(errors="replace")[:LONGEST]
        self.shared[1:] = kept.ljust(LONGEST, b"\0")

    def _wait_for_interrupt(self) -> None:
        # sigwait() would take the signal from the kernel and then need the interpreter's lock. The
        # watcher would not see it meanwhile.
        while signal.SIGINT not in signal.sigpending():
            time.sleep(LOOK)
        self.writer.send(bytes([signal.SIGINT]))

    def _wait(self) -> None:
        number = 0
        while number not in SIGNALS:  # a library may handle signals of its own
            # recv() alone would take the number while another thread has the lock, and the
            # watcher would not see it.
            select.select([self.reader], [], [])
            number = self.reader.recv(1)[0]
        if self.shared[0] == OVER:
            # The command has said how it ended, and its shutdown ends the process.
            time.sleep(PATIENCE)
            os._exit(128 + number)
        self.shared[0] = ENDING
        try:
            rescued = self.rescue() if self.rescue else ""
            self._write_line(SIGNALS[number], self.text, rescued)
            for path in list(self.unfinished):
                leftovers.remove(path)
            leftovers.end_children()
        finally:
            os._exit(128 + number)

    def _write_line(self, *parts: str) -> None:
        words = f"{self.name}: error: {'; '.join(filter(None, parts))}"
        # A progress bar stands in the terminal's line.
        start = "\n" if os.isatty(self.stderr) else ""
        line = f"{start}{words}".encode(errors="replace")[:LONGEST] + b"\n"
        with suppress(OSError):
            # A reader that has stopped reading must not keep the process.
            if select.select([], [self.stderr], [], 1)[1]:
                os.write(self.stderr, line)

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
        """Kill the process if it does not end by itself, and write the line that it did not write.

        Return when it has ended.
        """
        for handled in SIGNALS:
            signal.signal(handled, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self.writer.close()
        number = self._next_signal(parent if interrupts else 0)
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

    def _next_signal(self, parent: int) -> int:
        """Return the number of the first signal that nobody has read; 0 if the process ended.

        Args:
            parent: the process for which the kernel may keep a SIGINT; 0 if SIGINT is ignored.
        """
        while True:
            if select.select([self.reader], [], [], LOOK)[0]:
                waiting = self.reader.recv(64, socket.MSG_PEEK)
                number = next((byte for byte in waiting if byte in SIGNALS), 0)
                if number or not waiting:
                    return number
                time.sleep(LOOK)
            if parent and _keeps_interrupt(parent):
                return signal.SIGINT

    def _forget(self) -> None:
        """Give a forked child signals of its own, which must not reach the parent's thread."""
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
        left: which work is kept, as for say().
    """
    global _ending
    streams.make_safe()
    _ending = _Ending()
    _ending.say(left)
    _ending.start()


def say(text: str) -> None:
    """Set which work is kept, as the line says it: for instance what --resume accepts."""
    if _ending is not None:
        _ending.say(text)


def add_unfinished(path: Path) -> None:
    """Have a signal remove a folder, or a file and those whose names begin with its stem."""
    if _ending is not None:
        _ending.unfinished.add(path)


def remove_unfinished(path: Path) -> None:
    """Undo add_unfinished()."""
    if _ending is not None:
        _ending.unfinished.discard(path)


@contextmanager
def rescuing(action: Callable[[], str]) -> Iterator[None]:
    """Have a signal call `action` before the process ends, and add its result to the line."""
    if _ending is None:
        yield
        return
    _ending.rescue = action
    try:
        yield
    finally:
        _ending.rescue = None


def take_back() -> None:
    """Catch the signals again. Call it in the main thread, after a library that sets handlers."""
    if _ending is not None:
        for number in HANDLED:
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, _do_nothing)


def leave_to_signal() -> None:
    """Wait for the end if a signal is ending the process: its line and status count."""
    while _ending is not None and _ending.shared[0] == ENDING:
        time.sleep(1)


def be_over() -> None:
    """Note that the command has said how it ended: a crash in Python's shutdown is no failure."""
    leave_to_signal()
    if _ending is not None:
        _ending.shared[0] = OVER


def leave(status: int, at_once: bool) -> None:
    """End the command with a status.

    Args:
        at_once: without the shutdown of Python and MindSpore, which aborts if memory is short.
    """
    if at_once and _ending is not None:
        os._exit(status)
    sys.exit(status)


def _keeps_interrupt(pid: int) -> bool:
    """Return whether the kernel keeps a SIGINT for a process that blocks it (Linux only)."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as status:
        for line in status:
            if line.startswith(b"ShdPnd:"):  # pending signals of the whole process, as bits
                return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def _do_nothing(*_: object) -> None:
    """Handle a signal: the threads do the work."""
