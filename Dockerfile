# docker build -t fastpki . && docker run -p 127.0.0.1:8000:8000 -v fastpki:/var/lib/fastpki fastpki
FROM rust:1.90-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked && mkdir /empty

# glibc, CA certificates and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/fastpki /usr/bin/fastpki
COPY --from=build --chown=65532:65532 --chmod=700 /empty /var/lib/fastpki
WORKDIR /var/lib/fastpki
USER 65532:65532
ENV FASTPKI_LISTEN=0.0.0.0:8000
EXPOSE 8000
VOLUME /var/lib/fastpki
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/usr/bin/fastpki", "healthcheck"]
ENTRYPOINT ["/usr/bin/fastpki"]
CMD ["serve"]
