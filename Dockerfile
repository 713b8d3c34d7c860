FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# What was downloaded and built stays outside of the image, for the next time.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package tracking-server && \
    cp target/release/tracking-server /usr/local/bin/

FROM debian:bookworm-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tracking
COPY --from=build /usr/local/bin/tracking-server /usr/local/bin/
WORKDIR /
USER tracking
# Beyond the container the server listens only with a TRACKING_ADMIN_TOKEN.
ENV TRACKING_LISTEN=0.0.0.0:3001
EXPOSE 3001
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["tracking-server", "health"]
ENTRYPOINT ["tracking-server"]
