# syntax=docker/dockerfile:1
# The bot and its workers. Build with Terraform or OpenTofu inside by naming an image that has it:
#   docker build --build-arg TERRAFORM_IMAGE=hashicorp/terraform:1.11.4 -t pao .
#   docker build --build-arg TERRAFORM_IMAGE=ghcr.io/opentofu/opentofu:1.9.0-minimal \
#     --build-arg TERRAFORM_PATH=/usr/local/bin/tofu -t pao .
# Without it there is none, and steps of the type TerraformFile fail with a sentence that says so.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG TERRAFORM_IMAGE=none

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/pao
WORKDIR /src
COPY requirements.lock ./
RUN /opt/pao/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md manifest.yml ./
COPY bot bot
COPY handlers handlers
COPY engine engine
COPY sql sql
COPY examples examples
RUN /opt/pao/bin/pip install --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE} AS none
FROM ${TERRAFORM_IMAGE} AS terraform

FROM build AS tools
ARG TERRAFORM_IMAGE
ARG TERRAFORM_PATH=/bin/terraform
RUN mkdir -p /opt/tools
RUN --mount=from=terraform,target=/terraform \
    if [ "${TERRAFORM_IMAGE}" != none ]; then cp "/terraform${TERRAFORM_PATH}" /opt/tools/; fi

FROM ${PYTHON_IMAGE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends git openssh-client ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/pao pao
COPY --from=tools /opt/tools/ /usr/local/bin/
COPY --from=build /opt/pao /opt/pao
# The folder we are in must not shadow our packages, whose names are common words.
ENV PATH=/opt/pao/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 \
    PAO_DATA_DIR=/var/lib/pao PAO_LOG_FORMAT=json PAO_HTTP_PORT=8000
USER 10001
WORKDIR /var/lib/pao
VOLUME /var/lib/pao
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PAO_HTTP_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["pao"]
CMD ["run"]
