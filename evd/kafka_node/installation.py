"""The place of Kafka's jars, and the Java that runs them.

They stand in a cache outside the checkout, or on a host of their own in /opt/kafka, one directory a
version: `libs/` with the jars, and a class archive for each Java, from which a node starts in half
the time.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import attrs

SETTINGS_DIR: Final = Path(__file__).with_name("etc")
POM: Final = SETTINGS_DIR / "pom.xml"
# Jars that were shipped to a host stand here.
HOST_DIR: Final = Path("/opt/kafka")
CHECKSUMS: Final = SETTINGS_DIR / "libs.sha256"
LOG_SETTINGS: Final = SETTINGS_DIR / "log4j2.properties"

JAVA_VERSION_MIN: Final = 17
JAVA_ANSWER_S: Final = 20.0
HEAP_MB: Final = 256

# C1 alone: a start costs a third of the processor time, and we are far from Kafka's bounds.
_JVM_FLAGS: Final = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # Without it there would be a file in /tmp that others may read.
    "-XX:-UsePerfData",
    # Out of memory it would go on with dead threads; its supervisor can do better.
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
_MAVEN_NAMESPACE: Final = {"pom": "http://maven.apache.org/POM/4.0.0"}


class NotInstalled(Exception):
    """One sentence says what is missing, and how to get it."""


@attrs.frozen
class Java:
    """A Java runtime: its program and its build, such as `17.0.15+6-Debian-1deb12u1`."""

    program: str
    build: str


@attrs.frozen
class Installation:
    """Kafka's directory and the Java to run it with."""

    directory: Path
    java: Java

    @property
    def archive(self) -> Path:
        """The classes that a node loads, prepared for this very Java."""
        return self.directory / f"classes-{self.java.build}.jsa"

    def command(self, main_class: str, *arguments: str, heap_mb: int = HEAP_MB) -> list[str]:
        """The command line that runs one of Kafka's classes."""
        archived = [f"-XX:SharedArchiveFile={self.archive}"] if self.archive.exists() else []
        return self.command_with(archived, main_class, *arguments, heap_mb=heap_mb)

    def command_with(
        self, jvm_flags: list[str], main_class: str, *arguments: str, heap_mb: int = HEAP_MB
    ) -> list[str]:
        """The same with `jvm_flags` in the place of the archive."""
        return [
            self.java.program,
            f"-Xmx{heap_mb}m",
            *_JVM_FLAGS,
            # An archive that does not fit is left alone; that is no news for anybody.
            "-Xlog:disable",
            "-Xlog:all=error:stderr",
            *jvm_flags,
            f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
            "-cp",
            # Listed, and in a fixed order: an archive holds for one class path alone.
            ":".join(str(self.directory / "libs" / name) for name in jar_checksums()),
            main_class,
            *arguments,
        ]


def find_installation(env: Mapping[str, str] = os.environ) -> Installation:
    """The installation that `make kafka` left, or the one of this host. Raises NotInstalled."""
    jars = jar_checksums()
    for directory in (cache_directory(env), HOST_DIR / kafka_version()):
        if all((directory / "libs" / name).is_file() for name in jars):
            return Installation(directory, find_java(env))
    raise NotInstalled(
        f"Apache Kafka {kafka_version()} is not installed: run `make kafka`, or put its jars into"
        f" {HOST_DIR / kafka_version() / 'libs'}"
    )


def find_java(env: Mapping[str, str] = os.environ) -> Java:
    """The Java of $JAVA_HOME, else of $PATH. Raises NotInstalled."""
    home = env.get("JAVA_HOME")
    program = f"{home}/bin/java" if home else shutil.which("java", path=env.get("PATH"))
    if program is None:
        raise NotInstalled("there is no Java: apt install default-jre-headless")
    try:
        answer = subprocess.run(
            [program, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=JAVA_ANSWER_S,
            check=True,
        ).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalled(f"{program} does not work: {error}") from None
    build = re.search(r"\(build ([0-9]+)([0-9A-Za-z.+_-]*)", answer)
    if build is None or int(build[1]) < JAVA_VERSION_MIN:
        raise NotInstalled(
            f"{program} is not Java {JAVA_VERSION_MIN} or newer: apt install default-jre-headless"
        )
    return Java(program, build[1] + build[2])


def cache_directory(env: Mapping[str, str] = os.environ) -> Path:
    """The folder of this version's files."""
    caches = env.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "evd" / f"kafka-{kafka_version()}"


def kafka_version() -> str:
    """The version that the pom pins."""
    version = ElementTree.parse(POM).findtext(
        "pom:properties/pom:kafka.version", namespaces=_MAVEN_NAMESPACE
    )
    if version is None:
        raise ValueError(f"{POM} has no kafka.version")
    return version


def jar_checksums() -> dict[str, str]:
    """Each jar's SHA-256, by its name, sorted."""
    lines = CHECKSUMS.read_text().splitlines()
    return {name: digest for digest, name in sorted((line.split() for line in lines), key=_name)}


def _name(line: list[str]) -> str:
    return line[1]
