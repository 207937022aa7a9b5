// Shows the login while the server knows no reader, and the page once it does.
import { html, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { closeDialogs } from "/web/shared/dialog.js";
import { tell } from "/web/shared/favicon.js";
import { drawWithFocus } from "/web/shared/focus.js";
import { Login, account } from "/web/shared/login.js";

/**
 * @typedef {object} Page
 * @property {() => void} enter show what the address names, and follow what happens
 * @property {() => void} leave put away all that the reader saw: another one may sit down here
 * @property {() => void} draw
 */

export class Door {
  #page;
  #login;
  #isAsked = false;
  #isInside = false;
  #wasShut = false;

  /** @param {string | null} driverId whose page it is: it wants that driver's token */
  constructor(/** @type {Page} */ page, driverId = null) {
    this.#page = page;
    this.#login = new Login(page.draw, driverId);
  }

  /** Enter the page, or show the login. */
  begin() {
    access.follow(() => this.#turn());
  }

  /** Whether the login stands in the place of the page. */
  get isShut() {
    return access.wantsLogin || this.#isAsked;
  }

  /** In the top of the page: who is logged in, and how to log in or out. */
  account() {
    return account(() => {
      this.#isAsked = true;
      this.#goOut();
    });
  }

  /** Draw the login; `top` makes the top of the page of what is called to go back. */
  draw(app, title, top) {
    const back = () => this.#isAsked && this.#turn();
    drawWithFocus(() => render(html`${top(back)} ${this.#login.template()}`, app));
    this.#login.focus();
    tell(`Log in · ${title}`, "good");
  }

  #goOut() {
    this.#wasShut = this.isShut;
    this.#login.reset();
    if (this.#isInside) {
      closeDialogs();
      this.#page.leave();
    }
    this.#isInside = false;
    this.#page.draw();
  }

  /** There is another reader than before. */
  #turn() {
    this.#isAsked = false;
    if (this.#isInside || this.isShut) this.#goOut();
    if (this.isShut) return;
    this.#isInside = true;
    this.#page.enter();
    // Where the login was is nothing any more that could have the focus.
    if (this.#wasShut) document.getElementById("content").focus({ preventScroll: true });
    this.#wasShut = false;
  }
}
