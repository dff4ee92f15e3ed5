"""`writer sandbox`: the embedded Writer on a local port."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from writer_cli import sandbox
from writer_cli.commands.app import App
from writer_cli.commands.global_options import CommonOptions
from writer_cli.commands.options import out_of_range
from writer_cli.commands.parsing import as_command
from writer_cli.config.schema import LONGEST_TIMEOUT
from writer_cli.errors import UsageError
from writer_cli.output import documents

if TYPE_CHECKING:
    from writer_cli.sandbox.replay import Replay

SLOWEST, FASTEST = 0.001, 1e9
"""Requests in a minute; the slowest is one in 17 hours."""


class SandboxOptions(CommonOptions):
    """Where to listen, and how to fail."""

    port: Annotated[
        int,
        typer.Option(
            "--port", help="The port (0 to 65535; default 0, any free one).", metavar="PORT"
        ),
    ] = 0
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            help="The address to listen on (default 127.0.0.1). Other machines can use the "
            "sandbox only if you give another.",
            metavar="ADDRESS",
        ),
    ] = None
    latency: Annotated[
        float,
        typer.Option(
            "--latency",
            help=f"Seconds to wait before each answer (0 to {LONGEST_TIMEOUT}; default 0).",
            metavar="SECONDS",
        ),
    ] = 0.0
    fault_rate: Annotated[
        float,
        typer.Option(
            "--fault-rate",
            help="Let this fraction of the requests fail (0 to 1; default 0).",
            metavar="PART",
        ),
    ] = 0.0
    seed: Annotated[
        int,
        typer.Option("--seed", help="Decides which requests fail (any whole number; default 0)."),
    ] = 0
    rpm: Annotated[
        float | None,
        typer.Option(
            "--rpm",
            help="Answer 429 beyond this many requests a minute "
            f"({SLOWEST:g} to {FASTEST:g}; default no limit).",
        ),
    ] = None
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            help="Append each request and its answer to this file as JSON lines, without the key.",
            metavar="FILE",
        ),
    ] = None
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            help="Answer with the recordings of this folder; what is not there gets 404.",
            metavar="DIR",
        ),
    ] = None
    replay_else_generate: Annotated[
        bool,
        typer.Option(
            "--replay-else-generate",
            help="Let the embedded model answer what is not recorded in the folder of --replay.",
        ),
    ] = False


def run(options: SandboxOptions, app: App) -> None:
    """Serve until a signal comes."""
    _check(options)
    from writer_cli.sandbox.respond import Sandbox
    from writer_cli.sandbox.server import SandboxServer

    server = SandboxServer(
        Sandbox(
            fault_rate=options.fault_rate,
            rpm=options.rpm,
            seed=options.seed,
            replay=_replay(options),
        ),
        host=options.host or "127.0.0.1",
        port=options.port,
        latency=options.latency,
        log=options.log,
    )
    try:
        openai_url = sandbox.url(server.url, "openai")
        if options.json:
            documents.write_json(
                app.terminal, url=server.url, openai_url=openai_url, pid=os.getpid()
            )
        else:
            app.terminal.write(f"{server.url}\n")
        if not options.quiet:
            app.terminal.note(
                f"export WRITER_BASE_URL={server.url} WRITER_API_KEY={sandbox.KEY} "
                f"WRITER_ORGANIZATION_ID={sandbox.ORGANIZATION}\n"
                'writer complete -m palmyra-x5 "Once upon a time"\n'
                f"as an engine of your own: --api openai --base-url {openai_url}"
            )
        threading.Event().wait()
    except (KeyboardInterrupt, SystemExit):
        return  # this is how a user ends it
    finally:
        server.close()


def _replay(options: SandboxOptions) -> "Replay | None":
    if options.replay is None:
        if options.replay_else_generate:
            raise UsageError("--replay-else-generate needs --replay", hint="--replay DIR")
        return None
    if not os.path.isdir(options.replay):  # noqa: PTH112 - Path raises for a name that is too long
        raise UsageError(
            f"--replay {options.replay} is not a folder",
            hint="name a folder that --cache has filled",
        )
    from writer_cli.sandbox.replay import Replay

    return Replay(options.replay, else_generate=options.replay_else_generate)


def _check(options: SandboxOptions) -> None:
    for flag, value, is_right, allowed in (
        ("--port", options.port, 0 <= options.port <= 65535, "0 to 65535"),  # noqa: PLR2004
        (
            "--latency",
            options.latency,
            0 <= options.latency <= LONGEST_TIMEOUT,
            f"0 to {LONGEST_TIMEOUT}",
        ),
        ("--fault-rate", options.fault_rate, 0 <= options.fault_rate <= 1, "0 to 1"),
        (
            "--rpm",
            options.rpm,
            options.rpm is None or SLOWEST <= options.rpm <= FASTEST,
            f"{SLOWEST:g} to {FASTEST:g}",
        ),
    ):
        if not is_right:
            raise out_of_range(flag, value, allowed)


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("sandbox")(as_command(SandboxOptions, run))
