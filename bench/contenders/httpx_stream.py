"""The least that Python can do with a stream: lines of events, each printed as it comes."""

import json
import os
import sys

import httpx

base_url, model, prompt = sys.argv[1:]
with httpx.stream(
    "POST",
    f"{base_url}/llm/organization/1/model/{model}/completions/stream",
    headers={"Authorization": f"Bearer {os.environ['WRITER_API_KEY']}"},
    json={"prompt": prompt},
) as response:
    for line in response.iter_lines():
        if line.startswith("data:"):
            print(json.loads(line[5:])["value"], end="", flush=True)
