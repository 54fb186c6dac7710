# syntax=docker/dockerfile:1
# The ingest proxy. Context: the repository's root.
#
#     docker build --file docker/proxy.Dockerfile --tag undertone-ingest-proxy .

FROM rust:1-slim-trixie AS builder
WORKDIR /source
COPY . .
# The cache mounts are kept by the builder and are no part of the image, hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin undertone-ingest-proxy \
    && cp target/release/undertone-ingest-proxy / \
    && mkdir --mode=0700 /data

# glibc and libgcc, no shell and no package manager; the same Debian as the builder's.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=builder /undertone-ingest-proxy /usr/local/bin/undertone-ingest-proxy
# A new volume takes its owner and mode from here.
COPY --from=builder --chown=65532:65532 /data /var/lib/undertone-ingest
# A number: who demands that containers aren't root can check it.
USER 65532:65532
VOLUME /var/lib/undertone-ingest
STOPSIGNAL SIGTERM
# The binary asks itself, since there is no curl here. Until Tor is bootstrapped it isn't well.
HEALTHCHECK --interval=10s --timeout=8s --start-period=5m --retries=6 \
    CMD ["/usr/local/bin/undertone-ingest-proxy", "--config", "/etc/undertone-ingest/proxy.toml", "health"]
ENTRYPOINT ["/usr/local/bin/undertone-ingest-proxy", "--config", "/etc/undertone-ingest/proxy.toml"]
CMD ["run"]
