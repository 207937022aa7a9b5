// A connection to a status feed, renewed for as long as the page is open.
//
// Each connection begins with a snapshot, so a new one catches up by itself. `seq` rises by one with
// each message: a gap means that something was missed, and the connection is made anew.
const RETRY_MS_MIN = 300;
const RETRY_MS_MAX = 8_000;
// A connection that lived for so long was a good one: the next is dialled quickly.
const GOOD_MS = 5_000;
// The server says something at least every 10 s. A connection whose other end is gone may look open
// for ever: pages see no pings.
const SILENCE_MS_MAX = 25_000;
const LOOK_MS = 5_000;

/** @typedef {"connecting" | "live" | "lost"} FeedStatus */

export class Feed {
  #address;
  #heard;
  #socket = null;
  #seq = null;
  #timer = 0;
  #looking = 0;
  #failures = 0;
  #openedAt = 0;
  #heardAt = 0;
  #closed = false;

  /**
   * @param {string} address such as ws://host:8765/feed
   * @param {{message: (message: object) => void, status: (status: FeedStatus) => void}} heard
   */
  constructor(address, heard) {
    this.#address = address;
    this.#heard = heard;
    addEventListener("online", this.#tryNow);
    document.addEventListener("visibilitychange", this.#look);
    addEventListener("pagehide", this.#leave);
    addEventListener("pageshow", this.#tryNow);
    this.#looking = setInterval(this.#look, LOOK_MS);
    heard.status("connecting");
    this.#dial();
  }

  /** End it for good. */
  close() {
    this.#closed = true;
    clearInterval(this.#looking);
    removeEventListener("online", this.#tryNow);
    document.removeEventListener("visibilitychange", this.#look);
    removeEventListener("pagehide", this.#leave);
    removeEventListener("pageshow", this.#tryNow);
    this.#leave();
  }

  #dial() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#seq = null;
    this.#openedAt = performance.now();
    socket.onmessage = ({ data }) => this.#take(socket, data);
    socket.onclose = () => this.#lose(socket);
  }

  #take(socket, data) {
    if (socket !== this.#socket) return;
    const message = JSON.parse(data);
    const first = this.#seq === null;
    if (first ? message.type !== "snapshot" : message.seq !== this.#seq + 1) {
      socket.close();
      this.#lose(socket);
      return;
    }
    this.#seq = message.seq;
    this.#heardAt = performance.now();
    this.#heard.message(message);
    if (first) this.#heard.status("live");
  }

  #lose(socket) {
    if (socket !== this.#socket || this.#closed) return;
    this.#socket = null;
    const lived = this.#seq !== null && performance.now() - this.#openedAt > GOOD_MS;
    this.#failures = lived ? 0 : this.#failures + 1;
    this.#heard.status("lost");
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    // Half of it by chance: pages that lost the same server don't all come back at once.
    this.#timer = setTimeout(() => this.#dial(), longest * (0.5 + Math.random() / 2));
  }

  #leave = () => {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  };

  #tryNow = () => {
    if (!this.#socket && !this.#closed) this.#dial();
  };

  #look = () => {
    const socket = this.#socket;
    const silence = performance.now() - Math.max(this.#heardAt, this.#openedAt);
    if (!socket || silence < SILENCE_MS_MAX) return;
    this.#lose(socket);
    socket.close();
  };
}
