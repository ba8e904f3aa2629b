# Headroom as an image: an ordinary user, a read-only root file system, one writable volume.
#
#   docker run --read-only -v ./substation.yaml:/etc/headroom/substation.yaml:ro -v headroom:/var/lib/headroom headroom
#
# The volume is the journal: with it a restart goes on where the controller was, without it nothing is remembered.
# The configuration's `journal.path` is /var/lib/headroom, its default. Secrets are mounted beside the configuration.

FROM docker.io/library/node:24-bookworm-slim AS modules
WORKDIR /opt/headroom
COPY package.json package-lock.json .npmrc ./
# The packages with native parts ship them prebuilt, for every platform and with their sources: the image keeps those
# of its own C library (both processors), and what the program never loads is left behind.
RUN npm ci --omit=dev --ignore-scripts \
 && rm -rf node_modules/better-sqlite3/deps node_modules/better-sqlite3/src node_modules/@types \
 && find node_modules -path '*/prebuilds/*' -name '*.node' \
      ! -path '*/prebuilds/linux-x64*' ! -path '*/prebuilds/linux-arm64*' -delete \
 && find node_modules -path '*/prebuilds/*' -name '*.musl.node' -delete \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

FROM docker.io/library/node:24-bookworm-slim
WORKDIR /opt/headroom
COPY --from=modules /opt/headroom/node_modules node_modules
COPY package.json ./
COPY hardware hardware
COPY config config
COPY src src
RUN install -d -o 1000 -g 1000 /var/lib/headroom && install -d /etc/headroom
ENV NODE_ENV=production NODE_COMPILE_CACHE=/var/lib/headroom/.compile-cache MALLOC_ARENA_MAX=1
USER 1000:1000
VOLUME /var/lib/headroom
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
  CMD ["node", "src/headroom.js", "status", "--health", "/var/lib/headroom"]
ENTRYPOINT ["node", "src/headroom.js"]
CMD ["run", "/etc/headroom/substation.yaml"]
