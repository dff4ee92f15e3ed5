"""Text completion with Writer's language models.

    import writer_cli as writer

    with writer.Writer(sandbox=True) as s:
        res = s.completions.create(
            completion_request=writer.CompletionRequest(prompt="Once upon a time"),
            model_id="palmyra-x5",
        )

Every start of the command line imports this module, so a name is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from writer_cli.cache.folder import Cache as Cache
    from writer_cli.cache.folder import CacheEvent as CacheEvent
    from writer_cli.client import Writer as Writer
    from writer_cli.errors import BadAnswerError as BadAnswerError
    from writer_cli.errors import ConfigurationError as ConfigurationError
    from writer_cli.errors import CutError as CutError
    from writer_cli.errors import DeadlineError as DeadlineError
    from writer_cli.errors import FailMessage as FailMessage
    from writer_cli.errors import FailResponse as FailResponse
    from writer_cli.errors import NetworkError as NetworkError
    from writer_cli.errors import NotRecordedError as NotRecordedError
    from writer_cli.errors import PartialError as PartialError
    from writer_cli.errors import RequestTimeoutError as RequestTimeoutError
    from writer_cli.errors import SDKError as SDKError
    from writer_cli.errors import UsageError as UsageError
    from writer_cli.errors import WriterError as WriterError
    from writer_cli.http.retry import Wait as Wait
    from writer_cli.http.stream import CompletionStream as CompletionStream
    from writer_cli.models import CompletionChunk as CompletionChunk
    from writer_cli.models import CompletionGenerationChoice as CompletionGenerationChoice
    from writer_cli.models import (
        CompletionGenerationChoiceLogprobs as CompletionGenerationChoiceLogprobs,
    )
    from writer_cli.models import CompletionRequest as CompletionRequest
    from writer_cli.models import CompletionResponse as CompletionResponse
    from writer_cli.models import CreateCompletionResponse as CreateCompletionResponse
    from writer_cli.models import (
        CreateModelCustomizationCompletionResponse as CreateModelCustomizationCompletionResponse,
    )
    from writer_cli.models import Customization as Customization
    from writer_cli.models import Model as Model
    from writer_cli.models import Usage as Usage

__version__ = "0.1.0"

_MODULE_OF = {
    "BadAnswerError": "errors",
    "Cache": "cache.folder",
    "CacheEvent": "cache.folder",
    "CompletionChunk": "models",
    "CompletionGenerationChoice": "models",
    "CompletionGenerationChoiceLogprobs": "models",
    "CompletionRequest": "models",
    "CompletionResponse": "models",
    "CompletionStream": "http.stream",
    "ConfigurationError": "errors",
    "CreateCompletionResponse": "models",
    "CreateModelCustomizationCompletionResponse": "models",
    "Customization": "models",
    "CutError": "errors",
    "DeadlineError": "errors",
    "FailMessage": "errors",
    "FailResponse": "errors",
    "Model": "models",
    "NetworkError": "errors",
    "NotRecordedError": "errors",
    "PartialError": "errors",
    "RequestTimeoutError": "errors",
    "SDKError": "errors",
    "Usage": "models",
    "UsageError": "errors",
    "Wait": "http.retry",
    "Writer": "client",
    "WriterError": "errors",
}

__all__ = [*_MODULE_OF]  # noqa: PLE0604 - the keys are names, imported on first use


def __getattr__(name: str) -> Any:
    """Import an exported name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, also those that are not imported yet."""
    return [*__all__, "__version__"]
