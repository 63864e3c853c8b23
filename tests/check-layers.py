#!/usr/bin/env python3
"""Checks who includes whom in src/: the layering table, as a program.

    tests/check-layers.py [SRC]       prints every stray include as file:line and exits 1 if there is one
    tests/check-layers.py --self-test shows that it finds what it should
"""

import os
import re
import sys
import tempfile

# folder: (folders of ours, libraries). Every folder may include itself and the C++ and POSIX headers.
LAYERS = {
    "base": ((), ("spdlog", "prometheus")),
    "tds": (("base",), ()),
    "queue": (("base",), ()),
    "pool": (("base", "queue"), ()),
    "tls": (("base",), ("openssl",)),
    "config": (("base",), ("yaml",)),
    "coord": (("base", "config"), ("hiredis", "uv")),
    "net": (("base", "tls"), ("uv", "liburing")),
    "http": (("base",), ("civetweb", "nlohmann", "prometheus")),
    "proxy": (("base", "tds", "queue", "pool", "tls", "config", "coord", "net"), "all"),
    "main": (("base", "tds", "queue", "pool", "tls", "config", "coord", "net", "http", "proxy"), "all"),
}

# library: what its headers look like in an #include
LIBRARIES = {
    "spdlog": r"(spdlog|fmt)/",
    "prometheus": r"prometheus/",
    "openssl": r"openssl/",
    "yaml": r"yaml\.h$",
    "hiredis": r"hiredis/",
    "liburing": r"liburing\.h",
    "uv": r"uv(\.h$|/)",
    "civetweb": r"(civetweb\.h|CivetServer\.h)$",
    "nlohmann": r"nlohmann/",
    "sqlite": r"sqlite3",
    "cmocka": r"cmocka",
}
NOT_IN_PROXY = {"sqlite", "cmocka"}  # tools of the tests: in no layer, not even in those that may include "all"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_of(relative):
    """The layer of a file below src/, or None for a folder that the table does not know."""
    folder, _, rest = relative.partition(os.sep)
    if not rest:
        return "main"
    return folder if folder in LAYERS else None


def defect(layer, quote, header):
    """What is wrong with this include in this layer, or None."""
    folders, libraries = LAYERS[layer]
    for library, pattern in LIBRARIES.items():
        if re.match(pattern, header):
            if library in NOT_IN_PROXY or (libraries != "all" and library not in libraries):
                return f"{layer} may not include library {library}"
            return None
    if quote == "<":
        return f"<{header}> is a header of ours: use quotes" if header.split("/")[0] in LAYERS and "/" in header else None
    folder, slash, _ = header.partition("/")
    if not slash or folder not in LAYERS or ".." in header:
        return f'"{header}" does not name its folder, as "folder/file.h"'
    if folder != layer and folder not in folders:
        return f"{layer} may not include {folder}"
    return None


def check_file(path, relative):
    layer = layer_of(relative)
    if layer is None:
        return [f"{path}:1: folder is not in the table of tests/check-layers.py"]
    found = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            what = defect(layer, *match.groups()) if match else None
            if what:
                found.append(f"{path}:{number}: {what}")
    return found


def check_tree(src):
    """(defects, files looked at)"""
    found, files = [], 0
    for folder, _, names in sorted(os.walk(src)):
        for name in sorted(names):
            if name.endswith((".h", ".cpp", ".inc")):
                path = os.path.join(folder, name)
                files += 1
                found += check_file(path, os.path.relpath(path, src))
    return found, files


def self_test():
    """One tree with a line of every kind; only the numbered ones may be reported."""
    sources = {
        "tds/a.cpp": ['#include "tds/a.h"', '#include "base/b.h"', "#include <vector>", "#include <uv.h>",
                      '#include "net/c.h"', "# include  <openssl/ssl.h>", "// #include <uv.h>"],
        "base/b.h": ["#include <spdlog/spdlog.h>", '#include "tds/a.h"'],
        "http/h.cpp": ["#include <civetweb.h>", '#include "proxy/p.h"', "#include <yaml.h>"],
        "proxy/p.cpp": ["#include <uv.h>", '#include "coord/x.h"', '#include "http/h.h"', "#include <sqlite3.h>",
                        '#include "p.h"', "#include <base/b.h>", '#include "../tds/a.h"'],
        "main.cpp": ['#include "http/h.h"', '#include "proxy/p.h"'],
        "extra/e.h": ["#include <vector>"],
    }
    expected = {"tds/a.cpp:4", "tds/a.cpp:5", "tds/a.cpp:6", "base/b.h:2", "http/h.cpp:2", "http/h.cpp:3",
                "proxy/p.cpp:3", "proxy/p.cpp:4", "proxy/p.cpp:5", "proxy/p.cpp:6", "proxy/p.cpp:7", "extra/e.h:1"}
    with tempfile.TemporaryDirectory() as src:
        for name, lines in sources.items():
            os.makedirs(os.path.dirname(os.path.join(src, name)), exist_ok=True)
            with open(os.path.join(src, name), "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
        found, files = check_tree(src)
        reported = {":".join(os.path.relpath(line, src).split(":")[:2]) for line in found}
    if reported != expected or files != len(sources):
        print(f"self-test: missed {sorted(expected - reported)}, invented {sorted(reported - expected)}")
        return 1
    print(f"self-test: all {len(expected)} stray includes found, nothing else")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    src = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src")
    found, files = check_tree(os.path.normpath(src))
    for line in found:
        print(line)
    print(f"layers: {files} files, {len(found)} stray includes")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
