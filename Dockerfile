# docker build -t writer .
# docker run --rm -i -e WRITER_API_KEY -e WRITER_ORGANIZATION_ID writer complete -m palmyra-x5 "Once upon a time"
FROM python:3.13-slim
COPY . /src
RUN pip install --no-cache-dir --root-user-action ignore /src && rm -rf /src
RUN useradd --create-home writer
USER writer
WORKDIR /home/writer
ENTRYPOINT ["writer"]
