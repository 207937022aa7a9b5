// One charging point: how it stands, its last day, its story, its sessions.
import { html, nothing, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get } from "/web/shared/calls.js";
import { count, duration, euroRate, euros, kw, kwh, percent, when } from "/web/shared/formats.js";
import { icons, stateMark } from "/web/shared/icons.js";
import { Actions } from "/web/central/actions.js";
import { timeField } from "/web/central/fields.js";
import { Listing, writeAddress } from "/web/central/listing.js";
import { Following } from "/web/central/following.js";
import { marks, since } from "/web/central/point_card.js";
import { PowerPanel } from "/web/central/power_panel.js";
import { PowerSeries } from "/web/central/power_series.js";
import { sessionTable } from "/web/central/session_words.js";
import { Strips } from "/web/central/strips.js";
import { timeline } from "/web/central/timeline.js";

const DAYS = 30;
const SESSIONS = 20;
// A story that is asked for around a time begins so long after it.
const AFTER_MS = 30 * 60_000;

export class PointView {
  #element;
  #model;
  #actions;
  #strips;
  #story;
  #sessions;
  #power = null;
  #series = new PowerSeries();
  #following = new Following();
  #statistics = null;
  #at;
  #calls = new AbortController();

  constructor(element, model, { id, query }) {
    this.id = this.title = id;
    this.#element = element;
    this.#model = model;
    this.#actions = new Actions(model);
    const redraw = () => this.draw();
    this.#strips = new Strips(redraw);
    this.#story = new Listing("/timeline", "timeline", (row) => row.id, redraw);
    this.#sessions = new Listing("/sessions", "sessions", (row) => row.session_id, redraw, SESSIONS);
    this.#at = query.get("at");
    this.#sessions.load({ cp_id: this.id });
    if (!access.may("see_health")) return;
    this.#loadStory();
    this.#loadStatistics();
  }

  end() {
    this.#calls.abort();
    this.#strips.end();
    this.#story.end();
    this.#sessions.end();
    this.#power?.end();
  }

  async #loadStatistics() {
    const { signal } = this.#calls;
    try {
      const found = await get("/faults/statistics", { cp_id: this.id, days: DAYS }, signal);
      this.#statistics = found.statistics[0] ?? null;
      this.draw();
    } catch {
      // The figures stay away; the rest of the page stands.
    }
  }

  #loadStory() {
    const until = this.#at ? new Date(Date.parse(this.#at) + AFTER_MS).toISOString() : "";
    this.#story.load({ cp_id: this.id, until });
  }

  #goTo = (time) => {
    this.#at = time || null;
    writeAddress(`/cp/${this.id}`, { at: this.#at });
    this.#loadStory();
  };

  /** What the feed says of this charging point is the sign that its story has grown. */
  #follow() {
    const sign = this.#model.signOfPoint(this.id);
    this.#sessions.follow(sign);
    if (!access.may("see_health")) return;
    if (!this.#at) this.#story.follow(sign);
    if (this.#following.isDue(sign)) this.#loadStatistics();
  }

  #notePower(point) {
    const begun = this.#model.power.begun;
    if (this.#series.begun !== begun) this.#series.begin(begun);
    if (this.#model.status === "live") this.#series.note(point.meter?.kw ?? 0);
    else this.#series.lose();
  }

  draw() {
    const point = this.#model.points.get(this.id);
    if (!point) {
      const text = this.#model.heardAt === null ? "Loading…" : `No charging point ${this.id} is on the list.`;
      if (!this.#power) render(html`<p class="empty">${text}</p>`, this.#element);
      return;
    }
    this.#follow();
    if (!access.may("see_health")) {
      render(html`${this.#head(point)} ${facts(point)} ${this.#ended()}`, this.#element);
      return;
    }
    this.#drawWhole(point);
  }

  #drawWhole(point) {
    this.#notePower(point);
    const pick = (time) => this.#goTo(new Date(time).toISOString());
    render(
      html`${this.#head(point)} ${facts(point)}
        <section class="panel day-strip"><header><h2>Last 24 hours</h2><span class="quiet small">Press a place to read what happened then</span></header>
          <div>${this.#strips.draw(point, { large: true, pick })}</div></section>
        <div class="halves">
          <section class="panel story"><header><h2>What happened</h2>${this.#asked()} ${timeField("Around", this.#at, this.#goTo)}
              ${this.#at ? html`<button class="button little" @click=${() => this.#goTo(null)}>Newest</button>` : nothing}</header>
            <div class="timeline">${timeline(this.#story.rows, this.#at)}</div>
            ${this.#story.foot("Nothing has happened yet.")}</section>
          <div class="stack">
            <div class="power-place"></div>
            ${this.#reliability()}
            ${this.#ended()}
          </div>
        </div>`,
      this.#element,
    );
    this.#power ??= new PowerPanel(this.#element.querySelector(".power-place"), {
      live: this.#series,
      cpId: this.id,
    });
    this.#power.draw();
  }

  #ended() {
    const { rows } = this.#sessions;
    return html`<section class="panel"><header><h2>Sessions</h2><a class="small" href="#/sessions?cp_id=${this.id}">All of them</a></header>
      ${rows.length ? sessionTable(rows, { withPoint: false }) : nothing}
      ${this.#sessions.foot("No session yet.")}</section>`;
  }

  /** Where it stands who asked for what here. */
  #asked() {
    if (!access.isLoggedIn || !access.may("operate")) return nothing;
    return html`<a class="small" href="#/audit?cp_id=${this.id}">Audit</a>`;
  }

  #head(point) {
    const gone = point.view.state === "DISCONNECTED" && !point.view.current_session && access.may("administer");
    return html`<div class="page-head">
      <div>
        <a class="back" href="#/">${icons.back} Network</a>
        <h1><span id="cp-${point.id}">${point.id}</span> ${stateMark(point.view.state)} ${marks(point)}</h1>
        <p class="quiet">${point.view.location ?? "no location given"}</p>
      </div>
      <div class="buttons">
        ${this.#actions.buttons(point)}
        ${gone ? html`<button class="button bare danger" @click=${() => this.#actions.forget(point.id)}>Remove</button>` : nothing}
      </div>
    </div>`;
  }

  #reliability() {
    const found = this.#statistics;
    const figure = (name, value, title) => html`<div class="fact" title=${title}><dt>${name}</dt><dd>${value}</dd></div>`;
    return html`<section class="panel"><header><h2>Reliability <span class="quiet">last ${DAYS} days</span></h2></header>
      <dl class="facts inside">
        ${figure("Uptime", percent(found?.uptime), "The share of the time in which it was neither broken nor disconnected")}
        ${figure("MTBF", duration(found?.mtbf_s), "Mean time between failures")}
        ${figure("MTTR", duration(found?.mttr_s), "Mean time to repair")}
        ${figure("Faults", count(found?.faults), "")} ${figure("Disconnections", count(found?.disconnections), "")}
      </dl></section>`;
  }
}

function facts(point) {
  const { view, meter } = point;
  const fact = (name, value, note = nothing) => html`<div class="fact"><dt>${name}</dt><dd>${value}${note}</dd></div>`;
  const charging = html`<a href="#/session/${view.current_session}">${view.current_driver ?? "a driver"} charges</a>`;
  const now = view.current_session ? charging : view.available ? "free" : "not available";
  const why = view.current_session ? "" : view.unavailable_reason;
  return html`<dl class="facts">
    ${fact("Now", now, html`<p class="quiet small">${why ? html`${why}; ` : nothing}${view.state} for ${since(point)}</p>`)}
    ${fact("Power", meter ? kw(meter.kw) : "–", html`<p class="quiet small">up to ${kw(view.kw_rate)}</p>`)}
    ${fact("Energy", meter ? kwh(meter.kwh) : "–")}
    ${fact("Money", meter ? euros(meter.euros) : "–", html`<p class="quiet small">${euroRate(view.euro_rate)}</p>`)}
    ${fact("Breaker", view.breaker.toLowerCase().replace("_", " "))}
    ${fact("Engine", view.engine_state ?? "not known", html`<p class="quiet small">its monitor ${view.monitor_status === "OK" ? "is connected" : `was last heard ${when(view.monitor_last_seen)}`}</p>`)}
  </dl>`;
}
