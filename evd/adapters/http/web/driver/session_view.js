// One session: its bill, its outcome with the reason, and the course of its power.
import { html, nothing, render } from "/web/shared/lit.js";
import { get } from "/web/shared/calls.js";
import { dateTime, duration, kwh } from "/web/shared/formats.js";
import { icons, stateMark } from "/web/shared/icons.js";
import { billOf } from "/web/driver/history_view.js";
import { CourseChart } from "/web/driver/session_card.js";
import { sentence } from "/web/driver/words.js";

export class SessionView {
  #model;
  #actions;
  #changed;
  #id;
  #session = null;
  #error = null;
  #loading = false;
  #newest = null;
  #course = new CourseChart();

  constructor(model, { actions, changed, id }) {
    this.#model = model;
    this.#actions = actions;
    this.#changed = changed;
    this.#id = id;
    this.#newest = model.news[0];
    this.#load();
  }

  end() {
    this.#course.end();
  }

  draw(root) {
    if (this.#newest !== this.#model.news[0]) {
      this.#newest = this.#model.news[0];
      this.#load();
    }
    render(html`<a class="back" href="#/history">${icons.back}History</a>${this.#shown()}`, root);
    const { current } = this.#model;
    const live = current?.session_id === this.#id ? current.curve : null;
    this.#course.draw(root.querySelector(".course"), live ?? this.#session?.curve ?? [], "Its course was not kept");
  }

  #shown() {
    if (this.#error) return html`<h1>Session</h1><p class="trouble" role="alert">${this.#error}</p>`;
    const session = this.#session;
    if (session === null) return html`<h1>Session</h1><p class="empty">Loading…</p>`;
    const took = session.end_time ? (Date.parse(session.end_time) - Date.parse(session.start_time)) / 1000 : null;
    return html`<article class="detail bill">
      <header>
        <h1>Session at <a href="#/cp/${session.cp_id}">${session.cp_id}</a></h1>
        ${stateMark(session.status)}
      </header>
      <p class="total">${billOf(session)}</p>
      <p class="quiet">${kwh(session.total_kwh)}${took === null ? "" : ` in ${duration(took)}`}</p>
      ${session.reason ? html`<p class="remark">${icons.warn}<span>${sentence(session.reason)}</span></p>` : nothing}
      <h2>Power</h2>
      <div class="course"></div>
      <dl class="facts">
        ${fact("Began", dateTime(session.start_time))}
        ${session.end_time ? fact("Ended", dateTime(session.end_time)) : nothing}
        ${remarks(session).map((text) => fact("Note", text))}
        ${fact("Session", html`<code>${session.session_id}</code>`)}
      </dl>
    </article>`;
  }

  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    try {
      this.#session = await get(this.#actions.path(`/sessions/${encodeURIComponent(this.#id)}`));
      this.#error = null;
    } catch (error) {
      this.#error = error.message;
    }
    this.#loading = false;
    this.#changed();
  }
}

const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

function remarks(session) {
  return [
    session.estimated && session.total_cost === null ? "The charging point has not sent its record yet." : "",
    session.stray ? "It began for a request that had ended, and costs nothing." : "",
    session.suspect && session.total_cost === null ? "Its record is being checked before it is billed." : "",
  ].filter(Boolean);
}
