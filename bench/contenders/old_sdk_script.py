"""One completion with Writer's former SDK, `writerai` 1.2.4."""

import os
import sys

import writer

base_url, model, prompt = sys.argv[1:]
s = writer.Writer(api_key=os.environ["WRITER_API_KEY"], organization_id=1, server_url=base_url)
res = s.completions.create(
    completion_request=writer.CompletionRequest(prompt=prompt), model_id=model
)
print(res.completion_response.choices[0].text)
