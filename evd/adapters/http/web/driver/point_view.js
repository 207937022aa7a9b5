// One charging point: what it gives, what it costs, and a button.
import { html, nothing, render } from "/web/shared/lit.js";
import { euroRate, euros, kw, kwh } from "/web/shared/formats.js";
import { icons, stateMark } from "/web/shared/icons.js";
import { marks } from "/web/driver/marks.js";

const SPANS_MIN = [15, 30, 60];
const SENTENCES = {
  FREE: "It is free now.",
  OCCUPIED: "Somebody is charging here.",
  OFFLINE: "It can't be used now.",
};

export class PointView {
  #model;
  #actions;
  #cpId;

  constructor(model, { actions, id }) {
    this.#model = model;
    this.#actions = actions;
    this.#cpId = id;
  }

  end() {}

  draw(root) {
    const point = this.#model.points?.get(this.#cpId) ?? null;
    render(
      html`<a class="back" href="#/">${icons.back}All charging points</a>
        ${point === null ? this.#unknown() : this.#known(point)}`,
      root,
    );
  }

  #unknown() {
    const text = this.#model.points === null ? "Looking for it…" : "No such charging point is known.";
    return html`<h1>${this.#cpId}</h1><p class="empty">${text}</p>`;
  }

  #known(point) {
    const mine = this.#model.current?.cp_id === point.cp_id;
    return html`<article class="detail">
      <header>
        <h1>${point.cp_id}</h1>
        ${stateMark(mine ? "OCCUPIED" : point.status)}
      </header>
      <p class="place quiet">${point.location ? html`${marks.place}<span>${point.location}</span>` : nothing}</p>
      <dl class="tiles">
        <div><dt>Power</dt><dd>${kw(point.kw_rate)}</dd></div>
        <div><dt>Price</dt><dd>${euroRate(point.euro_rate)}</dd></div>
      </dl>
      ${point.kw_rate === null || point.euro_rate === null ? nothing : this.#table(point)}
      <p class="quiet">${mine ? "You are charging here." : SENTENCES[point.status]}</p>
      ${this.#button(point, mine)}
    </article>`;
  }

  #table({ kw_rate: power, euro_rate: price }) {
    const row = (minutes) => {
      const energy = (power * minutes) / 60;
      return html`<tr>
        <th scope="row">${minutes} min</th>
        <td class="number">${kwh(energy)}</td>
        <td class="number">${euros(energy * price)}</td>
      </tr>`;
    };
    return html`<table class="table">
      <caption class="quiet">At full power, about</caption>
      <thead>
        <tr><th scope="col">Time</th><th scope="col" class="number">Energy</th><th scope="col" class="number">Cost</th></tr>
      </thead>
      <tbody>${SPANS_MIN.map(row)}</tbody>
    </table>`;
  }

  #button(point, mine) {
    if (mine) return html`<a class="button main large" href="#/">Show the session</a>`;
    const possible = point.status === "FREE" && this.#model.mayAsk;
    const press = async () => {
      if (await this.#actions.charge(point)) location.hash = "#/";
    };
    return html`<button class="button main large" ?disabled=${!possible} @click=${press}>${icons.bolt}Charge here</button>
      ${point.status === "FREE" && !possible ? html`<p class="quiet small">You have an open request or session.</p>` : nothing}`;
  }
}
