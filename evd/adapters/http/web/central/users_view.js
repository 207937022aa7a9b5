// The users: who may log in here, and as what.
import { html, nothing, render, repeat } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { post, remove } from "/web/shared/calls.js";
import { ask } from "/web/shared/dialog.js";
import { askForm } from "/web/shared/form_dialog.js";
import { adminHead, adminTable } from "/web/central/admin_head.js";
import { Whole } from "/web/central/whole.js";

const ROLES = {
  viewer: "viewer – sees everything",
  operator: "operator – also stops, resumes and charges",
  admin: "admin – also users, tokens, bills",
};
const PASSWORD = {
  name: "password",
  label: "Password",
  type: "password",
  autocomplete: "new-password",
  hint: "10 to 1,024 characters",
};

export class UsersView {
  title = "Users";
  #element;
  #users;

  constructor(element) {
    this.#element = element;
    this.#users = new Whole("/users", "users", () => this.draw());
  }

  end() {
    this.#users.end();
  }

  draw() {
    const users = this.#users;
    const add = html`<button class="button main" @click=${() => this.#add()}>Add user</button>`;
    const rows = repeat(users.rows, ({ user }) => user, (row) => this.#line(row));
    render(
      html`${adminHead("/admin", add)}
        <section class="panel">
          ${users.rows.length ? adminTable("Users", ["User", "Role", ""], rows) : nothing}
          ${users.foot("There is no user yet.")}
        </section>`,
      this.#element,
    );
  }

  #line({ user, role }) {
    const button = (name, press, kind = "") =>
      html`<button class="button little ${kind}" aria-label="${name}: ${user}" @click=${press}>${name}</button>`;
    return html`<tr>
      <th scope="row">${user}${user === access.reader.user ? html` <span class="quiet">(you)</span>` : nothing}</th>
      <td>${role}</td>
      <td class="number"><span class="buttons">
        ${button("Role", () => this.#setRole(user, role))} ${button("Password", () => this.#setPassword(user))} ${button("Remove", () => this.#remove(user), "danger")}
      </span></td>
    </tr>`;
  }

  async #add() {
    const added = await askForm({
      title: "Add a user",
      action: "Add",
      fields: [
        { name: "user", label: "User", autocomplete: "off", hint: "A to Z, a to z, 0 to 9, and . _ - behind the first" },
        PASSWORD,
        { name: "role", label: "Role", type: "choice", choices: ROLES },
      ],
      act: (values) => post("/users", values),
    });
    if (added) this.#users.load();
  }

  #setPassword(user) {
    return askForm({
      title: `A new password for ${user}`,
      text: "Whoever is logged in as this user is logged out.",
      action: "Set",
      fields: [PASSWORD],
      act: (values) => post(`/users/${encodeURIComponent(user)}/password`, values),
    });
  }

  async #setRole(user, role) {
    const set = await askForm({
      title: `The role of ${user}`,
      text: "Whoever is logged in as this user is logged out.",
      action: "Set",
      fields: [{ name: "role", label: "Role", type: "choice", choices: ROLES, value: role }],
      act: (values) => post(`/users/${encodeURIComponent(user)}/role`, values),
    });
    if (set) this.#users.load();
  }

  async #remove(user) {
    const outcome = await ask({
      title: `Remove ${user}?`,
      text: "This user can't log in any more, and is logged out everywhere. What the audit says of them stays.",
      action: "Remove",
      danger: true,
      act: () => remove(`/users/${encodeURIComponent(user)}`),
      waiting: `${user} is removed.`,
    });
    if (outcome === "done") this.#users.load();
  }
}
