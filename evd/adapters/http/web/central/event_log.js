// What has happened: the newest from the feed, older faults from what is stored.
import { html, live, nothing, repeat } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get } from "/web/shared/calls.js";
import { dateTime, timeOfField, when } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";

export const KINDS = {
  FAULT: ["Fault", icons.broken, "bad"],
  RECOVERY: ["Recovered", icons.on, "good"],
  DISCONNECTED: ["Disconnected", icons.off, "off"],
  RECONNECTED: ["Reconnected", icons.on, "good"],
  SESSION_STARTED: ["Session started", icons.bolt, "plain"],
  SESSION_ENDED: ["Session ended", icons.bolt, "plain"],
  STOPPED: ["Stopped", icons.stopped, "warn"],
  RESUMED: ["Resumed", icons.on, "good"],
  SHUTDOWN: ["Shut down", icons.stopped, "warn"],
  REFUSED: ["Refused", icons.close, "warn"],
  BREAKER: ["Breaker", icons.warn, "warn"],
};
const GROUPS = {
  all: ["Everything", () => true],
  faults: ["Faults and recoveries", (kind) => ["FAULT", "RECOVERY", "DISCONNECTED", "RECONNECTED", "BREAKER"].includes(kind)],
  sessions: ["Sessions", (kind) => kind.startsWith("SESSION")],
  operator: ["Stops and resumes", (kind) => ["STOPPED", "RESUMED", "SHUTDOWN"].includes(kind)],
  refused: ["Refused requests", (kind) => kind === "REFUSED"],
};
const SHOWN_MAX = 200;
const PAGE = 50;
const OLDER_MAX = 1_000;
// Older events than the feed has told are asked for of these alone.
const STORED = ["all", "faults"];

const asked = { cp: "", group: "all", since: "" };

export class EventLog {
  #model;
  #redraw;
  #older = [];
  #trouble = "";
  #ended = false;
  #calls = new AbortController();

  constructor(model, redraw) {
    this.#model = model;
    this.#redraw = redraw;
  }

  end() {
    this.#calls.abort();
  }

  template() {
    const shown = this.#shown();
    return html`<section class="panel events" aria-label="Events">
      <header>
        <h2>Events</h2>
        ${access.may("see_health") ? html`<a class="small" href="#/faults">All faults</a>` : nothing}
      </header>
      ${this.#filters()}
      <div class="event-lines" role="log" aria-label="Events" tabindex="0">
        <ol>
          ${repeat(shown, keyOf, drawn)}
        </ol>
        ${shown.length ? nothing : html`<p class="empty">Nothing of that kind has happened.</p>`}
        ${this.#end()}
      </div>
    </section>`;
  }

  #shown() {
    const since = timeOfField(asked.since) ?? "";
    const cp = asked.cp.toLowerCase();
    const [, wanted] = GROUPS[asked.group];
    const all = [...this.#older, ...this.#model.events];
    const fits = ({ kind, cp_id, ts }) =>
      wanted(kind) && (!cp || (cp_id ?? "").toLowerCase().includes(cp)) && (!since || ts >= since);
    // Older ones stand behind all that the feed has told.
    return all.filter(fits).reverse().slice(0, this.#older.length ? all.length : SHOWN_MAX);
  }

  #filters() {
    const take = (name) => (happened) => {
      asked[name] = happened.target.value;
      this.#ended = false;
      this.#older = [];
      this.#redraw();
    };
    const option = ([name, [words]]) => html`<option value=${name} ?selected=${name === asked.group}>${words}</option>`;
    return html`<div class="filters">
      <input class="field" type="text" placeholder="Charging point" aria-label="Events of charging point"
        .value=${live(asked.cp)} @input=${take("cp")} />
      <select class="field" aria-label="Kind of event" @change=${take("group")}>${Object.entries(GROUPS).map(option)}</select>
      <label class="labelled since"><span>Not before</span>
        <input class="field" type="datetime-local" .value=${live(asked.since)} @change=${take("since")} /></label>
    </div>`;
  }

  #end() {
    if (this.#trouble) return html`<p class="trouble">${this.#trouble}</p>`;
    if (asked.group === "sessions") return html`<p class="more"><a class="small" href="#/sessions">All sessions</a></p>`;
    if (!STORED.includes(asked.group) || !access.may("see_health")) return nothing;
    if (this.#older.length >= OLDER_MAX) return html`<p class="more"><a class="small" href="#/faults">All faults</a></p>`;
    if (this.#ended) return html`<p class="empty">That is all.</p>`;
    return html`<p class="more"><button class="button little" @click=${() => this.#ask()}>Older faults</button></p>`;
  }

  async #ask() {
    const first = this.#older[0];
    const until = this.#model.events[0]?.ts;
    const parameters = { limit: PAGE, cp_id: exact(asked.cp, this.#model), since: timeOfField(asked.since) };
    Object.assign(parameters, first ? { before: first.id } : { until });
    this.#trouble = "";
    try {
      const { faults } = await get("/faults", parameters, this.#calls.signal);
      const found = faults.map(({ id, cp_id, event_type, reason, timestamp }) => ({
        id,
        kind: event_type,
        cp_id,
        text: reason,
        ts: timestamp,
      }));
      this.#older = [...found.reverse(), ...this.#older];
      this.#ended = faults.length < PAGE;
    } catch (error) {
      if (this.#calls.signal.aborted) return;
      this.#trouble = error.message;
    }
    this.#redraw();
  }
}

const keyOf = ({ id, kind, cp_id, ts, session_id, request_id }) =>
  `${id ?? ""} ${kind} ${cp_id} ${ts} ${session_id ?? request_id ?? ""}`;

/** The id of a charging point as it is written, where the text is one; else null. */
function exact(text, model) {
  for (const id of model.points.keys()) if (id.toLowerCase() === text.toLowerCase()) return id;
  return null;
}

const templates = new WeakMap();

/** The template of an event, made once: its times are the dearest part of the page. */
function drawn(one) {
  if (!templates.has(one)) templates.set(one, event(one));
  return templates.get(one);
}

function event({ kind, cp_id, text, ts, session_id }) {
  const [words, icon, mood] = KINDS[kind] ?? [kind, icons.warn, "plain"];
  // A row of before has its reason alone.
  const sentence = cp_id && !text.includes(cp_id) ? [cp_id, text].filter(Boolean).join(": ") : text;
  const link = session_id ? `#/session/${session_id}` : cp_id ? `#/cp/${cp_id}?at=${ts}` : null;
  return html`<li class="event" data-mood=${mood}>
    ${icon}
    <div>
      <p class="title"><b>${words}</b> <time datetime=${ts} title=${dateTime(ts)}>${when(ts)}</time></p>
      <p>${link ? html`<a href=${link}>${sentence}.</a>` : `${sentence}.`}</p>
    </div>
  </li>`;
}
