// All that the page knows, as the stream tells it.
const NEWS_MAX = 100;
const RANKS = { FREE: 0, OCCUPIED: 1, OFFLINE: 2 };

/**
 * @typedef {{cp_id: string, status: "FREE" | "OCCUPIED" | "OFFLINE", kw_rate: number | null,
 *   euro_rate: number | null, location: string | null}} Point
 * @typedef {{request_id: string, cp_id: string | null, session_id: string | null, status: string,
 *   reason: string, kwh: number | null, euros: number | null, ts: string | null}} News
 */

export class DriverModel {
  /** @type {"connecting" | "live" | "lost"} */
  status = "connecting";
  driverId;
  /** Why the driver can't be served now, and why Central can't be asked. */
  trouble = null;
  lost = null;
  current = null;
  requests = [];
  /** @type {News[]} newest first */
  news = [];
  unread = 0;
  /** @type {Map<string, Point> | null} null while not known */
  points = null;
  heardAt = null;
  /** The end of the newest request that ended while the page was open. @type {News | null} */
  ended = null;
  /** The news that came since the page was opened, to tell of: set by the page. */
  onNews = (/** @type {News[]} */ _fresh) => {};

  #aheadMs = 0;
  #sorted = null;
  #isNew = true;

  constructor(driverId) {
    this.driverId = driverId;
  }

  /** Forget all but the driver's id. */
  clear() {
    this.trouble = this.lost = this.current = this.points = this.heardAt = this.ended = null;
    this.requests = [];
    this.news = [];
    this.unread = 0;
    this.#sorted = null;
    this.#isNew = true;
  }

  /** Take a message of the stream. */
  take(message) {
    const { now, type, charging_points: points, removed = [], news, ...state } = message;
    this.#aheadMs = Date.parse(now) - Date.now();
    this.heardAt = Date.now();
    for (const key of ["trouble", "lost", "current", "requests"]) {
      if (key in state) this[key] = state[key];
    }
    if (type === "snapshot") this.#begin(points, news);
    else {
      if (points || removed.length) this.#change(points ?? [], removed);
      if (news) this.#add(news);
    }
  }

  /** The driver's own time in ms: a phone's clock may be wrong. */
  get nowMs() {
    return Date.now() + this.#aheadMs;
  }

  /** Every charging point: the free ones first, then by id. @returns {Point[]} */
  get sorted() {
    this.#sorted ??= [...(this.points?.values() ?? [])].sort(
      (one, other) => RANKS[one.status] - RANKS[other.status] || compareIds(one.cp_id, other.cp_id),
    );
    return this.#sorted;
  }

  /** Whether nothing is charged or asked for. */
  get isIdle() {
    return this.current === null && this.requests.length === 0;
  }

  /** Whether a new request makes sense and would be heard. */
  get mayAsk() {
    return this.isIdle && this.status === "live";
  }

  /** The requests whose session does not run yet. */
  get waiting() {
    return this.requests.filter(({ session_id }) => session_id !== (this.current?.session_id ?? ""));
  }

  /** The final news of a request, null before its end. */
  endOf(requestId) {
    return this.news.find((one) => one.request_id === requestId && isEnd(one)) ?? null;
  }

  #begin(points, news) {
    const known = new Set(this.news.map(keyOf));
    const fresh = this.#isNew ? [] : news.filter((one) => !known.has(keyOf(one)));
    this.#isNew = false;
    this.news = distinct(news);
    if (points !== null) {
      this.points = new Map(points.map((point) => [point.cp_id, point]));
      this.#sorted = null;
    }
    if (fresh.length) this.#tell(fresh);
  }

  #change(points, removed) {
    this.points ??= new Map();
    for (const point of points) this.points.set(point.cp_id, point);
    for (const cpId of removed) this.points.delete(cpId);
    this.#sorted = null;
  }

  #add(news) {
    this.news = distinct([...news, ...this.news]).slice(0, NEWS_MAX);
    this.#tell(news);
  }

  #tell(fresh) {
    this.unread += fresh.length;
    this.ended = fresh.find(isEnd) ?? this.ended;
    this.onNews(fresh);
  }
}

const isEnd = ({ status }) => status === "COMPLETED" || status === "DENIED" || status === "FAILED";
/** Two pieces of news with one key are the same. */
export const keyOf = (one) => `${one.request_id} ${one.status} ${one.reason}`;
const collator = new Intl.Collator("en", { numeric: true });
const compareIds = collator.compare;

/** The driver repeats a final status after a crash: it is one piece of news. */
function distinct(news) {
  const seen = new Set();
  return news.filter((one) => !seen.has(keyOf(one)) && seen.add(keyOf(one)));
}
