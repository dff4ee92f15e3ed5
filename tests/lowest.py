"""Print the lower bounds of the dependencies in a pyproject.toml, in the syntax of pip."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"]:
    print(re.sub(r">=([^,]+).*", r"==\1", requirement))  # noqa: T201 - for a shell to read
