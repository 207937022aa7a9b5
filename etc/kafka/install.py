"""`make kafka`: fetches Apache Kafka by Maven, checks each jar, prepares its classes for a start.

Whole or not at all, and safe to repeat: a second run finds everything and ends at once. Where
Java or Maven is missing it says what to install; with root and apt it does that itself.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from evd.adapters.kafka.survey import await_cluster
from evd.adapters.kafka.topics import TopicsFailed, ensure_topics
from evd.config import restrict_modes
from evd.kafka_node.config import kafka_node_config
from evd.kafka_node.installation import (
    POM,
    Installation,
    NotInstalled,
    cache_directory,
    find_installation,
    find_java,
    jar_checksums,
    kafka_version,
)
from evd.kafka_node.storage import StorageFailed, prepare

PACKAGES: Final = ("default-jre-headless", "maven")
MAVEN_TIMEOUT_S: Final = 900.0
APT_TIMEOUT_S: Final = 900.0
NODE_START_S: Final = 60.0
NODE_STOP_S: Final = 60.0
SHOWN_LINES_MAX: Final = 15


class InstallFailed(Exception):
    """Kafka could not be installed: what is missing or broken, as a sentence."""


def install() -> Installation:
    """Make what is missing; the installation. Raises InstallFailed."""
    directory = cache_directory()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallFailed(f"{directory.parent}: {error.strerror}") from None
    with _one_at_a_time(directory.parent / "kafka.lock"):
        if _first_difference(directory / "libs") is not None:
            _fetch(directory)
        _provide(("java",))
        installation = find_installation()
        if not installation.archive.exists():
            _archive_classes(installation)
    return installation


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _first_difference(libs: Path) -> str | None:
    """The first jar that is not as it was pinned, or None."""
    for name, digest in jar_checksums().items():
        try:
            with (libs / name).open("rb") as jar:
                found = hashlib.file_digest(jar, "sha256").hexdigest()
        except FileNotFoundError:
            return f"{name} is missing"
        if found != digest:
            return f"{name} has another checksum than the one that is pinned"
    return None


def _fetch(directory: Path) -> None:
    """Put the jars into `libs`, as a whole; a class archive of older ones goes with them."""
    _provide(("java", "mvn"))
    print(f"Fetching Apache Kafka {kafka_version()} by Maven (once; 55 MB)", flush=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=directory.parent) as scratch:
        unfinished = Path(scratch, "new")
        _run(
            [
                *("mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "--file", str(POM)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={unfinished / 'libs'}"),
            ],
            MAVEN_TIMEOUT_S,
        )
        difference = _first_difference(unfinished / "libs")
        if difference is not None:
            raise InstallFailed(f"what Maven fetched is not what is pinned: {difference}")
        if directory.exists():
            directory.rename(Path(scratch, "old"))
        unfinished.rename(directory)


def _provide(programs: Sequence[str]) -> None:
    """Java and Maven, from the distribution where we may; else a sentence that says so."""
    if all(map(_is_there, programs)):
        return
    command = f"apt install {' '.join(PACKAGES)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise InstallFailed(f"Apache Kafka needs Java 17 and Maven: {command}")
    print(f"Java 17 or Maven is missing: {command}", flush=True)
    # Maven wants a Java with a screen; the one without will do.
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2")
    _run([*apt, "update"], APT_TIMEOUT_S)
    _run([*apt, "install", "--yes", "--no-install-recommends", *PACKAGES], APT_TIMEOUT_S)
    find_java()


def _is_there(program: str) -> bool:
    if program != "java":
        return shutil.which(program) is not None
    try:
        find_java()
    except NotInstalled:
        return False
    return True


def _run(command: Sequence[str], timeout_s: float) -> None:
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        print("\n".join(error.stdout.splitlines()[-SHOWN_LINES_MAX:]), file=sys.stderr)
        raise InstallFailed(f"`{' '.join(command)}` failed, see above") from None
    except subprocess.TimeoutExpired:
        raise InstallFailed(f"`{' '.join(command)}` took more than {timeout_s:.0f} s") from None


def _archive_classes(installation: Installation) -> None:
    """Run a node once and keep the classes that it loaded."""
    print("Preparing its classes for a quick start (once; 10 s)", flush=True)
    unfinished = installation.archive.with_suffix(".unfinished")
    with tempfile.TemporaryDirectory(prefix="evd-kafka-") as scratch:
        port, controller_port = map(str, _free_ports(2))
        ports = ("--listen-port", port, "--controller-port", controller_port)
        node = kafka_node_config(["--data-dir", scratch, *ports], {})
        process = subprocess.Popen(
            installation.command_with(
                [f"-XX:ArchiveClassesAtExit={unfinished}"],
                "kafka.Kafka",
                str(prepare(node, installation)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if await_cluster(node.address, 1, NODE_START_S) is None:
                raise InstallFailed("a node of the new installation does not answer")
            ensure_topics(node.address, partitions=1)
            process.terminate()
            process.wait(NODE_STOP_S)
        except TopicsFailed as error:
            raise InstallFailed(str(error)) from None
        except subprocess.TimeoutExpired:
            raise InstallFailed("a node of the new installation does not end") from None
        finally:
            process.kill()
            process.wait()
    if not unfinished.exists():
        raise InstallFailed("Java left no archive of the classes that it had loaded")
    unfinished.rename(installation.archive)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        bound = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in bound]


def main() -> int:
    """Install, and say where; 1 with one sentence where that is not possible."""
    began_s = time.monotonic()
    restrict_modes()
    try:
        installation = install()
    except (InstallFailed, NotInstalled, StorageFailed) as failure:
        print(f"make kafka: {failure}", file=sys.stderr)
        return 1
    print(
        f"Apache Kafka {kafka_version()} is in {installation.directory}: {len(jar_checksums())} "
        f"jars, checked, on Java {installation.java.build} ({time.monotonic() - began_s:.1f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
