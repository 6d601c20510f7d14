#!/usr/bin/env python3
"""Runs `grpcio_session.py` in plaintext, over TLS, with client certificates, and with an API token, each with its own
service. Run it with `make clients-tls`; it needs openssl.

All services use one private database, which is removed at the end.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

SESSION = pathlib.Path(__file__).resolve().parent / "grpcio_session.py"
DEADLINE = 120  # seconds, for each step


def main():
    readout = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="readout-clients-") as directory:
        # As root, the database runs as another user, who must be able to enter
        os.chmod(directory, 0o711)
        files = certificates(pathlib.Path(directory))
        data = ["--data-dir", f"{directory}/data"]
        tls = ["--tls-cert", files["service.pem"], "--tls-key", files["service.key"]]
        ca = ["--tls-ca", files["ca.pem"]]
        mutual = ["--tls-client-ca", files["ca.pem"]]
        client = ["--tls-cert", files["client.pem"], "--tls-key", files["client.key"]]

        session("plaintext", [readout, "serve", *data], [])
        session("TLS", [readout, "serve", *data, *tls], ca)
        session("client certificates", [readout, "serve", *data, *tls, *mutual], ca + client)
        token = run([readout, "token", "create", "session", "--role", "admin", *data]).strip()
        session("API token", [readout, "serve", *data, *tls, "--api-tokens"], ca, token)
    print("OK, all sessions")


def session(title, serve, args, token=None):
    """Runs the session against a service of its own."""
    print(f"\n{title}")
    service = subprocess.Popen(
        [*serve, "--listen", "127.0.0.1:0", "--log-format", "json"], stderr=subprocess.PIPE, text=True, env=bare()
    )
    try:
        port = listening(service)
        env = bare() | ({"READOUT_TOKEN": token} if token else {})
        command = [sys.executable, str(SESSION), f"localhost:{port}", *args]
        subprocess.run(command, env=env, timeout=DEADLINE, check=True)
    finally:
        service.terminate()
        service.wait(timeout=DEADLINE)


def listening(service):
    """Waits until a service serves, and returns its port. Its log is read further, so that it never blocks."""
    timer = threading.Timer(DEADLINE, service.kill)
    timer.start()
    lines = []
    for line in service.stderr:
        lines.append(line)
        if line.startswith("{") and json.loads(line).get("message") == "serving":
            timer.cancel()
            threading.Thread(target=service.stderr.read, daemon=True).start()
            return json.loads(line)["address"].rsplit(":", 1)[1]
    sys.exit("FAILED: the service did not start:\n" + "".join(lines))


def certificates(directory):
    """Makes an authority, and its certificates for the service and a client."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    files = {}

    def make(name, subject, *args):
        pem, key = str(directory / f"{name}.pem"), str(directory / f"{name}.key")
        run([*new, "-subj", f"/CN={subject}", "-out", pem, "-keyout", key, *args])
        files.update({f"{name}.pem": pem, f"{name}.key": key})

    make("ca", "Test authority")
    signed = ["-CA", files["ca.pem"], "-CAkey", files["ca.key"], "-addext", "basicConstraints=critical,CA:FALSE"]
    make("service", "readout", *signed, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    make("client", "session", *signed, "-addext", "subjectAltName=DNS:session.example.com")
    return files


def run(command):
    """Runs a command and returns its output."""
    done = subprocess.run(command, env=bare(), timeout=DEADLINE, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"FAILED: {' '.join(command)}\n{done.stderr}")
    return done.stdout


def bare():
    """The environment without the variables that configure a service."""
    keep = ("READOUT_POSTGRES_BIN",)
    return {k: v for k, v in os.environ.items() if k in keep or not k.startswith(("READOUT_", "DATABASE_URL"))}


if __name__ == "__main__":
    main()
