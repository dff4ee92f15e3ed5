"""One completion with Writer's present SDK, `writer-sdk`."""

import os
import sys

from writerai import Writer

base_url, model, prompt = sys.argv[1:]
client = Writer(api_key=os.environ["WRITER_API_KEY"], base_url=base_url)
print(client.completions.create(model=model, prompt=prompt).choices[0].text)
