"""What is handed out: the Debian package, and the root file system of the container image."""

import glob
import os
import re
import subprocess

from harness import *

REPO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def run(*argv, **keys):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120, **keys)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@timeout(120)
def test_debian_package(t):
    """It holds what it should, and every dependency is one of this Debian's."""
    run("cpack", "-G", "DEB", "-B", t.folder, cwd=t.build)
    [package] = glob.glob(os.path.join(t.folder, "*.deb"))
    root = os.path.join(t.folder, "root")
    run("dpkg-deb", "-x", package, root)
    files = {os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names}
    assert {"usr/bin/tdsbouncer", "etc/tdsbouncer/proxy.yaml", "etc/tdsbouncer/buckets.yaml",
            "usr/lib/systemd/system/tdsbouncer.service", "usr/lib/systemd/system/tdsbouncer.socket",
            "usr/share/man/man8/tdsbouncer.8", "usr/share/man/man5/tdsbouncer.yaml.5",
            "usr/share/bash-completion/completions/tdsbouncer", "usr/share/doc/tdsbouncer/copyright"} <= files, files
    assert run("dpkg-deb", "--info", package, "conffiles").split() == ["/etc/tdsbouncer/buckets.yaml", "/etc/tdsbouncer/proxy.yaml"]
    installed = set(re.findall(r"[a-z0-9.+-]+", run("dpkg-query", "-W", "-f", "${Package} ${Provides}\\n")))
    for name in re.findall(r"([a-z0-9.+-]+)(?: \(|,|$)", run("dpkg-deb", "--field", package, "Depends").strip()):
        assert name in installed, name
    assert "tdsbouncer" in run(os.path.join(root, "usr/bin/tdsbouncer"), "--version")
    run("bash", "-c", "source usr/share/bash-completion/completions/tdsbouncer; COMP_WORDS=(tdsbouncer --h); COMP_CWORD=1; "
        "_tdsbouncer; [ \"${COMPREPLY[*]}\" = '--healthcheck --help' ]", cwd=root)


def memory_of(pid):
    """Resident KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))


@timeout(60)
def test_image_runs_on_its_own_files(t):
    """The image's root without an engine: staged, and the binary run in it by chroot as the image's user."""
    server = t.sqlserver()
    root = os.path.join(t.folder, "root")
    run(os.path.join(REPO, "deployments", "stage-root"), os.path.join(t.build, "tdsbouncer"), root)
    size = sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(root) for name in names)
    proxy = t.proxy([t.bucket("b1", server, 3)], start=False, proxy={"pool_mode": "transaction"})
    for path in (proxy.config_path, proxy.buckets_path):
        run("install", "-m", "644", path, os.path.join(root, "etc/tdsbouncer"))
    files = ["--config", f"/etc/tdsbouncer/{os.path.basename(proxy.config_path)}",
             "--buckets", f"/etc/tdsbouncer/{os.path.basename(proxy.buckets_path)}"]
    inside = ["chroot", "--userspec=65532:65532", root, "/usr/bin/tdsbouncer", *files]
    proxy.argv = inside
    down = subprocess.run([*inside, "--healthcheck"], capture_output=True, text=True, timeout=20)
    assert down.returncode == 1 and "not healthy" in down.stderr, down
    proxy.start()
    run(*inside, "--healthcheck")
    at_start = memory_of(proxy.pid)
    assert t.client(proxy).scalar("SELECT 1") == 1
    print(f"    files {size / 2**20:.1f} MiB, resident at start {at_start / 1024:.1f} MiB")
    assert size < 40 * 2**20 and at_start < 12 * 1024
