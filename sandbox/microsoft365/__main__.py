"""`python -m sandbox.microsoft365`: the stand-in as a process of its own."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from sandbox.microsoft365.server import Ports, serve
from sandbox.microsoft365.world import Addresses, World


def main() -> None:
    """Serves until terminated. The ready file is JSON: entra, graph, keyVault, control, pid."""
    arguments = _parser().parse_args()
    world = World()
    world.app.redirect_uris.update(arguments.redirect_uri)
    # uvicorn repeats the signal once it has shut down; this turns the repetition into a clean exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    serve(
        world,
        certificate=arguments.certificate,
        key=arguments.key,
        ca=arguments.ca,
        ports=Ports(arguments.entra_port, arguments.graph_port, arguments.key_vault_port, arguments.control_port),
        on_ready=lambda addresses: _write_ready_file(arguments.ready_file, addresses),
    )


def _write_ready_file(path: Path | None, addresses: Addresses) -> None:
    content = {
        "entra": addresses.entra,
        "graph": addresses.graph,
        "keyVault": addresses.key_vault,
        "control": addresses.control,
        "pid": os.getpid(),
    }
    if path is None:
        print(json.dumps(content), flush=True)
        return
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(path)  # whoever waits for the file never reads half of it


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.microsoft365", description="A stand-in for Entra, Microsoft Graph and Key Vault."
    )
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file: certificate chain for localhost")
    parser.add_argument("--key", type=Path, required=True, help="PEM file: its private key")
    parser.add_argument("--ca", type=Path, required=True, help="PEM file: the authority of the app's own certificate")
    parser.add_argument("--ready-file", type=Path, help="written as JSON once every port answers (default: printed)")
    for name in ("entra", "graph", "key-vault", "control"):
        parser.add_argument(f"--{name}-port", type=int, default=0, help="0, the default, takes a free port")
    parser.add_argument("--redirect-uri", action="append", default=[], help="a redirect URI of the app registration")
    return parser


if __name__ == "__main__":
    main()
