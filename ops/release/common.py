"""Names and places that the scripts of a release share."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")
# The first line of the last stage of the Dockerfile.
STAGE = "FROM ${BASE}\n"


def output(*command):
    """What a command prints, without the last line feed."""
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def version():
    """The version in Cargo.toml."""
    return re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def host():
    """The target of the compiler, such as x86_64-unknown-linux-gnu."""
    return re.search(r"^host: (.+)$", output("rustc", "-vV"), re.M)[1]


def profile():
    """The profile of cargo that the release is built with."""
    return os.environ.get("PROFILE") or "release"


def folder(profile):
    """The place of the release."""
    return TARGET / f"{profile}-{version()}"
