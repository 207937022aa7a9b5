// The address of a page chooses what it shows: `#/cp/CP-001?at=2026-01-31T12:00:00Z`.

/**
 * @typedef {[RegExp, Function, string]} Route the form of a path, its view, the section it belongs to
 * @typedef {object} Place
 * @property {string} path
 * @property {Function} View
 * @property {string} section
 * @property {string} id the part of the path that the form takes out, empty where it takes none
 * @property {URLSearchParams} query
 */

export class Router {
  #routes;
  #show;

  /** @param {Route[]} routes; the first is shown for an address that fits none of them */
  constructor(routes, /** @type {(place: Place) => void} */ show) {
    this.#routes = routes;
    this.#show = show;
    addEventListener("hashchange", () => this.#turn());
    addEventListener("click", skip);
  }

  /** Show the place that the address names. */
  go() {
    const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
    const found = this.#routes.find(([form]) => form.test(path)) ?? this.#routes[0];
    const [form, View, section] = found;
    const id = decoded(form.exec(path)?.[1] ?? "");
    this.#show({ path, View, section, id, query: new URLSearchParams(query) });
  }

  #turn() {
    this.go();
    content().focus({ preventScroll: true });
  }
}

const content = () => document.getElementById("content");

/** The link for the keyboard leads to the content of this very place, and to no other address. */
function skip(event) {
  if (!event.target.closest?.(".skip")) return;
  event.preventDefault();
  content().focus();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
