// A connection that is made again for as long as the page is open, the same for every page.
//
// Each one begins with a snapshot, so a new one catches up by itself. The server says something now
// and then: one that is silent for longer is dead, however open the browser thinks it is.
const RETRY_MS_MIN = 300;
const RETRY_MS_MAX = 8_000;
// A connection that lived for so long was a good one: the next is dialled quickly.
const GOOD_MS = 5_000;
const LOOK_MS = 1_000;

/**
 * @typedef {"connecting" | "live" | "lost"} Status
 * @typedef {object} Link one attempt; a call of an attempt that is over changes nothing
 * @property {() => boolean} heard something came; whether this attempt is the present one
 * @property {() => void} live the page knows all that there is
 * @property {() => void} lose it ended, or can't be trusted
 */

export class Renewed {
  #open;
  #status;
  #silenceMs;
  /** Closes the present connection; null while there is none. */
  #close = null;
  #attempt = 0;
  #isLive = false;
  #failures = 0;
  #openedAt = 0;
  #heardAt = 0;
  #timer = 0;
  #isPaused = false;

  /**
   * @param {object} how
   * @param {(link: Link) => () => void} how.open dials; returns a function that closes it
   * @param {(status: Status) => void} how.status is told of each change
   * @param {number} how.silenceMs more silence than this is a lost connection
   */
  constructor({ open, status, silenceMs }) {
    this.#open = open;
    this.#status = status;
    this.#silenceMs = silenceMs;
    addEventListener("online", () => this.#tryNow());
    addEventListener("pageshow", () => this.#tryNow());
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => this.#look());
    setInterval(() => this.#look(), LOOK_MS);
    this.resume();
  }

  /** Close the connection, and make no other one until it is resumed. */
  pause() {
    this.#isPaused = true;
    this.#leave();
  }

  resume() {
    this.#isPaused = false;
    this.#failures = 0;
    this.#status("connecting");
    this.#tryNow();
  }

  #dial() {
    clearTimeout(this.#timer);
    const mine = ++this.#attempt;
    const isPresent = () => mine === this.#attempt;
    this.#openedAt = this.#heardAt = performance.now();
    this.#isLive = false;
    this.#close = this.#open({
      heard: () => {
        if (isPresent()) this.#heardAt = performance.now();
        return isPresent();
      },
      live: () => {
        if (!isPresent()) return;
        this.#isLive = true;
        this.#status("live");
      },
      lose: () => isPresent() && this.#lose(),
    });
  }

  #lose() {
    const lived = this.#isLive && performance.now() - this.#openedAt > GOOD_MS;
    this.#leave();
    this.#failures = lived ? 0 : this.#failures + 1;
    this.#status("lost");
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    // Half of it by chance: pages that lost the same server don't all come back at once.
    this.#timer = setTimeout(() => this.#dial(), longest * (0.5 + Math.random() / 2));
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#attempt += 1;
    this.#close?.();
    this.#close = null;
  }

  #tryNow() {
    if (!this.#close && !this.#isPaused) this.#dial();
  }

  #look() {
    if (this.#close && performance.now() - this.#heardAt > this.#silenceMs) this.#lose();
  }
}
