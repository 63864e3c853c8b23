"""Real processes: start with the output in a file, wait for readiness, stop, and say how it ended."""

import ctypes
import os
import signal
import subprocess
import time

from .waiting import HarnessError, wait_until

SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


class Process:
    """One child process. Its stdout and stderr go to `log_path`, appended over restarts.

    `exit_ok` are the statuses that stop() accepts; None accepts any (a process that a test means to kill).
    """

    def __init__(self, name, argv, log_path, env=None, cwd=None, exit_ok=(0,), stop_timeout=20.0):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log_path = log_path
        self.env = {**os.environ, **(env or {})}
        self.cwd = cwd
        self.pass_fds = ()  # descriptors that it gets
        self.exit_ok = exit_ok
        self.stop_timeout = stop_timeout
        self.child = None
        self.paused = False
        self.killed = False
        self.ever_killed = False

    @property
    def pid(self):
        return self.child.pid if self.child else None

    @property
    def running(self):
        return self.child is not None and self.child.poll() is None

    @property
    def returncode(self):
        return self.child.poll() if self.child else None

    def spawn(self):
        if self.running:
            raise HarnessError(f"{self.name} runs already")
        self.killed = False
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                          env=self.env, cwd=self.cwd, close_fds=True, pass_fds=self.pass_fds)

    def wait_ready(self, ready, timeout=20.0, what="ready"):
        """Waits until ready() is true; fails at once if the process ends meanwhile."""

        def check():
            if not self.running:
                raise HarnessError(f"{self.name} ended with {self.returncode} before it was {what}:\n{self.log_tail()}")
            return ready()

        return wait_until(check, timeout, f"{self.name} {what}")

    def signal(self, number):
        if self.running:
            self.child.send_signal(number)

    def pause(self):
        """SIGSTOP; returns once the kernel says that it is stopped."""
        self.signal(signal.SIGSTOP)
        self.paused = True
        wait_until(lambda: proc_state(self.pid) == "T", 5, f"{self.name} stopped")

    def resume(self):
        self.signal(signal.SIGCONT)
        self.paused = False

    def kill(self):
        """kill -9, and wait until the process is gone. Its exit status is not judged at the end of the test."""
        self.killed = self.ever_killed = True
        self.signal(signal.SIGKILL)
        if self.child:
            self.child.wait(10)

    def wait(self, timeout):
        """The exit status; fails when the process is still there after `timeout` seconds."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{self.name} still runs after {timeout} s") from None

    def terminate(self):
        """SIGTERM and wait for the end. Returns a complaint, or None when it ended as it should."""
        if self.child is None or self.killed:
            return None
        if self.paused:
            self.resume()
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(self.stop_timeout)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGABRT)  # leaves a core or a sanitizer's stack in the log
                try:
                    self.child.wait(5)
                except subprocess.TimeoutExpired:
                    self.child.kill()
                    self.child.wait(5)
                return f"{self.name} did not end within {self.stop_timeout} s of SIGTERM"
        if self.exit_ok is not None and self.child.returncode not in self.exit_ok:
            return f"{self.name} ended with status {self.child.returncode}"
        return None

    def stop(self):
        complaint = self.terminate()
        if complaint:
            raise HarnessError(f"{complaint}\n{self.log_tail()}")

    def log_text(self):
        try:
            with open(self.log_path, "r", encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=30):
        return "\n".join(f"  {self.name}| {line}" for line in self.log_text().splitlines()[-lines:])

    def wait_log(self, text, timeout=10.0):
        """Waits until the log holds `text` and returns the first line with it."""

        def check():
            for line in self.log_text().splitlines():
                if text in line:
                    return line
            return None

        return wait_until(check, timeout, f"{text!r} in the log of {self.name}")

    def sanitizer_report(self):
        """The first line of a sanitizer's report in the log, or None."""
        for line in self.log_text().splitlines():
            if any(mark in line for mark in SANITIZER_MARKS):
                return line
        return None


def proc_stat(pid):
    """The fields of /proc/<pid>/stat after the command name (index 0 is the state), or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def proc_state(pid):
    fields = proc_stat(pid)
    return fields[0] if fields else None


def proc_rss_kib(pid):
    """Resident memory in KiB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def proc_cpu_seconds(pid):
    """User and system CPU time used so far."""
    fields = proc_stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proc_fd_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def become_subreaper():
    """Orphans of our children come to us (PR_SET_CHILD_SUBREAPER), so that none can hide from the check at the end."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def descendants(pid):
    """[(pid, command line)] of everything below `pid` that is not a zombie."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = proc_stat(entry)
            if fields and fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            queue.append(child)
            try:
                with open(f"/proc/{child}/cmdline", "rb") as cmdline:
                    found.append((child, cmdline.read().replace(b"\0", b" ").decode(errors="replace").strip()))
            except OSError:
                pass
    return found


def kill_leftovers(pid):
    """Kills what is left below `pid` and returns their command lines."""
    left = descendants(pid)
    for child, _ in left:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 5
    while descendants(pid) and time.monotonic() < deadline:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass
        time.sleep(0.01)
    return [f"{child} {command}" for child, command in left]
