// The tokens of programs, drivers and charging points. Each is shown once, when it is made.
import { html, nothing, render, repeat } from "/web/shared/lit.js";
import { post, remove } from "/web/shared/calls.js";
import { ask } from "/web/shared/dialog.js";
import { date, dateTime } from "/web/shared/formats.js";
import { askForm, showSecret } from "/web/shared/form_dialog.js";
import { adminHead, adminTable } from "/web/central/admin_head.js";
import { Whole } from "/web/central/whole.js";

const ROLES = {
  viewer: "viewer – sees everything",
  operator: "operator – also stops, resumes and charges",
  admin: "admin – also users, tokens, bills",
  driver: "driver – of one driver alone",
};
const COLUMNS = ["Name", "Role", "Made", "Ends", "Last used", ""];
const ONCE = "It is shown this once. Put it into a file that its user alone can read (chmod 600).";
const OLD_GOOD = "The token of before stays good until the new one was used.";

/** A charging point and a driver may have one name, and a token that is being replaced stands twice. */
const keyOf = ({ name, role, created_at }) => `${name} ${role} ${created_at}`;

export class TokensView {
  title = "Tokens";
  #element;
  #tokens;

  constructor(element) {
    this.#element = element;
    this.#tokens = new Whole("/tokens", "tokens", () => this.draw());
  }

  end() {
    this.#tokens.end();
  }

  draw() {
    const { rows } = this.#tokens;
    const button = (name, press, kind = "") => html`<button class="button ${kind}" @click=${press}>${name}</button>`;
    const buttons = html`${button("Charging point's token", () => this.#ofPoint())}
      ${button("Driver's token", () => this.#ofDriver())} ${button("New token", () => this.#new(), "main")}`;
    const lines = repeat(rows, keyOf, (row) => this.#line(row));
    render(
      html`${adminHead("/tokens", buttons)}
        <section class="panel">
          ${rows.length ? adminTable("Tokens", COLUMNS, lines) : nothing}
          ${this.#tokens.foot("There is no token yet.")}
        </section>`,
      this.#element,
    );
  }

  #line({ name, role, driver_id, cp_id, created_at, expires_at, used_at, revoked }) {
    const of = driver_id ?? cp_id ?? null;
    const ends = revoked ? "revoked" : expires_at ? date(expires_at) : "never";
    const button = (words, press) =>
      html`<button class="button little danger" aria-label="${words}: ${name}" @click=${press}>${words}</button>`;
    return html`<tr>
      <th scope="row">${name}</th>
      <td>${role}${of && of !== name ? html` <span class="quiet">of ${of}</span>` : nothing}</td>
      <td><time datetime=${created_at}>${date(created_at)}</time></td>
      <td>${ends}</td>
      <td>${used_at ? dateTime(used_at) : html`<span class="quiet">never</span>`}</td>
      <td class="number">${revoked ? nothing : button("Revoke", () => this.#revoke(name))}
        ${driver_id ? button("Remove driver", () => this.#removeDriver(driver_id)) : nothing}</td>
    </tr>`;
  }

  async #made(form, label) {
    const made = await askForm(form);
    if (!made) return;
    this.#tokens.load();
    await showSecret({ title: `${label} is made`, text: ONCE, label, secret: made.answer.token });
  }

  #new() {
    return this.#made(
      {
        title: "New token",
        action: "Make",
        fields: [
          { name: "name", label: "Name", hint: "As the audit will name it" },
          { name: "role", label: "Role", type: "choice", choices: ROLES },
          { name: "driver_id", label: "Driver", isShown: ({ role }) => role === "driver" },
          { name: "days", label: "Days", type: "number", value: "90", hint: "0: it never ends" },
        ],
        act: (values) => post("/tokens", values),
      },
      "The token",
    );
  }

  #ofDriver() {
    return this.#made(
      {
        title: "A driver's token",
        text: `For evd-driver and its page. ${OLD_GOOD}`,
        action: "Make",
        fields: [{ name: "driver_id", label: "Driver" }],
        act: (values) => post("/drivers", values),
      },
      "The driver's token",
    );
  }

  #ofPoint() {
    return this.#made(
      {
        title: "A charging point's token",
        text: `For its monitor and its engine. ${OLD_GOOD}`,
        action: "Make",
        fields: [{ name: "cp_id", label: "Charging point" }],
        act: ({ cp_id }) => post(`/cp/${encodeURIComponent(cp_id)}/token`),
      },
      "The charging point's token",
    );
  }

  #revoke(name) {
    return this.#end({
      title: `Revoke ${name}?`,
      text: "Whoever has it is refused from now on, once and for good.",
      action: "Revoke",
      act: () => remove(`/tokens/${encodeURIComponent(name)}`),
      waiting: `${name} is revoked.`,
    });
  }

  #removeDriver(driverId) {
    return this.#end({
      title: `Remove ${driverId}?`,
      text: "Its tokens are revoked. Its sessions and bills stay.",
      action: "Remove",
      act: () => remove(`/drivers/${encodeURIComponent(driverId)}`),
      waiting: `${driverId} is removed.`,
    });
  }

  async #end(question) {
    if ((await ask({ ...question, danger: true })) === "done") this.#tokens.load();
  }
}
