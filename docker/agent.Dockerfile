# syntax=docker/dockerfile:1
# The standalone agent, for machines of one's own. Context: the repository's root.
#
#     docker build --file docker/agent.Dockerfile --tag undertone .
#     docker run --detach --name undertone --restart unless-stopped --stop-timeout 15 \
#         --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#         --mount type=bind,source=/,target=/host,readonly,bind-propagation=rslave \
#         --mount type=bind,source=/proc,target=/host/proc,readonly \
#         --mount type=bind,source=/etc/undertone,target=/etc/undertone,readonly \
#         --volume undertone:/var/lib/undertone \
#         undertone
#
# What it measures is the host, which a container hides from it: /host is the host's own root, with
# its /proc, and is read, never written, if the configuration says `root = "/host"` under [host] (README.md
# has one). It needs neither the host's network nor its processes: the numbers of network interfaces
# are read as the host's first process sees them. It listens nowhere unless it is told to.

FROM rust:1-slim-trixie AS builder
WORKDIR /source
COPY . .
# The cache mounts are kept by the builder and are no part of the image, hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin undertone \
    && cp target/release/undertone / \
    && mkdir --mode=0700 /data

# glibc and libgcc, no shell and no package manager; the same Debian as the builder's.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=builder /undertone /usr/local/bin/undertone
# A new volume takes its owner and mode from here.
COPY --from=builder --chown=65532:65532 /data /var/lib/undertone
# A number: who demands that containers aren't root can check it.
USER 65532:65532
VOLUME /var/lib/undertone
STOPSIGNAL SIGTERM
# No HEALTHCHECK: an agent that can't push keeps quiet and tries again, and a restart wouldn't help.
ENTRYPOINT ["/usr/local/bin/undertone"]
CMD ["run"]
