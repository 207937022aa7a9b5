// All that a driver can ask for here.
import { post, remove } from "/web/shared/calls.js";
import { ask } from "/web/shared/dialog.js";
import { euroRate, kw } from "/web/shared/formats.js";
import { toast } from "/web/shared/toasts.js";
import { newsInWords } from "/web/driver/words.js";

const BILL_MS_MAX = 5_000;

const known = (value) => value !== null && value !== undefined;

export class Actions {
  #model;
  #root;

  constructor(model) {
    this.#model = model;
    this.#root = `/drivers/${encodeURIComponent(model.driverId)}`;
  }

  /** The path of something of this driver's. */
  path(rest) {
    return this.#root + rest;
  }

  /** Ask for a charge at `point`, null for any; says yes once it was asked. */
  async charge(/** @type {import("/web/driver/model.js").Point | null} */ point) {
    const place = point ? point.cp_id : "any free charging point";
    const outcome = await ask({
      title: `Charge at ${place}?`,
      text: point ? termsOf(point) : "Central chooses one that is free. Its price is shown as soon as it is known.",
      action: "Charge",
      act: () => post(this.path("/requests"), { cp_id: point?.cp_id ?? null }),
      waiting: "",
      closes: true,
    });
    return outcome === "done";
  }

  async cancel(request) {
    try {
      await remove(this.path(`/requests/${encodeURIComponent(request.request_id)}`));
    } catch (error) {
      toast(error.message, "failed");
    }
  }

  stop(session) {
    const { session_id: id, cp_id: cpId } = session;
    const request = this.#model.requests.find((one) => one.session_id === id);
    let goneAt = null;
    const became = () => {
      if (this.#model.current?.session_id === id) return null;
      goneAt ??= performance.now();
      const end = this.#model.endOf(request?.request_id);
      if (end) return newsInWords(end).text;
      // The bill is told a moment after the session is gone.
      return performance.now() - goneAt > BILL_MS_MAX ? "The session has ended." : null;
    };
    return ask({
      title: "Stop session?",
      text: `The session at ${cpId} ends, and is billed for what its meter shows then.`,
      action: "Stop session",
      danger: true,
      act: () => post(this.path(`/sessions/${encodeURIComponent(id)}/stop`)),
      waiting: `Waiting for ${cpId} to end it.`,
      became,
    });
  }
}

function termsOf({ kw_rate: power, euro_rate: price, location }) {
  const terms = [
    known(power) ? `Up to ${kw(power)}` : "",
    known(price) ? euroRate(price) : "",
    location ?? "",
  ];
  return `${terms.filter(Boolean).join(" · ")}. You pay for the energy that is delivered.`;
}
