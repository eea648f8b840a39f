# The service alone, for a Neo4j that runs elsewhere (docker-compose.yml has both).

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/cmdb
WORKDIR /source
# The locked dependencies first: a change of the code leaves this layer as it is.
COPY requirements.lock ./
RUN /opt/cmdb/bin/pip install --no-deps --only-binary :all: --require-hashes -r requirements.lock
# Node.js, which the browser pages need, comes and goes with pip's build environment.
COPY . .
RUN /opt/cmdb/bin/pip install --no-deps .
RUN cd / && /opt/cmdb/bin/python -m impact.warming

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/cmdb --shell /usr/sbin/nologin cmdb \
    && install -d -o cmdb -g cmdb -m 0700 /var/lib/cmdb
COPY --from=build /opt/cmdb /opt/cmdb
ENV PATH=/opt/cmdb/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
# The only place that is written to: the rest of the file system may be read-only.
VOLUME /var/lib/cmdb
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["cmdb"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/var/lib/cmdb"]
