# The builder's glibc (Debian 12) is older than the runtime's (Debian 13), which is the direction glibc keeps working.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY policies policies
# The target folder is a cache that no layer keeps, so the binary is copied out of it in the same step. Cargo tells by
# dates whether the cached binary is current, and a file in an older checkout has an older date: hence the touch.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    touch -c src/main.rs src/lib.rs \
    && cargo build --release --locked --bin expense-agent \
    && cp target/release/expense-agent /expense-agent
# The runtime has no shell to make a folder with, so the ledger's is made here.
RUN mkdir -p /ledger/expense-agent

FROM gcr.io/distroless/cc-debian13:nonroot@sha256:e792ab3d241a468a4fd7519ddbbebe66b49b5f365771716ea688ad40b6c6f1c2
COPY --from=build --chown=65532:65532 /ledger/expense-agent /var/lib/expense-agent
COPY --chmod=0555 policies /etc/expense-agent/policies
COPY --from=build --chmod=0555 /expense-agent /usr/local/bin/expense-agent
# A container's loopback is out of reach from outside it, so the default address would serve nobody. Anonymous callers
# stay refused: whoever runs the image configures keys or allows them.
ENV EXPENSE_AGENT_LISTEN=0.0.0.0:8000 \
    EXPENSE_AGENT_POLICIES=/etc/expense-agent/policies \
    EXPENSE_AGENT_DATA=/var/lib/expense-agent
# The user is a number, so that Kubernetes can tell that it is not root.
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
