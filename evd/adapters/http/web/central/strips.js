// The last 24 hours of charging points, as strips. Only those that are on the screen are asked for.
import { html, svg } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get } from "/web/shared/calls.js";
import { clockTime, duration } from "/web/shared/formats.js";

const SPAN_MS = 24 * 3600_000;
const FRESH_MS = 10 * 60_000;
const ASKED_MAX = 100;
const MINUTE_MS = 60_000;
const WAIT_MS = 120;
const RETRY_MS = 15_000;
const WIDTH = 288;
// Each state has its own height, so that the strip can be read without colours.
const TOPS = { ON: 0, BROKEN: 5, DISCONNECTED: 10, null: 14 };
const HEIGHT = 16;
const WORDS = { ON: "ON", BROKEN: "BROKEN", DISCONNECTED: "DISCONNECTED", null: "not known" };

export class Strips {
  /** @type {Map<string, {spans: object[], askedAt: number, drawn?: object, drawnOf?: string}>} */
  #known = new Map();
  #wanted = new Set();
  #timer = 0;
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  end() {
    clearTimeout(this.#timer);
  }

  /** The strip of a charging point; it is asked for where it is not known. */
  draw({ id, view }, { large = false, pick = null } = {}) {
    if (!access.may("see_health")) return html`<span></span>`;
    const known = this.#known.get(id);
    if (!known || Date.now() - known.askedAt > FRESH_MS) this.#want(id);
    // It moves on once a minute: more would be drawn and not seen.
    const now = Math.ceil(Date.now() / MINUTE_MS) * MINUTE_MS;
    if (!known) return strip([], now, { large, pick });
    const drawnOf = `${now} ${view.state} ${view.state_since}`;
    if (known.drawnOf !== drawnOf) {
      known.drawn = strip(upToNow(known.spans, view, now), now, { large, pick });
      known.drawnOf = drawnOf;
    }
    return known.drawn;
  }

  #want(id) {
    this.#wanted.add(id);
    if (!this.#timer) this.#timer = setTimeout(() => this.#ask(), WAIT_MS);
  }

  async #ask() {
    const ids = [...this.#wanted].slice(-ASKED_MAX);
    this.#wanted.clear();
    try {
      const { states } = await get("/states", { cp_id: ids });
      const askedAt = Date.now();
      // One that nobody knows is asked for as seldom as the others.
      for (const id of ids) this.#known.set(id, { spans: [], askedAt });
      for (const { cp_id, spans } of states) this.#known.set(cp_id, { spans, askedAt });
      this.#timer = 0;
      this.#changed();
    } catch {
      // The list is drawn without strips, and those that are still on the screen ask again.
      this.#timer = setTimeout(() => (this.#timer = 0), RETRY_MS);
    }
  }
}

/** What the feed has told since the spans were asked for. */
function upToNow(spans, view, now) {
  const last = spans.at(-1);
  if (!last) return [{ state: view.state, since: view.state_since ?? new Date(now).toISOString(), until: null }];
  if (last.state === view.state) return [...spans.slice(0, -1), { ...last, until: null }];
  const since = view.state_since && view.state_since > last.since ? view.state_since : last.until;
  return [...spans.slice(0, -1), { ...last, until: since }, { state: view.state, since, until: null }];
}

/** Spans as a drawing; `pick` is called with the time of a place that was pressed. */
export function strip(spans, now, { large = false, pick = null } = {}) {
  const begin = now - SPAN_MS;
  const paths = { ON: "", BROKEN: "", DISCONNECTED: "", null: "" };
  const totals = { ON: 0, BROKEN: 0, DISCONNECTED: 0 };
  for (const { state, since, until } of spans) {
    const from = Math.max(begin, Date.parse(since));
    const to = until === null ? now : Math.min(now, Date.parse(until));
    if (to <= from) continue;
    if (state !== null) totals[state] += to - from;
    const x = ((from - begin) / SPAN_MS) * WIDTH;
    // A short outage is still seen.
    const width = Math.max(state === "ON" ? 0 : 1.2, ((to - from) / SPAN_MS) * WIDTH);
    const top = TOPS[state];
    paths[state] += `M${x.toFixed(2)} ${top}h${width.toFixed(2)}V${HEIGHT}h-${width.toFixed(2)}Z`;
  }
  const parts = Object.entries(totals).filter(([, time]) => time > 0);
  const told = parts.map(([state, time]) => `${WORDS[state]} ${duration(time / 1000)}`).join(", ");
  const label = `Last 24 hours: ${told || "not known"}`;
  const press = pick && ((event) => pick(begin + (event.offsetX / event.currentTarget.clientWidth) * SPAN_MS));
  return html`<svg class="strip ${large ? "large" : ""}" role="img" aria-label=${label}
    viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" @click=${press}>
    <title>${label} (from ${clockTime(begin)})</title>
    <path class="floor" d="M0 15h${WIDTH}v1H0Z"></path>
    ${["ON", "BROKEN", "DISCONNECTED"].map((state) => svg`<path class=${state} d=${paths[state]}></path>`)}
  </svg>`;
}
