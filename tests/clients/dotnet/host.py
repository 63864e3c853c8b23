"""Runs a .NET program in a .NET Core runtime that lies in a folder, without the `dotnet` command.

    host.py <folder of the runtime> <program> <arguments>

The functions are those of coreclrhost.h, which every host of .NET Core uses.
"""

import ctypes
import glob
import os
import sys


def strings(texts):
    return (ctypes.c_char_p * len(texts))(*[text.encode() for text in texts])


def good(result):
    if result & 0xFFFFFFFF != 0:
        sys.exit(f"host.py: .NET Core says 0x{result & 0xFFFFFFFF:08x}")


def run(runtime, program, arguments):
    """The program's exit status."""
    clr = ctypes.CDLL(os.path.join(runtime, "libcoreclr.so"))
    properties = {"TRUSTED_PLATFORM_ASSEMBLIES": ":".join([*glob.glob(os.path.join(runtime, "*.dll")), program]),
                  "APP_PATHS": os.path.dirname(program), "NATIVE_DLL_SEARCH_DIRECTORIES": runtime,
                  "System.Globalization.Invariant": "true"}  # it knows no ICU as new as the system's
    host, domain, status = ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
    good(clr.coreclr_initialize(sys.executable.encode(), b"client", len(properties), strings(list(properties)),
                                strings(list(properties.values())), ctypes.byref(host), ctypes.byref(domain)))
    good(clr.coreclr_execute_assembly(host, domain, len(arguments), strings(arguments), program.encode(), ctypes.byref(status)))
    return status.value


if __name__ == "__main__":
    os._exit(run(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]))  # Python has nothing to tidy up
