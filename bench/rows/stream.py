"""The delay of a stream: from the server to the output."""

from bench.measure import Contender, Run, interleaved, median
from bench.results import OURS, Outcome, Plan, Target, measured
from bench.setting import MODEL, Setting


def stream(setting: Setting, plan: Plan) -> Outcome:
    """Measure how long a chunk takes from the server to the pipe."""
    url, env = setting.urls["http"], setting.env_for("http")
    ours = [setting.writer, "complete", "--stream", "-m", MODEL, "hi"]
    curl = [
        *("curl", "-sN", "-H", "Content-Type: application/json", "-d", '{"prompt":"hi"}'),
        f"{url}/llm/organization/1/model/{MODEL}/completions/stream",
    ]
    contenders = [
        Contender(name, command, env, lambda out: len(_stamps(out)) > 1)
        for name, command in {
            OURS: ours,
            "curl -N": curl,
            "httpx, iter_lines": setting.script("plain", "httpx_stream", url, MODEL, "hi"),
        }.items()
    ]
    runs = interleaved(contenders, plan.runs, plan.progress)
    first = measured("first chunk, http", runs, lambda one: 1000 * _delays(one)[0], "ms")
    later = measured("later chunks, http", runs, lambda one: 1000 * median(_delays(one)[1:]), "ms")
    return Outcome(
        first + later,
        [
            Target(f"{what} beyond curl's", found[0].median - found[1].median, 5, unit="ms")
            for what, found in (("first chunk", first), ("later chunks", later))
        ],
    )


def _stamps(output: bytes) -> list[float]:
    """Return the time that the server wrote into each chunk; `output` is plain text or SSE."""
    text = output.decode().replace("\\n", "\n")
    words = text.replace('data: {"value": "', "").replace('"}', "").split("\n")
    return [float(word) for word in words if word]


def _delays(one: Run) -> list[float]:
    delays: list[float] = []
    output = b""
    for arrived, data in one.arrivals:
        output += data
        if not output.endswith(b"\n"):
            continue
        stamps = _stamps(output)
        delays += [arrived - stamp for stamp in stamps[len(delays) :]]
    return delays
