"""A minimal script with typer, pydantic and httpx."""

from typing import Annotated

import httpx
import typer
from pydantic import BaseModel


class Request(BaseModel):
    prompt: str
    max_tokens: int | None = None
    temperature: float | None = None


class Choice(BaseModel):
    text: str


class Answer(BaseModel):
    choices: list[Choice]


app = typer.Typer()


@app.command()
def complete(
    prompt: str,
    model: Annotated[str, typer.Option("-m", "--model-id")],
    base_url: Annotated[str, typer.Option(envvar="WRITER_BASE_URL")],
    api_key: Annotated[str, typer.Option(envvar="WRITER_API_KEY")],
    organization_id: Annotated[int, typer.Option(envvar="WRITER_ORGANIZATION_ID")],
    max_tokens: Annotated[int | None, typer.Option()] = None,
    temperature: Annotated[float | None, typer.Option()] = None,
) -> None:
    """Complete a prompt."""
    request = Request(prompt=prompt, max_tokens=max_tokens, temperature=temperature)
    response = httpx.post(
        f"{base_url}/llm/organization/{organization_id}/model/{model}/completions",
        headers={"Authorization": f"Bearer {api_key}"},
        json=request.model_dump(exclude_none=True),
    )
    response.raise_for_status()
    print(Answer.model_validate(response.json()).choices[0].text)


if __name__ == "__main__":
    app()
