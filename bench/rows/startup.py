"""Start-up: commands that do no work, such as the version, the help and shell completion."""

from bench.measure import Contender, interleaved
from bench.results import Outcome, Plan, Target, measured, milliseconds, ratio
from bench.setting import Setting


def startup(setting: Setting, plan: Plan) -> Outcome:
    """Measure how long the program takes to start."""
    python, env = setting.python("ours"), setting.env
    tab = [setting.writer, "__complete"]  # what the completion scripts of the shells run
    llm = str(setting.environments["llm"] / "bin" / "llm")
    contenders = [
        Contender("python -c pass", [python, "-c", "pass"], env, lambda out: not out),
        Contender('python -c "import typer"', [python, "-c", "import typer"], env, lambda _: True),
        Contender("writer --version", [setting.writer, "--version"], env, lambda o: b"writer" in o),
        Contender("writer comp<TAB>", [*tab, "comp"], env, lambda out: b"complete" in out),
        Contender("writer --help", [setting.writer, "--help"], env, lambda out: b"batch" in out),
        Contender("llm --version", [llm, "--version"], env, lambda out: b"llm" in out),
    ]
    runs = interleaved(contenders, plan.runs, plan.progress)
    found = measured("start-up", runs, milliseconds, "ms")
    reference = 'python -c "import typer"'
    return Outcome(
        found,
        [
            Target(f"{name} / {reference}", ratio(found, name, reference), 1.15)
            for name in ("writer --version", "writer comp<TAB>")
        ],
    )
