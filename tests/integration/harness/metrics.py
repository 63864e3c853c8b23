"""Reads Prometheus text: the value of a series by name and labels, and promtool's opinion of the whole."""

import re
import shutil
import subprocess

_LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?\Z")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    def __init__(self, text):
        self.text = text
        self.series = []  # (name, {label: value}, number)
        self.types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(None, 3)
                self.types[name] = kind
            elif line and not line.startswith("#"):
                match = _LINE.match(line)
                if not match:
                    raise ValueError(f"not a sample: {line!r}")
                self.series.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))

    def matching(self, name, **labels):
        return [(found, number) for series, found, number in self.series
                if series == name and all(found.get(key) == str(value) for key, value in labels.items())]

    def get(self, name, default=None, **labels):
        """The one series with these labels (others may be left out if they do not matter); `default` if there is none."""
        found = self.matching(name, **labels)
        if not found:
            return default
        if len(found) > 1:
            raise ValueError(f"{name} {labels}: {len(found)} series fit")
        return found[0][1]

    def sum(self, name, **labels):
        return sum(number for _, number in self.matching(name, **labels))


def promtool_check(text):
    """None when `promtool check metrics` has nothing to say, else what it says. Fails where promtool is not installed."""
    if not shutil.which("promtool"):
        raise FileNotFoundError("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    said = (done.stdout + done.stderr).strip()
    return said if done.returncode != 0 or said else None
