// The network as the feed tells it. Everything that is drawn comes from here; nobody else keeps it.
import { PowerSeries } from "/web/central/power_series.js";

const EVENTS_MAX = 500;

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
  /** Kilowatts of the network. */
  power = new PowerSeries();
  #kinds = new Map();
  #events = new Map();
  #snapshots = 0;
  #listeners = new Set();
  #waiting = false;

  /** Call `listener` after changes, once a frame at the most; returns what ends it. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forget the network, as for another reader. */
  clear() {
    this.points = new Map();
    this.network = null;
    this.activeRequests = 0;
    this.events = [];
    this.heardAt = null;
    this.power = new PowerSeries();
    this.version += 1;
    this.#kinds.clear();
    this.#events.clear();
    this.#snapshots = 0;
  }

  onStatus(status) {
    if (status === "lost") this.power.lose();
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
      this.power.begin();
      this.#snapshots += 1;
    } else {
      for (const view of message.charging_points) {
        this.points.set(view.cp_id, pointOf(view, this.points.get(view.cp_id)));
      }
      for (const id of message.removed) this.points.delete(id);
      this.events.push(...message.events);
      for (const event of message.events) this.#count(event);
      if (this.events.length > EVENTS_MAX) this.events.splice(0, this.events.length - EVENTS_MAX);
      if (message.network) this.network = message.network;
    }
    this.activeRequests = message.active_requests;
    this.heardAt = Date.now();
    this.version += 1;
    this.power.note(this.kw);
    this.changed();
  }

  /** A text that changes when events of one of these kinds come, or may have been missed. */
  signOfKinds(kinds) {
    return this.#sign(kinds.map((kind) => this.#kinds.get(kind)).join());
  }

  /** A text that changes when something happens to a charging point, or may have been missed. */
  signOfPoint(id) {
    return this.#sign(this.#events.get(id));
  }

  /** null before the first snapshot. */
  #sign(counts) {
    return this.#snapshots ? `${this.#snapshots} ${counts}` : null;
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

  #count({ kind, cp_id }) {
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    this.#events.set(cp_id, (this.#events.get(cp_id) ?? 0) + 1);
  }
}
