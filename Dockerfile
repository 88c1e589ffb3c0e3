# The bot as an image: the steps of `make install`, without the tools of development.
FROM python:3.11-slim AS build

# On Linux the package index gives torch with CUDA, several GB. For an image without a GPU, give the address of PyTorch's own index of CPU
# wheels (its "Get Started" page names it) as this argument: docker build --build-arg EXTRA_INDEX_URL=… .
ARG EXTRA_INDEX_URL=""

# For the kernels in C; the image that runs needs no compiler.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm --recursive /var/lib/apt/lists/*

WORKDIR /src
RUN python -m venv /opt/mynah
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY bot ./bot
COPY cogs ./cogs
COPY storage ./storage
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/mynah/bin/python -m pip install --quiet --disable-pip-version-check \
      --constraint constraints.txt ${EXTRA_INDEX_URL:+--extra-index-url "$EXTRA_INDEX_URL"} .

FROM python:3.11-slim

RUN useradd --uid 10001 --create-home mynah \
    && install --directory --owner=mynah --group=mynah /data
COPY --from=build /opt/mynah /opt/mynah
ENV PATH="/opt/mynah/bin:$PATH" \
    MYNAH_HOME=/data \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["mynah"]
CMD ["run"]
