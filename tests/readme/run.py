"""Runs the commands that README.md and docs/*.md print, on a fresh service, and compares what the text promises.

    run.py READOUT [FILE...]

READOUT is the program; `grpcurl` is on the PATH. The rules of the text:

- A command stands in a fenced `console` block, after `$ `, and goes on in the next lines for as long as bash needs them.
  The commands of one file run in one shell, in their order: assignments and functions carry over.
- A fenced `json` or `text` block that follows a `console` block shows the answer of the block's last command. Each of its
  lines stands in the answer, in that order; `…` stands for anything.
- A command that is meant to fail has the reason in backticks in the paragraph before its block.
- A `make` target is not run, but has to exist. There are no here-documents.

The service listens on 127.0.0.1:50051, as the text says. Where another program does, a free port takes its place.
"""

import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRINTED = "127.0.0.1:50051"
PATIENCE = 300  # seconds for one command; an import of all sample stories is the longest
REASONS = set(re.findall(r"^  ([A-Z_]+) = \d+", (ROOT / "proto/readout/v1/error_reason.proto").read_text(), re.M))


class Wrong(Exception):
    """The text promises something that does not hold."""


def blocks(text):
    """Yields (line, kind, lines of the block, paragraph before it) of each fenced block."""
    paragraph, before, block = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"```(\w*)\s*$", line)
        if block is not None:
            if fence:
                yield block[0], block[1], block[2], before
                block = None
            else:
                block[2].append(line)
        elif fence:
            before = " ".join(paragraph) or before
            block, paragraph = (number + 1, fence[1], []), []
        elif line.strip():
            paragraph.append(line)
        else:
            before, paragraph = " ".join(paragraph) or before, []


def is_complete(command):
    """Whether bash takes the command without wanting another line."""
    if command.endswith("\\"):
        return False
    return subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True).returncode == 0


def commands(lines, at):
    """Yields (line, command) of a console block."""
    number = 0
    while number < len(lines):
        start = number
        if not lines[number].startswith("$ "):
            if lines[number].strip():
                raise Wrong(f"line {at + number}: `{lines[number]}` belongs to no command")
            number += 1
            continue
        command = lines[number][2:]
        number += 1
        while not is_complete(command):
            if number == len(lines) or lines[number].startswith("$ "):
                raise Wrong(f"line {at + start}: bash does not take `{command}`")
            command += "\n" + lines[number]
            number += 1
        if "<<" in command:
            raise Wrong(f"line {at + start}: a here-document cannot be pasted from a page")
        yield at + start, command


class Shell:
    """One bash that runs command after command."""

    def __init__(self, environment):
        self.bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True
        )
        self.dir = tempfile.TemporaryDirectory()

    def run(self, command):
        """Returns the exit status of a command and all that it printed."""
        output, status = (pathlib.Path(self.dir.name) / name for name in ("output", "status"))
        status.unlink(missing_ok=True)
        self.bash.stdin.write(
            f"{{ {command}\n}} >{shlex.quote(str(output))} 2>&1 </dev/null; "
            f"echo $? >{status}.new; mv {status}.new {status}\n"
        )
        self.bash.stdin.flush()
        end = time.monotonic() + PATIENCE
        while not status.exists():
            if self.bash.poll() is not None or time.monotonic() > end:
                self.bash.kill()
                raise Wrong(f"`{command}` did not end in {PATIENCE} s; a command that follows needs an end")
            time.sleep(0.01)
        return int(status.read_text()), output.read_text(errors="replace")

    def close(self):
        self.bash.stdin.close()
        self.bash.wait()


def find_missing(promised, output):
    """Returns the first line that is promised and does not stand in the output where it should."""
    at = 0
    for line in promised:
        parts = [re.escape(part.strip()) for part in line.strip().split("…")]
        if not any(parts):
            continue
        found = re.compile(".*?".join(parts)).search(output, at)
        if not found:
            return line
        at = found.end()
    return None


def check(path, shell, adapt):
    """Runs one file. Returns how many commands it has."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    count, output, at = 0, None, 0
    for at, kind, lines, before in blocks(path.read_text()):
        if kind in ("json", "text") and output is not None:
            missing = find_missing(lines, output)
            if missing is not None:
                raise Wrong(f"line {at}: the answer has no `{missing.strip()}`; it is\n{output}")
        output = None
        if kind != "console":
            continue
        expected = [word for word in re.findall(r"`([A-Z_]+)`", before) if word in REASONS]
        failed = False
        for at, command in commands(lines, at):
            count += 1
            make = re.match(r"make ([a-z-]+)", command)
            if make:
                if make[1] not in targets:
                    raise Wrong(f"line {at}: there is no target `{make[1]}`")
                continue
            began = time.monotonic()
            status, output = shell.run(adapt(command))
            print(f"{path.name}:{at}: {time.monotonic() - began:.1f} s: {command.splitlines()[0][:90]}", flush=True)
            # `timeout` ends a command that follows the feed, and says so.
            if status != 0 and not (status == 124 and command.startswith("timeout ")):
                failed = True
                if not any(reason in output for reason in expected):
                    raise Wrong(f"line {at}: `{command}` ended with {status}:\n{output}")
        if expected and not failed:
            raise Wrong(f"line {at}: nothing failed with {' or '.join(expected)}")
    return count


def has_listener(address):
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def wait_until_it_serves(service, address):
    while not has_listener(address):
        if service.poll() is not None:
            sys.exit("the service did not start")
        time.sleep(0.05)


def run(readout, path):
    """Runs one file on a service of its own. Returns how many commands it has."""
    address = PRINTED
    if has_listener(PRINTED):
        address = free_address()
        print(f"{PRINTED} is in use, so the commands use {address}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("READOUT_")}
    environment.pop("DATABASE_URL", None)
    # The service of another user keeps its files where that user can enter.
    with tempfile.TemporaryDirectory(prefix="readout-readme-") as directory:
        os.chmod(directory, 0o711)
        environment |= {
            "READOUT_DATA_DIR": f"{directory}/data",
            "READOUT_SERVER": f"http://{address}",
            "PATH": f"{pathlib.Path(readout).resolve().parent}{os.pathsep}{environment['PATH']}",
        }
        log = open(f"{directory}/log", "w+")
        service = subprocess.Popen(
            [readout, "serve", "--listen", address], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=log
        )
        shell = Shell(environment)
        try:
            wait_until_it_serves(service, address)
            return check(path, shell, lambda command: command.replace(PRINTED, address))
        finally:
            shell.close()
            service.terminate()
            service.wait()


def main():
    readout, files = os.path.abspath(sys.argv[1]), [pathlib.Path(name) for name in sys.argv[2:]]
    files = files or [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
    wrong = 0
    for path in files:
        try:
            print(f"{path.name}: {run(readout, path)} commands work")
        except Wrong as error:
            wrong += 1
            print(f"{path.name}: {error}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
