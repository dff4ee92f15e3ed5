"""Ten lines with httpx, the least that Python can do."""

import os
import sys

import httpx

base_url, model, prompt = sys.argv[1:]
response = httpx.post(
    f"{base_url}/llm/organization/1/model/{model}/completions",
    headers={"Authorization": f"Bearer {os.environ['WRITER_API_KEY']}"},
    json={"prompt": prompt},
)
print(response.raise_for_status().json()["choices"][0]["text"])
