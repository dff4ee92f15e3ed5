"""The topics of `writer help TOPIC`: one screen of 24 lines and 80 columns each."""

from collections.abc import Callable

from writer_cli.config.schema import SETTINGS, Setting
from writer_cli.exits import ExitCode
from writer_cli.help import schemas
from writer_cli.help.page import Page, Row, Section

OTHER_VARIABLES = {
    "WRITER_PROFILE": "the profile to use",
    "WRITER_CONFIG": "the configuration file to use",
    "WRITER_OFFLINE": "1 uses only the cache, as --offline does",
    "WRITER_ANNOTATE": "1 annotates errors, as --annotate does",
    "WRITER_SANDBOX": "1 uses the embedded model, as --sandbox does",
    "WRITER_DEBUG": "1 adds a traceback to the message of a bug",
    "SSL_CERT_FILE": "the certificates to trust; also SSL_CERT_DIR",
    "HTTPS_PROXY": "the proxy to use; also ALL_PROXY and NO_PROXY",
    "NO_COLOR": "1 turns colour off",
}
"""The environment variables that are not settings, and what they do."""

FAULTS = {
    "fault-400": "400: the request is refused",
    "fault-401": "401: the key is wrong",
    "fault-403": "403: the key has no permission for this",
    "fault-404": "404: there is no such model",
    "fault-429": "429: too many requests, come back in a second",
    "fault-quota": "429: the quota of the month is used up",
    "fault-500": "500, described as Writer does",
    "fault-502-html": "502 with the page of a gateway",
    "fault-slow": "no answer comes until --timeout is over",
    "fault-cut": "the connection breaks in the middle of the answer",
    "fault-garbage": "the answer is declared as JSON but is not valid JSON",
    "fault-moderation": "400: the content filter refuses the prompt",
    "fault-flaky": "503 twice, then an answer",
}
"""The model ids that fail in the sandbox, and how."""


def _exit_codes() -> Page:
    rows = tuple(Row(str(code.value), code.reason.replace("`", "")) for code in ExitCode)
    return Page(
        "exit-codes",
        "What the exit code of writer means. After 6, 7 and 8 it often helps to try again later; "
        "after most others something has to be changed first.",
        sections=(Section("Exit codes", rows=rows),),
    )


def _environment() -> Page:
    rows = []
    for name, spec in SETTINGS.items():
        if spec.variables:
            default = Setting(name, spec.default, "").shown()
            text = f"{spec.meaning} (default {default})" if default else spec.meaning
            rows.append(Row(spec.variables[0], text))
    rows += [Row(name, text) for name, text in OTHER_VARIABLES.items()]
    return Page(
        "environment",
        "A flag overrides a variable, and a variable overrides the configuration file. "
        "An empty variable counts as not set. WRITER_ORG_ID means WRITER_ORGANIZATION_ID.",
        sections=(Section("Variables", rows=tuple(rows)),),
    )


def _profiles() -> Page:
    return Page(
        "profiles",
        "A profile is a second set of settings in the configuration file, for example for another "
        "organization or for a server of your own. What the profile does not set is taken from "
        "the rest of the file.",
        sections=(
            Section(
                "Make one",
                commands=(
                    "writer --profile ci config init",
                    "writer config set --profile ci organization_id 489382",
                ),
            ),
            Section(
                "Use it",
                commands=(
                    'writer complete --profile ci "Once upon a time"',
                    "export WRITER_PROFILE=ci",
                ),
            ),
            Section(
                "Look at it",
                ("`writer config list` names all profiles at the end.",),
                commands=("writer config list --profile ci", "writer config check --profile ci"),
            ),
        ),
    )


def _prompts() -> Page:
    return Page(
        "prompts",
        "A prompt comes from arguments, from files and from standard input. Several parts are "
        "joined by a blank line.",
        sections=(
            Section(
                rows=(
                    Row("PROMPT...", "the arguments, in their order"),
                    Row("-", "in the place of an argument: standard input"),
                    Row("-f FILE", "a text file, after the arguments; can be repeated"),
                    Row("nothing", "standard input, unless it is a terminal"),
                ),
            ),
            Section(
                paragraphs=(
                    "In no other case is standard input read, so a loop keeps its lines.",
                    (
                        "A prompt is UTF-8. One line break at the end of a file or of standard "
                        "input is dropped, and so is a byte order mark; nothing else is changed."
                    ),
                ),
            ),
            Section(
                "Examples",
                commands=(
                    'writer complete "Once upon a time"',
                    'writer complete "Summarize in one sentence:" -f notes.txt',
                    'git diff | writer complete "Write a commit message:" -',
                ),
            ),
        ),
    )


def _sandbox() -> Page:
    return Page(
        "sandbox",
        "With --sandbox, or WRITER_SANDBOX=1, a small embedded model answers: no key, no network, "
        "no cost. The same request always gets the same answer; do not expect sense from it. "
        "`writer sandbox` serves it on a port, see `writer sandbox --help`.",
        sections=(
            Section(
                "Model ids that fail on purpose",
                rows=tuple(Row(name, text) for name, text in FAULTS.items()),
            ),
            Section(commands=('writer complete --sandbox -m fault-429 "Once upon a time"',)),
        ),
    )


def _schema() -> Page:
    return Page(
        "schema",
        "JSON Schemas (2020-12) of what scripts read and write. New keys may be added under the "
        "same version; no key is renamed or removed.",
        sections=(
            Section(
                "Schemas", rows=tuple(Row(name, text) for name, text in schemas.titles().items())
            ),
            Section("Print one", commands=("writer help schema result",)),
        ),
    )


TOPICS: dict[str, Callable[[], Page]] = {
    "environment": _environment,
    "exit-codes": _exit_codes,
    "profiles": _profiles,
    "prompts": _prompts,
    "sandbox": _sandbox,
    "schema": _schema,
}
"""Every topic, by the name that `writer help` takes."""
