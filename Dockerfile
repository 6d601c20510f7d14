# syntax=docker/dockerfile:1
# `docker build -t readout .` builds the service alone, without a database: set DATABASE_URL or DATABASE_URL_FILE.

# `bash ops/release/pin` prints both with their digests.
ARG BUILD_BASE=rust:1.95-slim-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /readout
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/readout/target \
    cargo build --release --locked --features otlp && cp target/release/readout /usr/local/bin/

# The base image has the C library and the public CA certificates, but neither a shell nor a package manager.
FROM ${BASE}
COPY --from=build /usr/local/bin/readout /usr/local/bin/
# The service writes nothing to the file system, which may be read-only.
USER nonroot
# The operations port has neither TLS nor credentials: on 0.0.0.0:9464 it also needs READOUT_INSECURE=true.
ENV READOUT_LISTEN=0.0.0.0:50051 READOUT_OPERATIONS_LISTEN=127.0.0.1:9464
EXPOSE 50051 9464
ENTRYPOINT ["readout"]
CMD ["serve"]
