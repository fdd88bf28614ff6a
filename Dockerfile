# Three images from this checkout: `api`, `worker` and, for trying things out, `mailbox`.
#   docker build --target api .

FROM rust:1.95-slim-bookworm AS build
# XMLSec, which verifies the signatures of single sign-on, and libclang, which reads its headers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libxmlsec1-dev libxml2-dev libssl-dev pkg-config \
        libclang1-14 libclang-common-14-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The queries are checked against .sqlx; there is no database here. Only the two programs, so that nothing the tests need
# is built into them.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package tenantry-api --package tenantry-worker \
    && install -D --target-directory=/out target/release/tenantry-api target/release/tenantry-worker

FROM debian:bookworm-slim AS runtime
# ca-certificates for TLS to Postgres and mail servers, curl for the health checks, XMLSec for single sign-on.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libxmlsec1-openssl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tenantry
USER 10001:10001

FROM runtime AS api
COPY --from=build /out/tenantry-api /usr/local/bin/
EXPOSE 8080 9090
ENTRYPOINT ["tenantry-api"]
CMD ["serve"]

FROM runtime AS worker
COPY --from=build /out/tenantry-worker /usr/local/bin/
EXPOSE 9091
ENTRYPOINT ["tenantry-worker"]
CMD ["run"]

# MailDev, the very one that ./dev uses.
FROM node:22-bookworm-slim AS mailbox
WORKDIR /mailbox
COPY scripts/maildev/package.json scripts/maildev/package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
USER node
EXPOSE 1025 1080
ENTRYPOINT ["node", "node_modules/maildev/dist/bin/maildev.js", "--max-emails", "1000"]
