"""Microsoft's SQL Tools Service, which Azure Data Studio and the mssql extension of VS Code talk to, driven as they do: JSON-RPC on
its standard input and output (tests/clients/setup toolsservice)."""

import glob
import json
import os
import queue
import subprocess
import threading
import time

from .clients import CLIENTS
from .waiting import HarnessError

HOME = os.path.join(os.environ.get("TDSBOUNCER_CACHE", os.path.join(CLIENTS, "..", "..", ".cache")), "clients", "toolsservice")
PROGRAM = os.path.join(HOME, "bin", "MicrosoftSqlToolsServiceLayer")


def _icu():
    """The version of ICU that this machine has: .NET Core 2.2 knows those of its own days only."""
    found = sorted(glob.glob("/usr/lib/*/libicuuc.so.*"))
    return found[0].rsplit(".so.", 1)[1].split(".")[0] if found else ""


class ToolsService:
    """service.ask(method, params) -> result; service.event(method) -> params of the next event of that name."""

    def __init__(self, folder):
        if not os.path.exists(PROGRAM):
            raise HarnessError("the SQL Tools Service is not installed: run tests/clients/setup toolsservice")
        self.log_path = os.path.join(folder, "toolsservice.log")
        env = {**os.environ, "LD_LIBRARY_PATH": os.path.join(HOME, "lib"), "CLR_ICU_VERSION_OVERRIDE": _icu(), "HOME": folder,
               "TMPDIR": folder, "COMPlus_EnableDiagnostics": "0"}
        if not _icu():
            env["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1"
        with open(os.path.join(folder, "toolsservice.err"), "wb") as errors:
            self.process = subprocess.Popen([PROGRAM, "--log-file", self.log_path, "--tracing-level", "Information", "--autoflush-log"],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env)
        self._messages, self._kept, self._last = queue.Queue(), [], 0
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait(20)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _read(self):
        out = self.process.stdout
        while True:
            size = 0
            for line in iter(out.readline, b""):
                if not line.strip():
                    break
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            body = out.read(size) if size else b""
            if not body:
                self._messages.put(None)
                return
            self._messages.put(json.loads(body))

    def _wait(self, wanted, what, seconds):
        deadline = time.monotonic() + seconds
        for message in self._kept:
            if wanted(message):
                self._kept.remove(message)
                return message
        while True:
            try:
                message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise HarnessError(f"the SQL Tools Service does not answer: {what}") from None
            if message is None:
                raise HarnessError(f"the SQL Tools Service has ended: {what}")
            if wanted(message):
                return message
            self._kept.append(message)

    def ask(self, method, params, seconds=60):
        self._last += 1
        number = str(self._last)
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()
        answer = self._wait(lambda m: m.get("id") == number and "method" not in m, method, seconds)
        if "error" in answer:
            raise HarnessError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def event(self, method, seconds=60):
        return self._wait(lambda m: m.get("method") == method, method, seconds)["params"]

    def connect(self, uri, **details):
        """A connection as the query window `uri` has one."""
        self.ask("connection/connect", {"ownerUri": uri, "connection": details, "type": "Default"})
        told = self.event("connection/complete")
        if told["errorMessage"]:
            raise HarnessError(f"connection/connect: {told['errorNumber']} {told['errorMessage']}")
        return told

    def query(self, uri, text):
        """What a query window does: a list of (columns, rows, texts of messages) for each batch's result sets, errors raise."""
        self.ask("query/executeString", {"ownerUri": uri, "query": text})
        done = self.event("query/complete")
        sets = []
        for batch in done["batchSummaries"]:
            if batch["hasError"]:
                raise HarnessError(f"{text}: {[m['params']['message']['message'] for m in self._kept if m.get('method') == 'query/message']}")
            for one in batch["resultSetSummaries"] or []:
                columns = [column["columnName"] for column in one["columnInfo"]]
                rows = []
                if one["rowCount"]:
                    subset = self.ask("query/subset", {"ownerUri": uri, "batchIndex": batch["id"], "resultSetIndex": one["id"],
                                                       "rowsStartIndex": 0, "rowsCount": one["rowCount"]})
                    rows = [[None if cell["isNull"] else cell["displayValue"] for cell in row]
                            for row in subset["resultSubset"]["rows"]]
                sets.append((columns, rows))
        return sets

    def tree(self, **details):
        """An object explorer's session: its id and the path of its root."""
        self.ask("objectexplorer/createsession", details)
        told = self.event("objectexplorer/sessioncreated")
        if not told["success"]:
            raise HarnessError(f"objectexplorer/createsession: {told['errorMessage']}")
        return told["sessionId"], told["rootNode"]["nodePath"]

    def expand(self, session, path):
        """The nodes under a node of the tree: {label: node}."""
        self.ask("objectexplorer/expand", {"sessionId": session, "nodePath": path})
        told = self.event("objectexplorer/expandCompleted")
        if told["errorMessage"]:
            raise HarnessError(f"{path}: {told['errorMessage']}")
        return {node["label"]: node for node in told["nodes"]}
