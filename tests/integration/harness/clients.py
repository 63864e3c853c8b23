"""Runs one of the real drivers of tests/clients, in a process of its own."""

import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.normpath(os.path.join(HERE, "..", "..", "clients"))
_ERROR = re.compile(r"^ERROR number=(-?\d+) text=(.*)$", re.M)


def capabilities():
    """The table of drivers (tests/clients/drivers.json): name -> encryptions, what it sends, notes, default."""
    with open(os.path.join(CLIENTS, "drivers.json"), encoding="utf-8") as file:
        return json.load(file)["drivers"]


def drivers(encrypt=None, default_only=True):
    """Names of the drivers that can do `encrypt`."""
    return [name for name, entry in capabilities().items()
            if (entry.get("default", True) or not default_only) and (encrypt is None or encrypt in entry["encrypt"])]


def _pinned(file_name, pattern):
    with open(os.path.join(CLIENTS, file_name), encoding="utf-8") as file:
        return re.search(pattern, file.read(), re.M)[1]


# Where Debian chooses the version: its name, what tells it, and where it stands there.
_DEBIAN = {"dotnet": ("Mono", ["mono", "--version"], r"version (\d+\.\d+)")}
_FREETDS = ("FreeTDS", ["tsql", "-C"], r"freetds v(\d+\.\d+)")


def version(driver):
    """The version it is pinned to; where Debian chooses, its own to the second number."""
    entry = capabilities()[driver]
    if "version" not in entry:
        name, tell, pattern = _DEBIAN.get(entry["program"], _FREETDS)
        about = subprocess.run(tell, capture_output=True, text=True, timeout=30, check=True).stdout
        return f"{name} {re.search(pattern, about)[1]}"
    if "carries" in entry:
        file_name, pattern, name = entry["carries"]
        return f"{_pinned(*entry['version'])}, {name} {_pinned(file_name, pattern)}"
    return _pinned(*entry["version"])


class Run:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    @property
    def error(self):
        """(number, text) of the ERROR line that ended the program, or None."""
        match = _ERROR.search(self.out)
        return (int(match[1]), match[2]) if match and self.rc == 3 else None

    def __repr__(self):
        return f"exit {self.rc}\n{self.out}\n{self.err[-2000:]}"


def command(driver, host, port, scenario, encrypt, user="sa", password="", database="", **options):
    argv = [os.path.join(CLIENTS, "run-client"), driver, "--host", host, "--port", str(port), "--user", user,
            "--password", password, "--database", database, "--encrypt", encrypt, "--scenario", scenario]
    for key, value in options.items():
        argv += [f"--{key.replace('_', '-')}", str(value)]
    return argv


def run(driver, host, port, scenario, encrypt, timeout=120, check=False, build=None, **options):
    """run("pymssql", "127.0.0.1", port, "hold", "full", user=..., password=..., database=..., hold=500, count=3)"""
    env = {**os.environ, **({"TDSBOUNCER_BUILD": build} if build else {})}
    done = subprocess.run(command(driver, host, port, scenario, encrypt, **options), capture_output=True, text=True,
                          timeout=timeout, env=env, stdin=subprocess.DEVNULL)
    result = Run(done.returncode, done.stdout, done.stderr)
    if check:
        assert result.rc == 0, f"{driver} --encrypt {encrypt} --scenario {scenario}: {result}"
    return result
