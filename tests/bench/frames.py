"""Frames encoded and decoded a second."""

import time

from evd.core.wire.framing import Deframer, encode
from tests.bench.figures import line, spread

FRAMES = 50_000
RUNS = 5
DATA = b'{"type":"HEARTBEAT","cp_id":"CP-001","seq":12345,"engine_status":"OK","ko_cause":null' + (
    b',"boot_id":"boot-68b9f4fab5e94f99858a3bf7193ba396","report":77,"up_s":1234.567,"x":"\x02\x03"}'
)


def measure() -> None:
    """Print the rates of both ways, over RUNS runs."""
    encoded = encode(DATA) * 100
    encodes, decodes = [], []
    for _ in range(RUNS):
        began_s = time.perf_counter()
        for _ in range(FRAMES):
            encode(DATA)
        encodes.append(FRAMES / (time.perf_counter() - began_s))
        deframer, found = Deframer(), 0
        began_s = time.perf_counter()
        while found < FRAMES:
            found += len(deframer.feed(encoded))
        decodes.append(found / (time.perf_counter() - began_s))
    line(f"frames of {len(DATA)} B encoded", spread(encodes, "/s", 0))
    line(f"frames of {len(DATA)} B decoded", spread(decodes, "/s", 0))
