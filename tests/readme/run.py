"""Runs the commands that README.md and docs/*.md print and compares the answers with those in the text.

    run.py READOUT [FILE...]

READOUT is the program; `grpcurl` is on the PATH. Each file has a fresh service with an empty database, so the files
are independent of each other. The rules for a file:

- A command is in a fenced `console` block, after `$ `. It continues on the following lines until bash accepts it.
  The commands of one file run in one shell, in order: assignments and functions carry over.
- A fenced `json` or `text` block after a `console` block shows the answer to the block's last command. Each of its
  lines must occur in the answer, in that order; `…` matches any text within a line.
- The paragraph before a block with a command that must fail names the ErrorReason in backticks.
- A `make` target is not run, but must exist. Here-documents are not allowed.

The service listens on 127.0.0.1:50051, as the text says. Where that port is taken, a free port replaces it.
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
PATIENCE = 300  # seconds for one command; the import of all sample stories takes longest
REASONS = set(re.findall(r"^  ([A-Z_]+) = \d+", (ROOT / "proto/readout/v1/error_reason.proto").read_text(), re.M))


class Wrong(Exception):
    """A command or an answer in the text is not as the service has it."""


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
    """Returns True if bash accepts the command without a further line."""
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
                raise Wrong(f"line {at + number}: `{lines[number]}` is not part of a command")
            number += 1
            continue
        command = lines[number][2:]
        number += 1
        while not is_complete(command):
            if number == len(lines) or lines[number].startswith("$ "):
                raise Wrong(f"line {at + start}: bash does not accept `{command}`")
            command += "\n" + lines[number]
            number += 1
        if "<<" in command:
            raise Wrong(f"line {at + start}: a here-document cannot be pasted from a page")
        yield at + start, command


class Shell:
    """A bash process that runs one command after another."""

    def __init__(self, environment):
        self.bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True
        )
        self.dir = tempfile.TemporaryDirectory()

    def run(self, command):
        """Runs a command. Returns its exit status and its output."""
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
                raise Wrong(f"`{command}` did not end in {PATIENCE} s; use `timeout` for a command that waits")
            time.sleep(0.01)
        return int(status.read_text()), output.read_text(errors="replace")

    def close(self):
        self.bash.stdin.close()
        self.bash.wait()


def find_missing(promised, output):
    """Returns the first promised line that the output lacks at or after the position of the line before it."""
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
    """Runs the commands of one file. Returns their number."""
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
            # `timeout` ends a command that would wait for changes, with status 124.
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
    """Runs one file on a fresh service. Returns the number of its commands."""
    address = PRINTED
    if has_listener(PRINTED):
        address = free_address()
        print(f"{PRINTED} is in use, so the commands use {address}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("READOUT_")}
    environment.pop("DATABASE_URL", None)
    (ROOT / "target").mkdir(exist_ok=True)  # for files that commands write
    # Run as root, PostgreSQL is another user, who must be able to enter the directory.
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
