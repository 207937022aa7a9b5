"""The kinds of faults, and the mixes of them that runs are made of."""

from tests.sim.world import Mix

EVERY = (
    *("crash", "down", "stop", "power", "hang", "net", "part", "broker", "clock", "port"),
    *("offsets", "bad", "replay", "disk", "store", "page", "wipe", "dwipe", "restore", "lose"),
    *("twin", "second", "rival", "copy", "admin", "shutdown", "end", "remove", "dup", "delay"),
    *("liar", "lie", "meter"),
)


CENTRALS = "ckill cpower chang cswitch cdb ckafka ctcp chost dbdown dbslow"


def _mix(name: str, kinds: str, **rest: float) -> Mix:
    return Mix(name, tuple(kinds.split()), **rest)  # type: ignore[arg-type]


MIXES: dict[str, Mix] = {
    mix.name: mix
    for mix in (
        Mix("all", EVERY),
        # The copy of access is as new as Central's word: a power cut takes nothing that was said.
        Mix("guarded", (*EVERY, "token", "stranger"), guarded=True),
        _mix("three", " ".join(EVERY), points=3),
        _mix(
            "away", "part net crash restore wipe clock dup delay", long_share=0.4, lost_after_s=14
        ),
        _mix("port", "port down net part crash hang", long_share=0.5, lost_after_s=24),
        _mix("hung", "hang port", long_share=0.5, lost_after_s=24),
        _mix("rest", "restore crash part net dup wipe delay offsets"),
        _mix("power", "power crash broker net dup"),
        _mix("two", "rival copy twin second crash part hang broker remove dup net delay"),
        _mix("asked", "net hang broker crash dup dwipe clock page delay offsets"),
        _mix("disks", "disk store page power crash admin shutdown stop end down"),
        _mix("late", "replay delay dup hang net broker crash offsets admin"),
        _mix("absent", "hang net broker crash store", long_share=0.5, lost_after_s=12),
        _mix("slow", "delay net crash", delay_share=0.1),
        _mix("calm", "broker clock bad dup replay lie meter", every_s=2.0),
        _mix(
            "noise",
            "clock bad dup replay rival copy twin second offsets liar lie meter",
            every_s=1.5,
        ),
        _mix(
            "sev",
            CENTRALS + " crash net broker dup hang clock part wipe dwipe restore delay",
            members=3,
        ),
        _mix("fail", CENTRALS + " delay", members=3),
        _mix("lone", CENTRALS + " delay", members=2, every_s=8.0, long_share=0.3),
        _mix("cut", "cdb chang chost dbdown crash dup delay", members=3, long_share=0.3),
        _mix("pause", "cdb cpause dbdown chost crash dup delay", members=3, long_share=0.3),
        _mix("tcp", "ctcp delay", members=3, every_s=10.0, long_share=0.3),
        _mix("back", CENTRALS + " crash part net dup wipe dwipe restore delay", members=3),
        # A switch just when a session has begun, which is long enough to be missed.
        _mix("early", "early", members=2, every_s=4.0, long_share=0.9),
        # The lock alone is fought for: each of these faults shows only close to another.
        _mix("lock", "cdb cdeaf cswitch dbdown dbsplit", members=3),
    )
}
# The order in which a sweep takes the mixes: eight of twenty-nine runs have every kind of
# fault, one of them with tokens, and nine have several Centrals.
TURNS = (
    *("all", "away", "all", "port", "all", "rest", "three", "two", "all", "asked"),
    *("guarded", "disks", "all", "late", "noise", "power", "three", "calm", "hung", "absent"),
    *("sev", "fail", "lone", "cut", "back", "pause", "tcp", "lock", "early"),
)


def mix_for(seed: int) -> Mix:
    """Return the mix of a seed in a sweep."""
    return MIXES[TURNS[seed % len(TURNS)]]
