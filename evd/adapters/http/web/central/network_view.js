// The page of the whole network.
import { html, nothing, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { Actions } from "/web/central/actions.js";
import { activeSessions } from "/web/central/active_sessions.js";
import { alerts } from "/web/central/alerts.js";
import { EventLog } from "/web/central/event_log.js";
import { PointList } from "/web/central/point_list.js";
import { PowerPanel } from "/web/central/power_panel.js";
import { totals } from "/web/central/totals.js";

// On a narrow screen one of these is shown at a time.
const TABS = { points: "Charging points", sessions: "Active sessions", events: "Events" };
const OF_DRIVERS = ["points", "sessions"];

let tab = "points";

export class NetworkView {
  title = "";
  #element;
  #model;
  #list;
  #log;
  #power = null;

  constructor(element, model) {
    this.#element = element;
    this.#model = model;
    element.className = "network";
    const redraw = () => this.draw();
    this.#list = new PointList(model, new Actions(model));
    this.#log = new EventLog(model, redraw);
    this.draw();
    const place = element.querySelector(".power-place");
    if (access.may("see_health")) this.#power = new PowerPanel(place, { live: model.power });
  }

  end() {
    this.#list.end();
    this.#log.end();
    this.#power?.end();
  }

  draw() {
    const model = this.#model;
    this.#element.dataset.tab = tab;
    render(
      html`<h1 class="unseen">The network</h1>
        ${totals(model, (state) => this.#filter(state))} ${alerts(model)}
        <div class="columns">
          <div class="left">
            <div class="power-place"></div>
            ${this.#tabs()}
            <section class="points" aria-label="Charging points"></section>
          </div>
          <aside class="rail">
            ${activeSessions(model)} ${access.may("see_health") ? this.#log.template() : nothing}
          </aside>
        </div>`,
      this.#element,
    );
    this.#list.draw(this.#element.querySelector(".points"));
    this.#power?.draw();
  }

  #filter(state) {
    tab = "points";
    this.#list.filterBy(state);
    this.draw();
    this.#element.querySelector(".points")?.scrollIntoView({ block: "start" });
  }

  #tabs() {
    const choose = (name) => () => {
      tab = name;
      this.draw();
    };
    const button = ([name, words]) =>
      html`<button aria-pressed=${tab === name} @click=${choose(name)}>${words}</button>`;
    return html`<div class="segments tabs" role="group" aria-label="Part of the page">
      ${Object.entries(TABS).filter(([name]) => access.may("see_health") || OF_DRIVERS.includes(name)).map(button)}
    </div>`;
  }
}
