"""Builds preload.c, which a server is started with to make its disk fail or to log its syncs."""

import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))


def compiler():
    return next(filter(shutil.which, ("clang-19", "clang", "gcc", "cc")), None)


def unusable():
    """Why not here, or None."""
    if not compiler():
        return "no C compiler for preload.c"
    return None


def build(area):
    library = area.file("preload.so")
    subprocess.run([compiler(), "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
                    library, os.path.join(HERE, "preload.c")], check=True)
    return library
