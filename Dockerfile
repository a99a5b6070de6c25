# Geofix in two images: `docker build --target cpu .` and `docker build --target gpu .`
# The same image is the service, the workers and the clock: the command says which. What is in it is
# listed in /usr/share/doc/geofix/sbom.cdx.json, which `make sbom` writes, too. Bases are pinned by
# version: `docker buildx imagetools inspect` tells the digest to pin where yours must not move.

FROM node:22.16.0-bookworm-slim AS page
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY openapi /build/openapi
COPY service /build/service
COPY web ./
RUN npm run build

FROM python:3.11.13-slim-bookworm AS wheel
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY LICENSES LICENSES
COPY geofix geofix
COPY service service
COPY workers workers
COPY indexer indexer
COPY --from=page /build/service/page/static service/page/static
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11.13-slim-bookworm AS sbom
WORKDIR /build
COPY requirements requirements
COPY pyproject.toml ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements/sbom.txt
RUN for lock in runtime gpu; do cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file "sbom-$lock.cdx.json" "requirements/$lock.txt" || exit 1; done

FROM python:3.11.13-slim-bookworm AS cpu-packages
COPY requirements/runtime.txt /requirements.txt
RUN python -m venv /app && /app/bin/pip install --no-cache-dir --require-hashes -r /requirements.txt
COPY --from=wheel /wheels /wheels
RUN /app/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11.13-slim-bookworm AS gpu-packages
COPY requirements/gpu.txt /requirements.txt
RUN python -m venv /app && /app/bin/pip install --no-cache-dir --require-hashes -r /requirements.txt
COPY --from=wheel /wheels /wheels
RUN /app/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11.13-slim-bookworm AS base
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Geofix" \
      org.opencontainers.image.description="Where was this photo taken?" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.13-slim-bookworm"
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin geofix \
    && install --directory --owner=10001 --group=10001 /data /objects
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GEOFIX_DATA_DIR=/data \
    GEOFIX_HOST=0.0.0.0 \
    GEOFIX_LOG_FORMAT=json
USER 10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('GEOFIX_PORT', '8000')}/readyz\", timeout=4)"]
ENTRYPOINT ["geofix"]
CMD ["serve"]

FROM base AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=sbom /build/sbom-gpu.cdx.json /usr/share/doc/geofix/sbom.cdx.json
COPY --from=gpu-packages /app /app

FROM base AS cpu
COPY --from=sbom /build/sbom-runtime.cdx.json /usr/share/doc/geofix/sbom.cdx.json
COPY --from=cpu-packages /app /app
