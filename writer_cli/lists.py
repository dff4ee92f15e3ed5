"""What there is to ask: the lists of models and of customizations."""

import builtins
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from writer_cli.apis.dialect import Api, Call, Target
from writer_cli.models import Customization, Model

_Listed = TypeVar("_Listed")


class Asker(Protocol):
    """What asks: a `Writer`."""

    api: Api

    def target(
        self, model_id: str, organization_id: int | None, customization_id: str | None = None
    ) -> Target:
        """Return what to ask."""
        ...

    def ask(
        self, make_call: Callable[[], Call], read: Callable[[dict[str, Any]], _Listed]
    ) -> _Listed:
        """Send a call and read its answer."""
        ...


class Models:
    """The models that can be asked."""

    def __init__(self, writer: Asker) -> None:
        self._writer = writer

    def list(self, *, organization_id: int | None = None) -> "builtins.list[Model]":
        """List the models of the API, or of the organization.

        A list is never recorded: with an offline cache it is a `NotRecordedError`. Raises the
        same errors as `create` besides.
        """
        api, target = self._writer.api, self._writer.target("", organization_id)
        return self._writer.ask(lambda: api.models(target), api.read_models)


class Customizations:
    """The customizations of a model; only the enterprise API has any."""

    def __init__(self, writer: Asker) -> None:
        self._writer = writer

    def list(
        self, *, model_id: str, organization_id: int | None = None
    ) -> "builtins.list[Customization]":
        """List the customizations of a model. Raises as `Models.list` does."""
        api, target = self._writer.api, self._writer.target(model_id, organization_id)
        return self._writer.ask(lambda: api.customizations(target), api.read_customizations)
