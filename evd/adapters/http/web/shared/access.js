// The reader of this page, as the server knows them. It decides what they may do; the page leaves
// out what it would refuse.
import { post, whenStranger } from "/web/shared/calls.js";

// The roles that have a right.
const ROLES = {
  see_health: ["viewer", "operator", "admin"],
  charge: ["driver", "operator", "admin"],
  operate: ["operator", "admin"],
  administer: ["admin"],
};
const NOT_KEPT = "The login was right, but this browser keeps no cookie of this address, so it can't go on.";

const nobody = { auth: "off", role: "", user: "" };

/** How the page that the server made, or would make now, names its reader. */
function readerOf(/** @type {Document} */ page) {
  const content = (name) => page.querySelector(`meta[name="evd-${name}"]`)?.content;
  return { auth: content("auth") ?? nobody.auth, role: content("role") ?? "", user: content("user") ?? "" };
}

class Access {
  /** @type {{auth: "off" | "warn" | "required", role: string, user: string}} */
  reader = readerOf(document);
  /** Whether the login that is shown follows one that the server has ended. */
  hasEnded = false;
  #listener = () => {};
  #tabs = null;

  get isOff() {
    return this.reader.auth === "off";
  }

  get isLoggedIn() {
    return this.reader.role !== "";
  }

  /** Whether nothing but a login makes sense. */
  get wantsLogin() {
    return this.reader.auth === "required" && !this.isLoggedIn;
  }

  may(/** @type {keyof typeof ROLES} */ right) {
    if (this.isLoggedIn) return ROLES[right].includes(this.reader.role);
    return this.reader.auth !== "required";
  }

  /** Call `listener` once the reader is known, and each time that it is another one. */
  async follow(/** @type {() => void} */ listener) {
    this.#listener = listener;
    if (!this.isOff) {
      whenStranger(() => this.end());
      this.#tabs = new BroadcastChannel("evd-access");
      this.#tabs.onmessage = () => this.#look();
      // A link from another site brings no cookie with it, but the page's own calls do.
      if (!this.isLoggedIn) this.reader = await readAgain(this.reader);
    }
    listener();
  }

  /** Log in with a user and a password, or with a token; raises calls.CallFailed. */
  async logIn(/** @type {{user: string, password: string} | {token: string}} */ secret) {
    await post("/auth/login", secret);
    const reader = await readAgain(this.reader);
    if (!reader.role) throw new Error(NOT_KEPT);
    this.#tabs.postMessage("login");
    this.#become(reader);
  }

  /** Raises calls.CallFailed where the server did not end it. */
  async logOut() {
    await post("/auth/logout");
    this.#tabs.postMessage("logout");
    this.#become({ ...this.reader, role: "", user: "" });
    // The page that a service worker keeps is renewed.
    await readAgain(this.reader);
  }

  /** The server knows this reader no more. */
  end() {
    if (!this.isLoggedIn) return;
    this.#become({ ...this.reader, role: "", user: "" }, true);
  }

  async #look() {
    const reader = await readAgain(this.reader);
    if (reader.role !== this.reader.role || reader.user !== this.reader.user) this.#become(reader);
  }

  #become(reader, hasEnded = false) {
    this.reader = reader;
    this.hasEnded = hasEnded;
    this.#listener();
  }
}

/** The reader as the server names them now; `before` where it does not answer. */
async function readAgain(before) {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) return before;
    return readerOf(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    return before;
  }
}

export const access = new Access();
