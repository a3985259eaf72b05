# The service, as a user without rights. Build: docker build -t reindex-queue .
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements/ requirements/
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt
COPY pyproject.toml README.md ./
COPY app/ app/
COPY alembic/ alembic/
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.12-slim
COPY requirements/runtime.txt /tmp/runtime.txt
COPY --from=build /wheels/ /tmp/wheels/
RUN pip install --no-cache-dir --require-hashes --no-deps -r /tmp/runtime.txt \
    && pip install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl \
    && rm -r /tmp/runtime.txt /tmp/wheels \
    && useradd --uid 10001 --gid 0 --create-home --home-dir /var/lib/reindex-queue reindex \
    && chmod 0770 /var/lib/reindex-queue
# Any other user of group 0 will do as well, one without a name, too, as OpenShift gives it; and the
# root file system may be read-only.
USER 10001
WORKDIR /var/lib/reindex-queue
ENV SERVER_HOST=0.0.0.0 \
    DATABASE_URL=sqlite:////var/lib/reindex-queue/queue.db
EXPOSE 5602
# The queue, where it is on SQLite: name the volume, or an update of the image begins without it.
VOLUME /var/lib/reindex-queue
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, ssl, urllib.request as r; e = os.environ; s = 's' if e.get('SERVER_SSL_CERTIFICATE') else ''; r.urlopen(f\"http{s}://127.0.0.1:{e.get('SERVER_PORT') or 5602}{e.get('SERVER_BASEPATH', '')}/readyz\", timeout=4, context=ssl._create_unverified_context())"]
ENTRYPOINT ["reindex-queue", "serve"]
