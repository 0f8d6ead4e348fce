# Two targets: `service` (no torch, no compiler) and `training`.
# The pip mounts are optional: without the secrets pip uses its defaults, with an empty deploy/wheels it downloads torch,
# from PIP_EXTRA_INDEX_URL where that has it (the small CPU build). RUNTIME is one of the extras `cpu` and `gpu`.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt ./
RUN python -m venv /opt/intently

FROM build AS service-build
ARG RUNTIME=cpu
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY training training
COPY service service
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle,target=/run/secrets/ca.pem \
    /opt/intently/bin/pip install -c constraints.txt ".[service,${RUNTIME},jwt,otel,client]" \
    && /opt/intently/bin/pip uninstall -y pip setuptools \
    && find /opt/intently -name __pycache__ -prune -exec rm -rf {} +

FROM build AS training-build
ARG RUNTIME=cpu
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle,target=/run/secrets/ca.pem \
    --mount=type=bind,source=deploy/wheels,target=/wheels \
    /opt/intently/bin/pip install -c constraints.txt --find-links /wheels torch==2.13.0
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY training training
COPY service service
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle,target=/run/secrets/ca.pem \
    /opt/intently/bin/pip install -c constraints.txt ".[training,${RUNTIME}]"

FROM python:3.11-slim AS base
ENV PATH=/opt/intently/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin intently \
    && install -d -o intently -g intently /bundles /data /events /redis /replay /runs /secrets
USER 10001:10001
WORKDIR /runs

FROM base AS training
COPY --from=training-build /opt/intently /opt/intently
ENTRYPOINT ["intently-train"]

FROM base AS service
COPY --from=service-build /opt/intently /opt/intently
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["intently-serve"]
CMD ["run", "--bundle", "/bundles", "--host", "0.0.0.0", "--admin-host", "0.0.0.0"]
