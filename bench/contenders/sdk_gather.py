"""Many completions with the asynchronous client of `writer-sdk`: gather, with a limit in flight."""

import asyncio
import json
import os
import sys
from pathlib import Path

from writerai import AsyncWriter

base_url, model, source, target, in_flight = sys.argv[1:]


async def main() -> None:
    prompts = [json.loads(line)["prompt"] for line in Path(source).read_text().splitlines()]
    slots = asyncio.Semaphore(int(in_flight))
    async with AsyncWriter(api_key=os.environ["WRITER_API_KEY"], base_url=base_url) as client:

        async def complete(prompt: str) -> str:
            async with slots:
                answer = await client.completions.create(model=model, prompt=prompt)
            return answer.choices[0].text

        texts = await asyncio.gather(*map(complete, prompts))
    Path(target).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


asyncio.run(main())
