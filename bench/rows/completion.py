"""One completion, over http and over https."""

from bench import authority
from bench.measure import Contender, interleaved
from bench.results import OURS, Outcome, Plan, Target, measured, milliseconds, ratio
from bench.server import TEXT
from bench.setting import KEY, MODEL, Setting


def completion(setting: Setting, plan: Plan) -> Outcome:
    """Measure one completion that is printed into a pipe."""
    outcome = Outcome([])
    for scheme, url in setting.urls.items():
        contenders = _one_completion(setting, scheme, url)
        plan.progress(scheme)
        runs = interleaved(contenders, plan.runs, plan.progress)
        found = measured(f"one completion, {scheme}", runs, milliseconds, "ms")
        outcome.measurements.extend(found)
        for theirs, limit in (("plain script", 0.8), ("writer-sdk", 0.4), ("llm", 0.25)):
            what = f"complete / {theirs}, {scheme}"
            outcome.targets.append(Target(what, ratio(found, OURS, theirs), limit))
    plan.progress("cache")
    found = measured(
        "one completion, sandbox and cache",
        interleaved(_sandbox_and_cache(setting), plan.runs, plan.progress),
        milliseconds,
        "ms",
    )
    outcome.measurements.extend(found)
    sandbox, hit = (measurement.median for measurement in found)
    outcome.targets.append(Target("a hit - complete --sandbox", hit - sandbox, 10, unit="ms"))
    return outcome


def _sandbox_and_cache(setting: Setting) -> list[Contender]:
    """Return a completion in the sandbox, and the same from the cache once it is recorded."""
    command = [setting.writer, "complete", "--sandbox", "--max-tokens", "12", "Once upon a time"]
    kept = ["--cache", str(setting.directory / "cache")]
    return [
        Contender(name, [*command, *flags], setting.env, lambda out: out.endswith(b"\n"))
        for name, flags in (("complete --sandbox", []), ("complete --cache, a hit", kept))
    ]


def _one_completion(setting: Setting, scheme: str, url: str) -> list[Contender]:
    env = setting.env_for(scheme)
    flags = ["-m", MODEL, "hi"]
    curl = [
        *("curl", "-s", "--fail-with-body", "--capath", str(authority.SYSTEM)),
        *("-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {KEY}"),
        *("-d", '{"prompt":"hi"}', f"{url}/llm/organization/1/model/{MODEL}/completions"),
    ]
    llm = [str(setting.environments["llm"] / "bin" / "llm"), "--no-stream", "-m", "bench", "hi"]
    commands = {
        OURS: [setting.writer, "complete", *flags],
        "curl": curl,
        "httpx, ten lines": setting.script("plain", "httpx_script", url, MODEL, "hi"),
        "plain script": setting.script("plain", "plain_script", *flags),
        "plain script, newest typer": setting.script("newest", "plain_script", *flags),
        "writer-sdk": setting.script("sdk", "sdk_script", url, MODEL, "hi"),
        "writerai 1.2.4": setting.script("old-sdk", "old_sdk_script", url, MODEL, "hi"),
        "llm": llm,
    }
    by_system = {OURS, "curl", "llm"}
    return [
        Contender(
            name,
            command,
            env if name in by_system else setting.env_for_certifi(scheme),
            lambda out: TEXT.encode() in out,
        )
        for name, command in commands.items()
    ]
