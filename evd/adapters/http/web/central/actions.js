// The operator's buttons, as far as the reader may press them. Each asks first, and then follows the feed until it is so.
import { html, nothing } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get, post, remove } from "/web/shared/calls.js";
import { ask } from "/web/shared/dialog.js";
import { euros, kwh } from "/web/shared/formats.js";

const path = (id) => encodeURIComponent(id);

export class Actions {
  #model;

  constructor(/** @type {import("/web/central/model.js").NetworkModel} */ model) {
    this.#model = model;
  }

  /** The buttons of a charging point; `size` is a class. */
  buttons({ id, view }, size = "") {
    const session = view.current_session;
    const button = (name, press) =>
      html`<button class="button ${size}" aria-describedby="cp-${id}" @click=${press}>${name}</button>`;
    const turn = view.stopped ? ["Resume", () => this.resume(id)] : ["Stop", () => this.stop(id)];
    return html`<span class="buttons">
      ${session && access.may("charge") ? button("Stop session", () => this.stopSession(session, id)) : nothing}
      ${access.may("operate") ? button(...turn) : nothing}
    </span>`;
  }

  stop(id) {
    const view = this.#model.points.get(id)?.view;
    const running = view?.current_session ? ` The session of ${view.current_driver} is ended first and billed.` : "";
    const absent = view?.state === "DISCONNECTED" ? " It is not connected now: it is done once it is back." : "";
    return ask({
      title: `Stop ${id}?`,
      text: `It takes no drivers until it is resumed.${running}${absent}`,
      action: "Stop",
      danger: true,
      act: () => post(`/cp/${path(id)}/stop`),
      waiting: `Central has taken it. Waiting for ${id} to stop…`,
      became: () => {
        const now = this.#model.points.get(id)?.view;
        if (!now) return `${id} is no longer on the list.`;
        const agrees = now.stopped && !now.current_session && now.engine_state === "STOPPED";
        return agrees ? `${id} is stopped and takes no drivers.` : null;
      },
    });
  }

  resume(id) {
    return ask({
      title: `Resume ${id}?`,
      text: "It takes drivers again.",
      action: "Resume",
      act: () => post(`/cp/${path(id)}/resume`),
      waiting: `Central has taken it. Waiting for ${id}…`,
      became: () => {
        const now = this.#model.points.get(id)?.view;
        if (!now) return `${id} is no longer on the list.`;
        const agrees = !now.stopped && now.engine_state !== "STOPPED" && now.engine_state !== null;
        if (!agrees) return null;
        return now.available ? `${id} takes drivers again.` : `${id} is in service; ${now.unavailable_reason}.`;
      },
    });
  }

  stopSession(session, id) {
    const view = this.#model.points.get(id)?.view;
    const driver = view?.current_driver ?? "the driver";
    let row = null;
    let looking = false;
    const gone = () => this.#model.points.get(id)?.view.current_session !== session;
    return ask({
      title: `Stop the session at ${id}?`,
      text: `${driver} is charged for what has flowed until then.`,
      action: "Stop session",
      danger: true,
      act: () => post(`/sessions/${path(session)}/stop`),
      waiting: `Central has taken it. Waiting for ${id} to end the session…`,
      became: () => {
        if (!gone()) return null;
        if (!row && !looking) {
          looking = true;
          get(`/sessions/${path(session)}`).then(
            (found) => (row = found),
            () => (row = {}),
          );
        }
        if (!row) return null;
        return "total_kwh" in row
          ? `The session has ended: ${kwh(row.total_kwh)}, ${euros(row.total_cost)}.`
          : "The session has ended.";
      },
    });
  }

  /** Take a charging point off the list. */
  forget(id) {
    return ask({
      title: `Remove ${id} from the list?`,
      text: "Its sessions and faults stay. It comes back by itself if its monitor connects again.",
      action: "Remove",
      danger: true,
      act: () => remove(`/cp/${path(id)}`),
      waiting: `Waiting for ${id} to leave the list…`,
      became: () => (this.#model.points.has(id) ? null : `${id} is off the list.`),
    });
  }
}
