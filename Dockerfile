FROM gcr.io/distroless/cc-debian13:nonroot@sha256:e792ab3d241a468a4fd7519ddbbebe66b49b5f365771716ea688ad40b6c6f1c2 AS runtime

# The builder's glibc (Debian 12) must not be newer than the runtime's (Debian 13), because glibc is only backward
# compatible.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY policies policies
# The target folder is a cache and not part of any layer, so the same step copies the binary out of it. Cargo compares
# modification times to decide whether the cached binary is current, and an older checkout has older times: hence the
# touch.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    touch -c src/main.rs src/lib.rs \
    && cargo build --profile dist --features jemalloc --locked --bin expense-agent \
    && cp target/dist/expense-agent /expense-agent
# The program needs 4 of the runtime's 25 MB: its shared libraries with their loader, the CA certificates, and the user
# names. The dpkg status files of the libraries let vulnerability scanners recognise them. The ledger's folder is made here
# because the final image has no shell.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /runtime
RUN --mount=type=bind,from=runtime,target=/runtime \
    mkdir -p /image/tmp /image/var/lib/expense-agent \
    && chmod 1777 /image/tmp && chown 65532:65532 /image/var/lib/expense-agent \
    && { ldd /expense-agent | grep -o '/lib[^ ]*' | sed 's/^/./'; \
        find . -regextype egrep -regex '\./etc/(passwd|group|nsswitch.conf|ssl/certs/ca-certificates.crt)' \
            -o -regextype egrep -regex '\./var/lib/dpkg/status.d/lib(c6|gcc-s1).*'; } \
        | xargs cp -L --parents -t /image

FROM scratch
COPY --from=build /image /
COPY --chmod=0555 policies /etc/expense-agent/policies
COPY --from=build --chmod=0555 /expense-agent /usr/local/bin/expense-agent
# The default address is loopback, which cannot be reached from outside the container. Anonymous callers are still refused
# unless the operator configures keys or allows them.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    EXPENSE_AGENT_LISTEN=0.0.0.0:8000 \
    EXPENSE_AGENT_POLICIES=/etc/expense-agent/policies \
    EXPENSE_AGENT_DATA=/var/lib/expense-agent
# A numeric user lets Kubernetes verify that it is not root.
USER 65532:65532
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/expense-agent", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/expense-agent"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="expense-agent" \
      org.opencontainers.image.description="An expense agent whose every decision is a trace" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
