// The session that runs: a live meter and the course of its power.
import { html, nothing } from "/web/shared/lit.js";
import { Chart } from "/web/shared/chart.js";
import { clockTime, duration, energy, euros, kw } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { sentence } from "/web/driver/words.js";

const CHART_PX = 150;
const MINUTE_S = 60;

/** A chart of `curve`: points of seconds since the start, kW and kWh. */
export class CourseChart {
  #chart = null;
  #place = null;

  /** Draw into `place`, null where there is none; the x axis is at least a minute wide. */
  draw(/** @type {HTMLElement | null} */ place, curve, empty) {
    if (place !== this.#place) {
      this.end();
      this.#place = place;
      if (place) this.#chart = new Chart(place, { ...FORM, empty });
    }
    const seconds = curve.map(([at]) => at);
    // A little room, or the last label of the axis is cut off.
    const most = Math.max(MINUTE_S, seconds.at(-1) ?? 0) * 1.03;
    this.#chart?.set(seconds, curve.map(([, power]) => power), [0, most]);
  }

  end() {
    this.#chart?.end();
    this.#chart = null;
    this.#place = null;
  }
}

const FORM = {
  label: "Power over the session",
  value: (power) => kw(power),
  moment: sinceStart,
  clock: false,
  height: CHART_PX,
};

/** Seconds since the start as a clock that began there: `8:20`, `1:08:20`. */
function sinceStart(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function sessionCard(model, session, actions) {
  const ranS = (model.nowMs - Date.parse(session.started_at)) / 1000;
  const request = model.requests.find((one) => one.session_id === session.session_id);
  const ending = request?.ending ?? false;
  return html`<section class="running" aria-labelledby="running">
    <div class="where">
      <h2 id="running"><span class="pulse" aria-hidden="true"></span>Charging at <a href="#/cp/${session.cp_id}">${session.cp_id}</a></h2>
      <span>since ${clockTime(session.started_at)}</span>
    </div>
    <p class="meter"><b>${energy(session.kwh)}</b> kWh</p>
    <dl class="figures">
      <div><dt>Power</dt><dd>${kw(session.kw)}</dd></div>
      <div><dt>Cost</dt><dd>${euros(session.euros)}</dd></div>
      <div><dt>Time</dt><dd>${duration(ranS)}</dd></div>
    </dl>
    ${request?.reason ? html`<p class="remark">${icons.warn}<span>${sentence(request.reason)}</span></p>` : nothing}
    <div class="course"></div>
    <button class="button stop" ?disabled=${ending} @click=${() => actions.stop(session)}>
      ${icons.stopped}${ending ? "Stopping…" : "Stop session"}
    </button>
  </section>`;
}
