"""The wire dialects of the completion APIs: pure translation, no I/O.

The client sends calls and knows no dialect: `get` returns the one that it uses.
"""

from writer_cli.apis.dialect import Api, ApiName


def get(name: ApiName) -> Api:
    """Return the dialect of that name."""
    if name == "openai":
        from writer_cli.apis.openai import OpenAIApi

        return OpenAIApi()
    if name == "studio":
        from writer_cli.apis.studio import StudioApi

        return StudioApi()
    from writer_cli.apis.enterprise import EnterpriseApi

    return EnterpriseApi()
