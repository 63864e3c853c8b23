"""A real Prometheus that scrapes the proxies of a test often, with rules of the repository in which time runs faster."""

import json
import os
import re
import subprocess
import urllib.parse

from .ports import free_port
from .process import Process
from .waiting import http_get, wait_until

REPOSITORY = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
RULES = os.path.join(REPOSITORY, "deployments", "prometheus", "rules.yml")
SCRAPE = "1s"  # its timeout, too: a busy machine takes its time
FASTER = 60

_CONFIG = """global:
  scrape_interval: {scrape}
  scrape_timeout: {scrape}
  evaluation_interval: {scrape}
rule_files: ["rules.yml"]
scrape_configs:
  - job_name: tdsbouncer
    static_configs:
      - targets: {targets}
"""


def faster(rules):
    """The rules with every `for` and every range a sixtieth as long: minutes become seconds."""
    def shorter(match):
        return f"{match[1]}{int(match[2]) * {'s': 1000, 'm': 60_000}[match[3]] // FASTER}ms"
    return re.sub(r"(for: |\[)([1-9]\d*)([sm])\b", shorter, rules)


class Prometheus(Process):
    """`prometheus.query(expr)` -> [(labels, value)], `prometheus.firing()` -> [labels], `prometheus.wait_firing(...)`."""

    def __init__(self, name, folder, proxies, rules):
        home = os.path.join(folder, name)
        os.makedirs(home)
        self.port = free_port()
        targets = json.dumps([f"127.0.0.1:{p.metrics_port}" for p in proxies])
        for file, text in (("prometheus.yml", _CONFIG.format(scrape=SCRAPE, targets=targets)), ("rules.yml", rules)):
            with open(os.path.join(home, file), "w", encoding="utf-8") as out:
                out.write(text)
        super().__init__(name, ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
                                f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
                         os.path.join(folder, f"{name}.log"))

    def start(self, wait=True):
        self.spawn()
        if wait:
            self.wait_ready(lambda: http_get(self.port, "/-/ready")[0] == 200)
        return self

    def _get(self, path, **params):
        status, body = http_get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(params)}")
        answer = json.loads(body) if body else {}
        assert status == 200 and answer["status"] == "success", f"{path} {params}: {status} {body[:500]}"
        return answer["data"]

    def query(self, expr):
        """What an expression gives now."""
        data = self._get("query", query=expr)
        samples = [data["result"]] if data["resultType"] == "scalar" else [r["value"] for r in data["result"]]
        labels = [{}] if data["resultType"] == "scalar" else [r["metric"] for r in data["result"]]
        return [(name, float(value)) for name, (_, value) in zip(labels, samples)]

    def firing(self):
        """{(alert, bucket, instance's port or "")} of the alerts that fire."""
        return {(a["labels"]["alertname"], a["labels"].get("bucket_id", ""), a["labels"].get("instance", "").rpartition(":")[2])
                for a in self._get("alerts")["alerts"] if a["state"] == "firing"}

    def wait_firing(self, wanted, timeout, what):
        """Until all of these have fired, and none of these names for another bucket."""
        names, seen = {name for name, *_ in wanted}, set()

        def fired():
            seen.update(f for f in self.firing() if f[0] in names)
            return wanted <= seen

        wait_until(fired, timeout, lambda: f"{what}: {sorted(wanted - seen)} are to fire, but only {sorted(seen)} have", interval=0.2)
        assert not {f for f in seen - wanted if f[1]}, f"{what}: {sorted(seen - wanted)} have fired"

    def wait_quiet(self, timeout, what):
        wait_until(lambda: not self.firing(), timeout, lambda: f"{what}: no alert, but {sorted(self.firing())}", interval=0.2)


def promtool_parses(folder, expressions):
    """None, or what promtool says of expressions that do not parse."""
    path = os.path.join(folder, "expressions.yml")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"groups": [{"name": "all", "rules": [{"record": f"n{i}", "expr": e} for i, e in enumerate(expressions)]}]}, out)
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, timeout=30)
    return None if done.returncode == 0 else done.stdout + done.stderr
