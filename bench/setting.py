"""Where the contenders run: a directory, the loopback server, and their environments."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import authority

CONTENDERS = Path(__file__).resolve().parent / "contenders"

MODEL = "m"
KEY = "bench-key-of-no-worth"


@dataclass(frozen=True)
class Setting:
    """The arguments of every row."""

    directory: Path
    environments: dict[str, Path]
    urls: dict[str, str]
    env: dict[str, str]

    def python(self, environment: str) -> str:
        """Return the interpreter of an environment."""
        return str(self.environments[environment] / "bin" / "python")

    def script(self, environment: str, name: str, *arguments: str) -> list[str]:
        """Return the command that runs a contender's script."""
        return [self.python(environment), str(CONTENDERS / f"{name}.py"), *arguments]

    @property
    def writer(self) -> str:
        """The program under test."""
        return str(self.environments["ours"] / "bin" / "writer")

    def env_for(self, scheme: str) -> dict[str, str]:
        """Return the environment variables that lead every contender to the server."""
        llm = self.directory / f"llm-{scheme}"
        llm.mkdir(exist_ok=True)
        # JSON is YAML.
        model = {"model_id": "bench", "model_name": MODEL, "api_base": f"{self.urls[scheme]}/v1"}
        (llm / "extra-openai-models.yaml").write_text(json.dumps([model]))
        trust = {"SSL_CERT_DIR": str(authority.SYSTEM)} if scheme == "https" else {}
        return (
            self.env
            | trust
            | {
                "WRITER_BASE_URL": self.urls[scheme],
                "LLM_USER_PATH": str(llm),
            }
        )

    def env_for_certifi(self, scheme: str) -> dict[str, str]:
        """Return the same for a program that trusts certifi and not the system."""
        return {k: v for k, v in self.env_for(scheme).items() if k != "SSL_CERT_DIR"}


@contextmanager
def setting(environments: dict[str, Path]) -> Iterator[Setting]:
    """Start the server in a new directory, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="writer-bench-") as name:
        if shutil.which("openssl"):
            authority.make(environments)
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.server", authority.PLACE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CONTENDERS.parent.parent,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            ports = json.loads(server.stdout.readline())
            env = {
                "HOME": name,
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "NO_COLOR": "1",
                "WRITER_API_KEY": KEY,
                "WRITER_ORGANIZATION_ID": "1",
                "OPENAI_API_KEY": KEY,
            }
            urls = {scheme: f"{scheme}://127.0.0.1:{port}" for scheme, port in ports.items()}
            yield Setting(Path(name), environments, urls, env)
        finally:
            server.stdin.close()
            server.wait(10)
            server.stdout.close()
