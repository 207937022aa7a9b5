// The login, and what shows who is logged in.
import { html, nothing } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { duration } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { toast } from "/web/shared/toasts.js";

const WAYS = { password: "Password", token: "Token" };

export class Login {
  #changed;
  #driverId;
  #way;
  #trouble = "";
  #isBusy = false;
  #fresh = true;

  /** @param {string | null} driverId whose page it is: it wants that driver's token */
  constructor(/** @type {() => void} */ changed, driverId = null) {
    this.#changed = changed;
    this.#driverId = driverId;
    this.#way = driverId === null ? "password" : "token";
  }

  /** Begin anew, as for another person. */
  reset() {
    this.#trouble = "";
    this.#fresh = true;
  }

  /** Put the focus into the first field, once after each begin. */
  focus() {
    if (!this.#fresh) return;
    this.#fresh = false;
    document.querySelector(".login input:not([hidden])")?.focus();
  }

  template() {
    return html`<main id="content" class="login" tabindex="-1">
      <form class="panel" aria-labelledby="login-title" @submit=${this.#submit}>
        <h1 id="login-title">Log in</h1>
        <p class="quiet" role="status">${access.hasEnded ? "You are not logged in any more. Log in to go on where you were." : nothing}</p>
        ${this.#driverId === null ? this.#ways() : nothing}
        ${this.#way === "password" ? this.#userAndPassword() : this.#token()}
        <div role="alert">${this.#trouble ? html`<p class="trouble">${this.#trouble}</p>` : nothing}</div>
        <button class="button main" type="submit" aria-disabled=${this.#isBusy}>${this.#isBusy ? "Checking…" : "Log in"}</button>
      </form>
    </main>`;
  }

  #ways() {
    const choose = (way) => () => {
      this.#way = way;
      this.reset();
      this.#changed();
    };
    const button = ([way, words]) =>
      html`<button type="button" aria-pressed=${this.#way === way} @click=${choose(way)}>${words}</button>`;
    return html`<div class="segments" role="group" aria-label="Log in with">${Object.entries(WAYS).map(button)}</div>`;
  }

  #userAndPassword() {
    return html`<label class="labelled"><span>User</span>
        <input class="field" name="user" type="text" autocomplete="username" autocapitalize="none"
          spellcheck="false" required /></label>
      ${this.#secret("Password", "password")}`;
  }

  /** A password manager keeps a token as the password of the driver. */
  #token() {
    const user = html`<input name="user" type="text" autocomplete="username" hidden .value=${this.#driverId ?? ""} />`;
    return html`${this.#driverId === null ? nothing : user}
      ${this.#secret(this.#driverId === null ? "Token" : `Token of ${this.#driverId}`, "token")}`;
  }

  #secret(label, name) {
    return html`<label class="labelled"><span>${label}</span>
      <input class="field" name=${name} type="password" autocomplete="current-password" required
        aria-invalid=${this.#trouble !== ""} /></label>`;
  }

  #submit = async (event) => {
    event.preventDefault();
    if (this.#isBusy) return;
    const form = event.target;
    const values = Object.fromEntries(new FormData(form));
    const secret =
      this.#way === "password"
        ? { user: values.user.trim(), password: values.password }
        : { token: values.token.trim() };
    this.#isBusy = true;
    this.#trouble = "";
    this.#changed();
    try {
      await access.logIn(secret);
      form.reset();
    } catch (error) {
      this.#trouble = sentenceOf(error, this.#way);
    }
    this.#isBusy = false;
    this.#changed();
    if (this.#trouble) form.querySelector('[type="password"]')?.select();
  };
}

/** A refusal of a login in words; `way` is how it was tried. */
function sentenceOf({ status, message, retryS }, way) {
  const later = retryS ? `in ${duration(retryS)}` : "in a moment";
  if (status === 401) return way === "password" ? "Wrong user or password." : "This token is not valid here.";
  if (status === 429) return `Too many tries that were wrong. Try again ${later}.`;
  if (status === 503) return `Nobody can log in just now: ${message}. Try again ${later}.`;
  return message;
}

/** In the top of a page: who is logged in, and how to leave; `logIn` is called to show the login. */
export function account(/** @type {() => void} */ logIn) {
  const { isOff, isLoggedIn, reader } = access;
  if (isOff) return nothing;
  if (!isLoggedIn) return html`<button class="button" @click=${logIn}>Log in</button>`;
  const leave = () => access.logOut().catch((error) => access.isLoggedIn && toast(error.message, "failed"));
  return html`<span class="account"><b>${reader.user}</b> <span class="quiet">${reader.role}</span></span>
    <button class="button bare leave" aria-label="Log out" @click=${leave}>${icons.leave}<span>Log out</span></button>`;
}
