"""A node's directory: its settings, and its logs as Kafka formats them before the first start.

Formatting is whole or not at all, so that a node killed in it begins anew: it is done beside the
place of the logs and then moved there.
"""

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Final

from evd.kafka_node.config import KafkaNodeConfig
from evd.kafka_node.installation import Installation
from evd.kafka_node.settings import server_properties

FORMAT_TIMEOUT_S: Final = 60.0


class StorageFailed(Exception):
    """The node's directory could not be prepared: one sentence."""


def new_id() -> str:
    """A random id in the form that Kafka gives to clusters and directories."""
    # As Kafka does: a leading hyphen would be taken for a flag.
    while (drawn := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()).startswith("-"):
        pass
    return drawn.rstrip("=")


def prepare(node: KafkaNodeConfig, installation: Installation) -> Path:
    """Format the node's logs if there are none, and write its settings; the settings' path.

    Without a `cluster_id` a new one is drawn with each formatting, by which readers know that the
    data are other ones. Raises StorageFailed.
    """
    data_dir = node.data_dir.absolute()
    log_dir = data_dir / "log"
    try:
        data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not log_dir.exists():
            _format(node, installation, log_dir)
        return _write(data_dir / "server.properties", server_properties(node, log_dir))
    except OSError as error:
        raise StorageFailed(f"{data_dir}: {error.strerror}") from None


def _format(node: KafkaNodeConfig, installation: Installation, log_dir: Path) -> None:
    data_dir = log_dir.parent
    for left in data_dir.glob("log.unfinished-*"):
        shutil.rmtree(left, ignore_errors=True)
    # Its own place: the formatter of a node that was killed may still be at work.
    unfinished = data_dir / f"log.unfinished-{os.getpid()}"
    settings = _write(
        data_dir / f"format-{os.getpid()}.properties", server_properties(node, unfinished)
    )
    voters = ",".join(map(str, node.voters))
    command = installation.command(
        "kafka.tools.StorageTool",
        *("format", "--cluster-id", node.cluster_id or new_id(), "--config", str(settings)),
        *(("--initial-controllers", voters) if voters else ("--standalone",)),
    )
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        # Java's stack follows what it has to say.
        said = [line for line in (error.stderr + error.stdout).splitlines() if line[:1].strip()]
        told = said[0] if said else "it says nothing"
        raise StorageFailed(f"{data_dir} could not be formatted: {told}") from None
    except subprocess.TimeoutExpired:
        raise StorageFailed(f"{data_dir}: formatting takes too long") from None
    unfinished.rename(log_dir)
    settings.unlink()


def _write(path: Path, text: str) -> Path:
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.write_text(text)
    os.replace(unfinished, path)
    return path
