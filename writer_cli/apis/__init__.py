"""The wire dialects of the completion APIs: they translate only, without I/O.

`get` returns a dialect by its name. The rest of the program uses it through the `Api` protocol.
"""

from typing import TYPE_CHECKING

from writer_cli.apis.access import ApiName

if TYPE_CHECKING:  # --help needs the names alone
    from writer_cli.apis.dialect import Api


def get(name: ApiName) -> "Api":
    """Return the dialect with this name."""
    if name == "openai":
        from writer_cli.apis.openai import OpenAIApi

        return OpenAIApi()
    if name == "studio":
        from writer_cli.apis.studio import StudioApi

        return StudioApi()
    from writer_cli.apis.enterprise import EnterpriseApi

    return EnterpriseApi()
