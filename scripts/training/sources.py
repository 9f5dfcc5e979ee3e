"""The packages of other languages than Python that the default model learns from: a fixed list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Registry(Enum):
    """Where a package's source archive comes from."""

    NPM = "npm"
    DEBIAN = "Debian"
    """A source package, or for Go and Rust a binary package (``-dev``), which holds the source too."""


@dataclass(frozen=True, slots=True)
class Source:
    """One package of one language."""

    language: str
    registry: Registry
    name: str
    version: str = ""
    """npm only. A Debian package has the version of the machine's Debian release."""
    folder: str = ""
    """npm only: the folder of the package that holds the code as it was written; empty: all of it."""
    held_out: bool = False


_NPM = {
    "typescript": """
        rxjs@7.8.2:src zod@4.6.7:src effect@4.1.0:src @effect/platform@0.97.2:src
        @tanstack/router-core@1.171.39:src mobx@7.1.3:src redux@5.0.1:src @reduxjs/toolkit@2.14.0:src
        viem@2.57.20 ethers@6.17.0:src.ts chevrotain@11.2.0:src langium@4.4.0:src ajv@8.20.0:lib
        mongodb@7.9.0:src bson@7.3.4:src @noble/curves@2.4.0:src @noble/hashes@2.4.0:src
        prosemirror-view@1.42.9:src cheerio@1.2.0:src
    """,
    "javascript": """
        eslint@10.15.0:lib webpack@5.112.2:lib three@0.187.0:src ol@10.11.0 fastify@5.12.8 undici@7.30.2:lib
        mongoose@9.12.1:lib knex@3.3.0:lib sequelize@6.37.8:lib svelte@5.57.3:src leaflet@1.9.4:src
        luxon@3.7.2:src moment@2.31.0:src ramda@0.32.0:src underscore@1.13.8:modules yjs@13.6.33:src
        mocha@12.0.3:lib handlebars@4.7.10:lib preact@11.2.0:src winston@3.19.0:lib ws@8.23.0:lib pino@10.4.0
        @hapi/hapi@21.4.10:lib bull@4.16.5:lib passport@0.7.0:lib
    """,
}
_NPM_HELD_OUT = {
    "typescript": """
        @tanstack/query-core@5.108.0:src @trpc/server@11.25.2:src immer@11.2.10:src
        prosemirror-model@1.25.13:src prosemirror-state@1.4.4:src
    """,
    "javascript": "axios@1.21.1:lib commander@14.0.3:lib express@5.3.0:lib koa@3.3.0:lib",
}
_DEBIAN = {
    "go": """
        golang-1.19 caddy etcd fzf prometheus restic golang-github-alecthomas-chroma
        golang-github-charmbracelet-bubbletea golang-github-gin-gonic-gin-dev golang-github-go-chi-chi-dev
        golang-github-google-go-cmp golang-github-jmoiron-sqlx golang-github-labstack-echo
        golang-github-miekg-dns-dev golang-github-pelletier-go-toml golang-github-prometheus-client-golang-dev
        golang-github-rs-zerolog-dev golang-github-spf13-viper golang-github-urfave-cli
        golang-github-valyala-fasthttp-dev golang-golang-x-net golang-golang-x-text golang-golang-x-tools
        golang-google-grpc
    """,
    "rust": """
        librust-bat-dev librust-bstr-dev librust-bytes-dev librust-chrono-dev librust-clap-dev
        librust-crossbeam-channel-dev librust-crossbeam-utils-dev librust-crossterm-dev librust-csv-dev
        librust-futures-util-dev librust-gimli-dev librust-globset-dev librust-h2-dev librust-hashbrown-dev
        librust-http-dev librust-ignore-dev librust-image-dev librust-insta-dev librust-itertools-dev
        librust-log-dev librust-mio-dev librust-nom-dev librust-num-bigint-dev librust-object-dev
        librust-petgraph-dev librust-pulldown-cmark-dev librust-rand-dev librust-rayon-dev librust-regex-dev
        librust-regex-syntax-dev librust-reqwest-dev librust-rustix-dev librust-rustls-dev librust-serde-dev
        librust-serde-json-dev librust-similar-dev librust-smallvec-dev librust-syn-dev librust-time-dev
        librust-tokio-dev librust-toml-dev librust-toml-edit-dev librust-tower-dev
        librust-tracing-subscriber-dev librust-tui-dev librust-url-dev librust-uuid-dev librust-walkdir-dev
        rust-fd-find rust-ripgrep
    """,
    "java": """
        antlr4 guava-libraries httpcomponents-client httpcomponents-core jackson-core jackson-databind
        libcommons-collections4-java libcommons-lang3-java libokhttp-java libspring-java maven mockito netty
        picocli tomcat10
    """,
    "c": """
        c-ares cjson curl hiredis jq libarchive libevent libpcap libpng1.6 libsodium libssh2 libuv1 libxml2
        lua5.4 lz4 mbedtls nghttp2 nginx pcre2 redis tmux zlib
    """,
    "cpp": """
        abseil box2d bullet capnproto catch2 cli11 cpp-httplib double-conversion gflags
        googletest imgui libjsoncpp msgpack-c ninja-build nlohmann-json3 protobuf pugixml rapidjson re2 simdjson
        snappy spdlog tinyxml2
    """,
}
_DEBIAN_HELD_OUT = {
    "go": "golang-github-gorilla-mux golang-github-spf13-cobra golang-go.uber-zap-dev",
    "rust": "librust-anyhow-dev librust-hyper-dev librust-indexmap-dev librust-semver-dev",
    "java": "jcommander jsoup libcommons-codec-java",
    "c": "http-parser jansson libyaml",
    "cpp": "fmtlib leveldb yaml-cpp",
}


def _npm(language: str, names: str, *, held_out: bool) -> Iterator[Source]:
    for name in names.split():
        package, _, folder = name.partition(":")
        package, _, version = package.rpartition("@")
        yield Source(language, Registry.NPM, package, version, folder, held_out)


def _debian(language: str, names: str, *, held_out: bool) -> Iterator[Source]:
    return (Source(language, Registry.DEBIAN, name, held_out=held_out) for name in names.split())


SOURCES = tuple(
    source
    for table, read, held_out in (
        (_NPM, _npm, False),
        (_NPM_HELD_OUT, _npm, True),
        (_DEBIAN, _debian, False),
        (_DEBIAN_HELD_OUT, _debian, True),
    )
    for language, names in table.items()
    for source in read(language, names, held_out=held_out)
)
"""Every package, with the side of the split it is on."""

LANGUAGES = ("python", *dict.fromkeys(source.language for source in SOURCES))
"""Languages of the corpus, as LSP names them."""
