// One session: who, where, when, what it cost, how it ended and why, and the course of its power.
import { html, nothing, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get, post } from "/web/shared/calls.js";
import { Chart } from "/web/shared/chart.js";
import { ask } from "/web/shared/dialog.js";
import { dateTime, duration, euros, kw, kwh } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { Actions } from "/web/central/actions.js";
import { Following } from "/web/central/following.js";
import { bill, length, sessionMark } from "/web/central/session_words.js";

// Beyond so many readings the course is asked for again, with fewer points.
const HEARD_MAX = 2_000;

export class SessionView {
  title = "Session";
  #element;
  #model;
  #actions;
  #id;
  #row = null;
  #trouble = "";
  #chart = null;
  #following = new Following();
  #course = new LiveCourse();
  #calls = new AbortController();

  constructor(element, model, { id }) {
    this.#element = element;
    this.#model = model;
    this.#actions = new Actions(model);
    this.#id = id;
    this.#load();
  }

  end() {
    this.#calls.abort();
    this.#chart?.end();
  }

  async #load() {
    this.#following.asked();
    const { signal } = this.#calls;
    try {
      this.#row = await get(`/sessions/${encodeURIComponent(this.#id)}`, {}, signal);
      this.#course.begin(this.#row.curve ?? []);
      this.#trouble = "";
    } catch (error) {
      if (signal.aborted) return;
      this.#trouble = error.message;
      if (error.status < 400 || error.status >= 500) this.#following.askAgain();
    }
    this.draw();
  }

  draw() {
    const row = this.#row;
    if (this.#following.isDue(this.#model.signOfPoint(row?.cp_id))) this.#load();
    if (!row) {
      const text = this.#trouble ? html`<p class="trouble" role="alert">${this.#trouble}</p>` : html`<p class="empty">Loading…</p>`;
      render(text, this.#element);
      return;
    }
    const running = row.status === "ACTIVE";
    const meter = running ? this.#model.points.get(row.cp_id)?.meter : null;
    const mine = meter?.session_id === row.session_id ? meter : null;
    if (mine && this.#course.hear(mine) > HEARD_MAX) this.#following.askAgain();
    render(
      html`<div class="page-head">
          <div><a class="back" href="#/sessions">${icons.back} Sessions</a><h1>Session of ${row.driver_id}</h1></div>
          <div class="buttons">
            ${running && access.may("charge") ? html`<button class="button" @click=${() => this.#actions.stopSession(row.session_id, row.cp_id)}>Stop session</button>` : nothing}
            ${row.suspect && row.total_cost === null && access.may("administer") ? this.#judging() : nothing}
          </div>
        </div>
        ${this.#notice(row)} ${facts(row, mine)}
        <section class="panel"><header><h2>Power <span class="quiet">kW</span></h2>
            <a class="button little" href="/sessions/${row.session_id}?format=csv" download="${row.session_id}.csv">${icons.down} CSV</a></header>
          <div class="curve"></div></section>
        ${ids(row)}`,
      this.#element,
    );
    this.#drawCurve();
  }

  #drawCurve() {
    const curve = this.#course.points;
    const place = this.#element.querySelector(".curve");
    this.#chart ??= new Chart(place, {
      label: "Power of the session",
      value: kw,
      moment: duration,
      clock: false,
      height: 240,
      empty: "No course was kept",
    });
    this.#chart.set(curve.map(([seconds]) => seconds), curve.map(([, power]) => power));
  }

  #notice(row) {
    const words = [];
    if (row.suspect && row.total_cost === null) words.push("Its record can't be, and waits for the operator: bill it as it was recorded, or at 0.");
    if (row.estimated) words.push("It was closed without the engine's record: its energy is the last that was heard.");
    if (row.stray) words.push("It ran although its request had ended, and costs nothing.");
    return words.map((text) => html`<p class="notice">${icons.warn}<span>${text}</span></p>`);
  }

  #judging() {
    const judge = (what, title, text) => () =>
      ask({
        title,
        text,
        action: what === "accept" ? "Accept" : "Void",
        danger: what === "void",
        act: () => post(`/sessions/${encodeURIComponent(this.#id)}/${what}`).then(() => this.#load()),
        waiting: "Waiting for the bill…",
        became: () => (this.#row.total_cost === null ? null : `It is billed: ${euros(this.#row.total_cost)}.`),
      });
    return html`<button class="button" @click=${judge("accept", "Bill it as it was recorded?", "Once and for good.")}>Accept</button>
      <button class="button danger" @click=${judge("void", "Bill it at 0?", "Once and for good.")}>Void</button>`;
  }
}

/** The course as it was stored, and what the feed has told since. */
class LiveCourse {
  /** Seconds since the start, kW. @type {[number, number][]} */
  points = [];
  #heard = 0;
  #ts = null;
  #beganAt = 0;

  begin(points) {
    this.points = points.map(([seconds, power]) => [seconds, power]);
    this.#heard = 0;
    this.#beganAt = performance.now() - (this.points.at(-1)?.[0] ?? 0) * 1000;
  }

  /** Take a reading; returns how many were taken since it began. */
  hear({ ts, kw: power }) {
    if (ts === this.#ts) return this.#heard;
    this.#ts = ts;
    this.points.push([(performance.now() - this.#beganAt) / 1000, power]);
    return (this.#heard += 1);
  }
}

function facts(row, meter) {
  const fact = (name, value, note = nothing) => html`<div class="fact"><dt>${name}</dt><dd>${value}${note}</dd></div>`;
  return html`<dl class="facts">
    ${fact("Outcome", sessionMark(row), html`<p class="quiet small">${row.reason}</p>`)}
    ${fact("Charging point", html`<a href="#/cp/${row.cp_id}?at=${row.end_time ?? row.start_time}">${row.cp_id}</a>`)}
    ${fact("Driver", html`<a href="#/sessions?driver_id=${row.driver_id}">${row.driver_id}</a>`)}
    ${fact("Began", html`<time datetime=${row.start_time}>${dateTime(row.start_time)}</time>`)}
    ${fact("Ended", row.end_time ? html`<time datetime=${row.end_time}>${dateTime(row.end_time)}</time>` : "still running", html`<p class="quiet small">${length(row)}</p>`)}
    ${fact("Energy", kwh(meter?.kwh ?? row.total_kwh), meter ? html`<p class="quiet small">${kw(meter.kw)} now</p>` : nothing)}
    ${fact("Bill", meter ? `${euros(meter.euros)} so far` : bill(row))}
  </dl>`;
}

const ids = (row) => html`<p class="quiet small ids">Session <code>${row.session_id}</code> · request <code>${row.request_id}</code></p>`;
