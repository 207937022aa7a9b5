// The events of this driver, followed for as long as the page is open.
//
// Each connection begins with a snapshot, so a new one catches up by itself. An event comes at least
// every 5 s: a connection that is silent for longer is dead, however open the browser thinks it is.
const SILENT_MS_MAX = 12_000;
const LOOK_MS = 1_000;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 8_000;

/** @typedef {"connecting" | "live" | "lost"} StreamStatus */

export class Stream {
  #address;
  #heard;
  #source = null;
  #timer = 0;
  #failures = 0;
  #heardAt = performance.now();

  /**
   * @param {string} address of the events
   * @param {{message: (message: object) => void, status: (status: StreamStatus) => void}} heard
   */
  constructor(address, heard) {
    this.#address = address;
    this.#heard = heard;
    setInterval(() => this.#look(), LOOK_MS);
    document.addEventListener("visibilitychange", () => this.#look());
    addEventListener("online", () => this.#dial());
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#dial());
    this.#dial();
  }

  #dial() {
    this.#leave();
    const source = new EventSource(this.#address);
    this.#source = source;
    this.#heardAt = performance.now();
    source.onmessage = ({ data }) => this.#take(source, JSON.parse(data));
    source.addEventListener("alive", () => (this.#heardAt = performance.now()));
    source.onerror = () => this.#lose(source);
  }

  #take(source, message) {
    if (source !== this.#source) return;
    this.#heardAt = performance.now();
    this.#failures = 0;
    this.#heard.message(message);
    if (message.type === "snapshot") this.#heard.status("live");
  }

  #lose(source) {
    if (source !== this.#source) return;
    this.#leave();
    this.#failures += 1;
    // The server ends a stream now and then: one that is renewed at once was not lost.
    if (this.#failures > 1) this.#heard.status("lost");
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    this.#timer = setTimeout(() => this.#dial(), longest * (0.5 + Math.random() / 2));
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #look() {
    if (!this.#source || performance.now() - this.#heardAt <= SILENT_MS_MAX) return;
    this.#failures += 1;
    this.#lose(this.#source);
  }
}
