"""The bugs that `make mutants` plants, each one small change; and those that do no harm."""

import attrs

REQUESTS = "evd/core/central/requests.py"
SESSIONS = "evd/core/central/sessions.py"
SETTLEMENT = "evd/core/central/settlement.py"
CENTRAL = "evd/core/central/core.py"
STATE = "evd/core/central/state.py"
ENGINE_HEARD = "evd/core/central/engine_heard.py"
ENGINE = "evd/core/engine/core.py"
ENGINE_ORDERS = "evd/core/engine/orders.py"
ENGINE_STEPS = "evd/daemons/engine/steps.py"
DRIVER = "evd/core/driver/core.py"
ASKING = "evd/core/driver/asking.py"
CHECKS = "evd/core/monitor/checks.py"
CENTRAL_STEPS = "evd/daemons/central/steps.py"
DRIVER_STEPS = "evd/daemons/driver/steps.py"
IMPORTING = "evd/core/access/importing.py"
MONITORS = "evd/core/central/monitors.py"
LEASE = "evd/core/standby/lease.py"
DIALLED = "evd/core/standby/dialled.py"
DISKS = "tests/sim/disks.py"
SERVER = "tests/sim/server.py"
MEMBER = "tests/sim/parts_member.py"
WORLD = "tests/sim/world.py"


@attrs.frozen
class Mutant:
    """A planted bug: in the file `path` the text `old` becomes `new`; under which faults it shows.

    `what` is said in place of the rule that is taken away.
    """

    name: str
    mix: str
    what: str
    path: str
    old: str
    new: str


# One for each rule by which several Centrals share a database.
SEVERAL = (
    Mutant(
        "fence",
        "cut",
        "a commit is carried out in a session that has lost the lock",
        SERVER,
        "FENCED = True",
        "FENCED = False",
    ),
    Mutant(
        "warm",
        "cut",
        "a Central loads what it serves before it has the lock",
        MEMBER,
        "LOADED_LATE = True",
        "LOADED_LATE = False",
    ),
    Mutant(
        "same-epoch",
        "back",
        "a takeover does not raise the epoch",
        SERVER,
        "RAISED = True",
        "RAISED = False",
    ),
    Mutant(
        "overtake",
        "cut",
        "an effect does not wait for the commits before it",
        CENTRAL_STEPS,
        "    yield from _store(core, effects, now)\n    yield from _say(effects, may_speak)\n",
        "    yield from _say(effects, may_speak)\n    yield from _store(core, effects, now)\n",
    ),
    Mutant(
        "hold",
        "cut",
        "a Central speaks without a look at its lease",
        CENTRAL_STEPS,
        "        while not may_speak():\n            yield Hold()\n",
        "",
    ),
    Mutant(
        "acks",
        "lock",
        "heartbeats are acknowledged without a look at the lease",
        CENTRAL_STEPS,
        "    is_quiet = may_speak() and core.acknowledge(connection, message, now)\n",
        "    is_quiet = core.acknowledge(connection, message, now)\n",
    ),
    Mutant(
        "long-lease",
        "lock",
        "a Central believes in its lock for longer than the next one waits",
        LEASE,
        "unmoved_s = self._pulse_s + LEASE_S + MARGIN_S",
        "unmoved_s = self._pulse_s + 1.0",
    ),
    Mutant(
        "idle",
        "lone",
        "the server ends a silent session by TCP alone, which a hung process answers",
        SERVER,
        "PROGRAMS_SILENCE = True",
        "PROGRAMS_SILENCE = False",
    ),
    Mutant(
        "haste",
        "lock",
        "a Central serves as soon as it has the lock",
        LEASE,
        "now_s if event.is_released else max(now_s, unmoved_s)",
        "now_s",
    ),
    Mutant(
        "no-handover",
        "lone",
        "a Central that lost Kafka or the monitors keeps the lock",
        LEASE,
        "            self._why_leave = self._look_around(event, now_s)\n",
        "            pass\n",
    ),
    Mutant(
        "round",
        "tcp",
        "a monitor that dialled counts for less time than its round of the addresses takes",
        DIALLED,
        "ROUND_S = 8.0",
        "ROUND_S = 3.0",
    ),
    Mutant(
        "leave",
        "lock",
        "a Central that hands over speaks until its release is answered",
        LEASE,
        "        self.phase = Phase.LEAVING\n",
        "",
    ),
    Mutant(
        "unknown",
        "pause",
        "a request is called unknown without a question to the database",
        MEMBER,
        "ASKED_LATE = True",
        "ASKED_LATE = False",
    ),
    Mutant(
        "older",
        "early",
        "a report from before a session was confirmed says that it is over",
        SESSIONS,
        "or report.seq > (session.confirmed_seq or 0)",
        "or True",
    ),
)

MUTANTS = (
    Mutant(
        "send-first",
        "all",
        "Central speaks before it has saved",
        CENTRAL_STEPS,
        "    yield from _store(core, effects, now)\n    yield from _say(effects, may_speak)\n",
        "    yield from _say(effects, may_speak)\n    yield from _store(core, effects, now)\n",
    ),
    Mutant(
        "tell-first",
        "asked",
        "a driver is told before that is saved",
        DRIVER,
        "[Save(self._disk), *map(Tell, self._disk.untold), *effects]",
        "[*map(Tell, self._disk.untold), *effects, Save(self._disk)]",
    ),
    Mutant(
        "dedupe",
        "all",
        "Central does not look up whether it has decided a request before",
        CENTRAL,
        "                    request_ids.add(event.request_id)\n",
        "                    pass\n",
    ),
    Mutant(
        "deny-unknown",
        "three",
        "a lost database denies what an engine still runs",
        REQUESTS,
        "if session_id_for(waiting.request_id) not in unknown:",
        "if True:",
    ),
    Mutant(
        "busy",
        "noise",
        "an engine takes a repeated START for another one",
        ENGINE_ORDERS,
        "        if self._is_running(order.session_id):\n            return [self._reports.say(",
        "        if False:\n            return [self._reports.say(",
    ),
    Mutant(
        "delivery",
        "all",
        "an engine takes a record that it has sent for stored",
        ENGINE,
        "[*effects, ReserveRoom()]\n\n    def _on_save_failed",
        "[*effects, SaveConfirmed((record.session_id,))]\n\n    def _on_save_failed",
    ),
    Mutant(
        "wall-clock",
        "asked",
        "durations are taken from the wall clock",
        WORLD,
        "Now(self.mono_s(host), wall)",
        "Now(wall.timestamp(), wall)",
    ),
    Mutant(
        "any-boot",
        "two",
        "a START is good for any boot of any engine",
        ENGINE_ORDERS,
        "        if order.boot_id != self._reports.boot_id:\n"
        "            return []\n        hindrance",
        "        hindrance",
    ),
    Mutant(
        "stale",
        "rest",
        "a request need not have seen a beacon of late",
        REQUESTS,
        "if waiting.seen is not None and not self._fresh(waiting.seen):",
        "if False:",
    ),
    Mutant(
        "ask-once",
        "all",
        "a driver stops asking once it was answered",
        ASKING,
        "every_s = REPEAT_UNANSWERED_S if unanswered else REPEAT_S",
        'every_s = REPEAT_UNANSWERED_S if unanswered else float("inf")',
    ),
    Mutant(
        "cancel",
        "asked",
        "a CANCEL of a request that is not known is forgotten",
        REQUESTS,
        "            # Stored although unknown: ",
        "            return []\n            # ",
    ),
    Mutant(
        "no-record",
        "all",
        "a STOP of a session that is not known is not answered",
        ENGINE_ORDERS,
        "        return self.refuse(order, why, now)\n\n    def _is_running",
        "        return []\n\n    def _is_running",
    ),
    Mutant(
        "keep-quiet",
        "rest",
        "an engine does not send again to another Central what it keeps",
        ENGINE_ORDERS,
        "self._ledger.unconfirm_all()",
        "pass",
    ),
    Mutant(
        "no-wait",
        "rest",
        "a restored Central begins sessions at once",
        REQUESTS,
        "        if state.meta.recovering:\n            if waiting.seen",
        "        if False:\n            if waiting.seen",
    ),
    Mutant(
        "two-voices",
        "two",
        "a Central speaks that no monitor has registered with",
        STATE,
        "        if not self.speaks:\n",
        "        if False:\n",
    ),
    Mutant(
        "estimate",
        "away",
        "an estimate settles the bill",
        SETTLEMENT,
        "            estimated=True,\n",
        "            estimated=True,\n            settled=True,\n            cost_cents=0,\n",
    ),
    Mutant(
        "gone",
        "hung",
        "an engine that does not answer is taken for gone",
        CHECKS,
        "self._fail(KoCause.TIMEOUT, reason, CheckResult.TIMEOUT, now_s)",
        "self._fail(KoCause.REFUSED, reason, CheckResult.TIMEOUT, now_s)",
    ),
    Mutant(
        "not-synced",
        "power",
        "a commit returns before it is on the disk",
        DISKS,
        "SYNCHRONOUS = True",
        "SYNCHRONOUS = False",
    ),
    Mutant(
        "torn",
        "all",
        "of a torn commit what was written stays",
        DISKS,
        "ATOMIC = True",
        "ATOMIC = False",
    ),
    Mutant(
        "undecided",
        "all",
        "a Central that was restarted leaves undecided requests as they were",
        CENTRAL,
        "            *self._requests.fail_undecided(),\n",
        "",
    ),
    Mutant(
        "two-cars",
        "all",
        "nobody asks whether the driver charges already",
        REQUESTS,
        "busy = self._busy(request)",
        'busy = ""',
    ),
    Mutant(
        "absence",
        "absent",
        "a Central that was away counts that as the others' silence",
        CENTRAL,
        "if now_s - self._broker_s > AWAY_S or not self._broker_up:",
        "if False:",
    ),
    Mutant(
        "blame",
        "calm",
        "a START that was lost with the broker is its charging point's failure",
        SESSIONS,
        "if self._restarted_s > watch.sent_s:",
        "if False:",
    ),
    Mutant(
        "shutdown",
        "all",
        "a SHUTDOWN is good for any boot of an engine",
        ENGINE_ORDERS,
        "return self.on_stop(now) if boot_id == self._reports.boot_id else []",
        "return self.on_stop(now)",
    ),
    Mutant(
        "unsaved",
        "all",
        "an engine takes a save that failed for done",
        ENGINE_STEPS,
        "            return SaveFailed(reason)",
        "            return Saved()",
    ),
    Mutant(
        "bill-stray",
        "asked",
        "a session that its driver has cancelled is billed",
        REQUESTS,
        'by its driver", bill=False)',
        'by its driver", bill=True)',
    ),
    Mutant(
        "old-stop",
        "late",
        "an engine obeys an old STOP_CP",
        ENGINE_ORDERS,
        "return self._on_cp_order(order, now) if self._is_fresh(order, now) else []",
        "return self._on_cp_order(order, now)",
    ),
    Mutant(
        "highest-seq",
        "noise",
        "no PONG takes back a report with a higher number",
        ENGINE_HEARD,
        "elif self._doubt.refutes(before, seq, state, up_s, now_s):",
        "elif False:",
    ),
    Mutant(
        "one-id",
        "noise",
        "a record is trusted by its session's id alone",
        SETTLEMENT,
        "        if wrong:\n            return [PutAside(record, wrong)]\n",
        "        if False:\n            return [PutAside(record, wrong)]\n",
    ),
    Mutant(
        "any-reading",
        "noise",
        "a reading that can't be is believed",
        SESSIONS,
        "        if doubt:\n            return self._refuse(",
        "        if False:\n            return self._refuse(",
    ),
    Mutant(
        "hasty",
        "noise",
        "one report that a session is over outweighs its meter and its monitor",
        SESSIONS,
        "wait_s = HEARD_LATELY_S if report.boot_id == session.boot_id else 0.0",
        "wait_s = 0.0",
    ),
    Mutant(
        "lost-tokens",
        "guarded",
        "a copy of access that is put in again leaves the tokens out",
        IMPORTING,
        "            new_tokens.append(token)\n",
        "            pass\n",
    ),
    Mutant(
        "any-token",
        "guarded",
        "a monitor with a wrong token is taken",
        MONITORS,
        "if why and state.settings.auth is Auth.REQUIRED:",
        "if False:",
    ),
    *SEVERAL,
)

HARMLESS = (
    Mutant(
        "offset-first",
        "all",
        "Central commits the offset first",
        CENTRAL_STEPS,
        "    moment = now()\n    effects:",
        "    yield CommitMarks(marks)\n    moment = now()\n    effects:",
    ),
    Mutant(
        "offset-first-d",
        "asked",
        "a driver commits the offset first",
        DRIVER_STEPS,
        "    for update in messages:\n",
        "    yield MarkRead()\n    for update in messages:\n",
    ),
)
