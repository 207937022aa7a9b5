// The network as the feed tells it. Everything that is drawn comes from here; nobody else keeps it.
const EVENTS_MAX = 500;
const POWER_SECONDS_MAX = 15 * 60;

/**
 * @typedef {object} Point
 * @property {string} id
 * @property {object} view the charging point as Central shows it
 * @property {string} key sorts by name, numbers by their value
 * @property {object | null} meter its telemetry, null while nothing is supplied
 */

const naturalKey = (id) => id.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));

function pointOf(view, old) {
  const id = view.cp_id;
  return { id, view, key: old?.key ?? naturalKey(id), meter: view.telemetry };
}

export class NetworkModel {
  /** @type {Map<string, Point>} */
  points = new Map();
  network = null;
  activeRequests = 0;
  /** Newest last. */
  events = [];
  /** @type {import("/web/shared/feed.js").FeedStatus} */
  status = "connecting";
  /** The time of the newest message, in milliseconds since 1970. */
  heardAt = null;
  /** Rises with each change of which charging points there are or how they stand. */
  version = 0;
  /** Kilowatts of the network, one entry a second at the most. */
  power = { seconds: [], kw: [] };
  #listeners = new Set();
  #waiting = false;

  /** Call `listener` after changes, once a frame at the most; returns what ends it. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onStatus(status) {
    this.status = status;
    this.changed();
  }

  onMessage(message) {
    if (message.type === "snapshot") {
      const old = this.points;
      this.points = new Map();
      for (const view of message.charging_points) {
        this.points.set(view.cp_id, pointOf(view, old.get(view.cp_id)));
      }
      this.events = [...(message.events ?? [])];
      this.network = message.network ?? null;
    } else {
      for (const view of message.charging_points) {
        this.points.set(view.cp_id, pointOf(view, this.points.get(view.cp_id)));
      }
      for (const id of message.removed) this.points.delete(id);
      this.events.push(...message.events);
      if (this.events.length > EVENTS_MAX) this.events.splice(0, this.events.length - EVENTS_MAX);
      if (message.network) this.network = message.network;
    }
    this.activeRequests = message.active_requests;
    this.heardAt = Date.now();
    this.version += 1;
    this.#notePower();
    this.changed();
  }

  /** Put power of before the page was opened in front of what was heard since. */
  addEarlierPower(seconds, kw) {
    const first = this.power.seconds[0] ?? Infinity;
    const end = seconds.findIndex((each) => each >= first);
    const count = end < 0 ? seconds.length : end;
    this.power.seconds.unshift(...seconds.slice(0, count));
    this.power.kw.unshift(...kw.slice(0, count));
  }

  get states() {
    if (this.network) return this.network.states;
    const found = { ON: 0, BROKEN: 0, DISCONNECTED: 0 };
    for (const { view } of this.points.values()) found[view.state] += 1;
    return found;
  }

  get kw() {
    if (this.network) return this.network.kw;
    let sum = 0;
    for (const { meter } of this.points.values()) sum += meter?.kw ?? 0;
    return sum;
  }

  get alerts() {
    return this.network?.alerts ?? [];
  }

  /** How many alerts stand, those that the feed leaves out included. */
  get alertCount() {
    return this.alerts.length + (this.network?.alerts_left_out ?? 0);
  }

  /** How many charging points have a session, and the first of them by name. */
  charging(shown) {
    const found = [];
    for (const point of this.points.values()) if (point.view.current_session) found.push(point);
    const first = found.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, shown);
    return { count: found.length, first };
  }

  changed() {
    if (this.#waiting) return;
    this.#waiting = true;
    const run = () => {
      this.#waiting = false;
      for (const listener of this.#listeners) listener();
    };
    // A page that is not looked at has no frames, but its title and icon still tell.
    if (document.hidden) setTimeout(run, 250);
    else requestAnimationFrame(run);
  }

  #notePower() {
    const { seconds, kw } = this.power;
    const now = Math.floor(Date.now() / 1000);
    if (seconds.at(-1) === now) kw[kw.length - 1] = this.kw;
    else {
      seconds.push(now);
      kw.push(this.kw);
    }
    const old = seconds.findIndex((each) => each > now - POWER_SECONDS_MAX);
    if (old > 0) {
      seconds.splice(0, old);
      kw.splice(0, old);
    }
  }
}
