"""Every command in the README and the documents is run here, with this machine's ports in place of the demo's."""

import glob
import os
import re
import subprocess

from harness import *
from harness.ports import free_port

REPO = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CACHE = os.environ.get("TDSBOUNCER_CACHE", os.path.join(REPO, ".cache"))  # where tests/clients/setup has put the drivers
PAGES = ["README.md", "CONTRIBUTING.md", "tests/clients/README.md", *(f"docs/{os.path.basename(p)}" for p in sorted(glob.glob(os.path.join(REPO, "docs", "*.md"))))]
PROGRAMS = r"make|(?:build/)?tdsbouncer|sqlcmd|tsql|curl|systemctl|redis-cli|promtool|docker|docker-compose|apt|tests/\S+|scripts/\S+|kill"

ADMIN_PASSWORD = "Adm1n-pass"


def commands():
    """[(page, command)] of all fenced blocks: without prompt, comment and what is optional."""
    found = []
    for page in PAGES:
        with open(os.path.join(REPO, page), encoding="utf-8") as file:
            text = file.read()
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M):
            for line in block.splitlines():
                line = re.sub(r"^\$ ", "", line)
                if re.match(rf"(?:{PROGRAMS})(?: |$)", line):
                    found.append((page, re.sub(r"\s+#.*| {3,}.*|\s*\[.*?\]", "", line).strip()))
    return found


class Stack:
    """The demo's: three servers, three proxies with the files of configs/, HAProxy on the shared port."""

    def __init__(self, t):
        self.redis = t.redis()
        self.servers = [t.sqlserver(password=f"YourStr0ngP@ssword{n}", database="tenant_db", args=["--server-name", f"BUCKET-{n}"]) for n in (1, 2, 3)]
        with open(os.path.join(REPO, "configs", "proxy.yaml"), encoding="utf-8") as file:
            text = re.sub(r"# (admin_user|admin_password): ", r"\1: ", file.read())  # as its comments say
        config = os.path.join(t.folder, "proxy.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        environment = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "REDIS_ADDR": self.redis.addr, "HEARTBEAT_INTERVAL": "1s", "HEARTBEAT_TTL": "3s", "PROXY_LISTEN_ADDR": "127.0.0.1"}
        for n, server in enumerate(self.servers, 1):
            environment |= {f"BUCKET_00{n}_HOST": server.host, f"BUCKET_00{n}_SERVER_PORT": str(server.port)}
        self.environment, self.proxies = environment, []
        for n in (1, 2, 3):
            proxy = t.proxy([], start=False, instance_id=f"proxy-{n}",
                            env={**environment, "PROXY_LISTEN_PORT": str((port := free_port())), "PROXY_HEALTH_PORT": str((health := free_port())),
                                 "PROXY_METRICS_PORT": str((metrics := free_port())), **{f"BUCKET_00{b}_PORT": str(free_port()) for b in (1, 2, 3)}})
            proxy.argv = [proxy.argv[0], "--config", config, "--buckets", "configs/buckets.yaml"]
            proxy.cwd, proxy.port, proxy.health_port, proxy.metrics_port = REPO, port, health, metrics
            self.proxies.append(proxy.start())
        for proxy in self.proxies:
            proxy.wait_ready_to_serve()
        self.ports = {"1433": self.proxies[0].port, "6379": self.redis.port,
                      **{f"1808{n}": p.health_port for n, p in enumerate(self.proxies, 1)},
                      **{f"1909{n}": p.metrics_port for n, p in enumerate(self.proxies, 1)}}

    def here(self, command):
        command = re.sub(r"\bproxy-1\b", "127.0.0.1", command)
        return re.sub(r"(?<=[,: ])\d{4,5}\b", lambda m: str(self.ports.get(m.group(), m.group())), command)


def shell(command, **environment):
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=REPO, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def check_make(_, command):
    """The targets are there, and what they would do can be told."""
    shell(command.replace("make ", "make -n ", 1))


def check_tdsbouncer(stack, command):
    command = command.replace("/etc/tdsbouncer/", "configs/")
    if "--version" not in command and "--help" not in command and "--check-config" not in command:
        command += " --check-config"
    shell(re.sub(r"^(?:build/)?tdsbouncer", stack.proxies[0].argv[0], command), **stack.environment)


def check_sqlcmd(stack, command):
    """A password that is not on the line is asked for: the admin's."""
    assert shell(stack.here(command), PATH=f"{CACHE}/clients/sqlcmd:{os.environ['PATH']}", **({} if " -P " in command else {"SQLCMDPASSWORD": ADMIN_PASSWORD}))


def check_tsql(stack, command):
    assert shell(f"printf 'SHOW CLIENTS\\ngo\\n' | {stack.here(command)} -P {ADMIN_PASSWORD}")


def check_curl(stack, command):
    assert shell(stack.here(command))


def check_redis(stack, command):
    shell(command.replace("redis-cli", f"redis-cli -p {stack.redis.port}", 1))


def check_systemctl(_, command):
    unit = command.split()[-1]
    names = os.listdir(os.path.join(REPO, "deployments", "systemd"))
    assert unit in names or f"{unit}.service" in names, command


def check_compose(_, command):
    files = re.findall(r"-f (\S+)", command)
    assert files, command
    for file in files:
        shell(f"docker-compose -f {file} config -q")


def check_apt(_, command):
    """What test_package builds and installs has that name."""
    assert re.search(r"\./build/tdsbouncer_\S*\.deb$", command), command


def check_script(_, command):
    """A script of ours: it is there, and knows the options that it is called with."""
    program = command.split()[0]
    with open(os.path.join(REPO, program), encoding="utf-8") as file:
        text = file.read()
    assert os.access(os.path.join(REPO, program), os.X_OK), program
    for option in re.findall(r"(?<= )--[a-z-]+", command):
        assert option in text or option in open(os.path.join(REPO, "tests/clients/python/common.py"), encoding="utf-8").read(), command


CHECKS = [(r"make ", check_make), (r"(?:build/)?tdsbouncer ", check_tdsbouncer), (r"sqlcmd ", check_sqlcmd), (r"tsql ", check_tsql),
          (r"curl ", check_curl),
          (r"redis-cli ", check_redis), (r"systemctl ", check_systemctl), (r"docker", check_compose), (r"apt ", check_apt),
          (r"(?:tests|scripts)/", check_script)]


@timeout(180)
def test_every_command_of_the_documents(t):
    found = commands()
    assert len(found) > 15, found
    stack = Stack(t)
    for page, command in found:
        check = next((check for pattern, check in CHECKS if re.match(pattern, command)), None)
        assert check, f"{page}: nobody knows how to try {command!r}: give it a rule here"
        try:
            check(stack, command)
        except Exception as error:
            raise AssertionError(f"{page}: {command}") from error


@timeout(60)
def test_a_server_of_ones_own_by_editing_one_file(t):
    """configs/one-server.yaml with another host and port, and nothing else."""
    server = t.sqlserver()
    with open(os.path.join(REPO, "configs", "one-server.yaml"), encoding="utf-8") as file:
        text = file.read()
    edited = re.sub(r"host: .*", f"host: {server.host}", text).replace("port: 1433", f"port: {server.port}")
    assert edited.count(str(server.port)) == 1
    path = os.path.join(t.folder, "one-server.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(edited)
    proxy = t.proxy([], start=False)
    proxy.env |= {"PROXY_LISTEN_PORT": str(proxy.port), "PROXY_HEALTH_PORT": str(proxy.health_port), "PROXY_METRICS_PORT": str(proxy.metrics_port)}
    proxy.argv = [proxy.argv[0], "--config", "configs/local.yaml", "--buckets", path]
    proxy.cwd = REPO
    proxy.start()
    assert t.driver("sqlcmd", proxy, "login", "full").rc == 0
