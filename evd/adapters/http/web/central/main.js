// Where the page begins: the feed fills the model, the address chooses the view.
import { html, nothing, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get, post } from "/web/shared/calls.js";
import { Door } from "/web/shared/door.js";
import { followFeed } from "/web/shared/feed.js";
import { drawWithFocus } from "/web/shared/focus.js";
import { icons } from "/web/shared/icons.js";
import { tell } from "/web/shared/favicon.js";
import { silentServer } from "/web/shared/lost.js";
import { Router } from "/web/shared/router.js";
import { themeToggle } from "/web/shared/theme_toggle.js";
import { AuditView } from "/web/central/audit_view.js";
import { FaultsView } from "/web/central/faults_view.js";
import { NetworkModel } from "/web/central/model.js";
import { NetworkView } from "/web/central/network_view.js";
import { PointView } from "/web/central/point_view.js";
import { ReportsView } from "/web/central/reports_view.js";
import { SessionView } from "/web/central/session_view.js";
import { SessionsView } from "/web/central/sessions_view.js";
import { TokensView } from "/web/central/tokens_view.js";
import { UsersView } from "/web/central/users_view.js";

const TITLE = "EV charging network";
const ROUTES = [
  [/^\/$/, NetworkView, "/"],
  [/^\/cp\/([^/?]+)$/, PointView, "/"],
  [/^\/session\/([^/?]+)$/, SessionView, "/sessions"],
  [/^\/sessions$/, SessionsView, "/sessions"],
  [/^\/faults$/, FaultsView, "/faults"],
  [/^\/reports$/, ReportsView, "/reports"],
];
// Without --auth there is nothing to administer.
const ADMIN_ROUTES = [
  [/^\/admin$/, UsersView, "/admin"],
  [/^\/tokens$/, TokensView, "/admin"],
  [/^\/audit$/, AuditView, "/admin"],
];
const LINKS = [
  ["/", "Network", () => true],
  ["/sessions", "Sessions", () => true],
  ["/faults", "Faults", () => access.may("see_health")],
  ["/reports", "Reports", () => true],
  ["/admin", "Admin", () => access.isLoggedIn && access.may("administer")],
];

const model = new NetworkModel();
const door = new Door({ enter, leave, draw });
const router = new Router(access.isOff ? ROUTES : [...ROUTES, ...ADMIN_ROUTES], show);
const app = document.getElementById("app");
app.replaceChildren();

let view = null;
let place = "/";
let section = "/";
let scrolledNetwork = 0;
let feed = null;
// The sentence of this Central where it stands by, null else.
let standby = null;

function shell() {
  const link = ([path, name]) => html`<a href="#${path}" aria-current=${section === path}>${name}</a>`;
  return html`<header class="top">
      <a class="brand" href="#/">${icons.bolt}<span>${TITLE}</span></a>
      <nav class="segments" aria-label="Pages">${LINKS.filter(([, , isShown]) => isShown()).map(link)}</nav>
      <div class="right">
        ${connection()}
        <a class="button bare api" href="/docs">API</a>
        ${door.account()} ${themeToggle(draw)}
      </div>
    </header>
    ${lost()} ${trouble()}
    <main id="content" tabindex="-1"></main>`;
}

function loginTop(back) {
  return html`<header class="top">
    <a class="brand" href="#/" @click=${back}>${icons.bolt}<span>${TITLE}</span></a>
    <div class="right">${themeToggle(draw)}</div>
  </header>`;
}

function connection() {
  const words = { connecting: "connecting", live: "live", lost: "offline" };
  return html`<span class="connection" data-status=${model.status}><i></i>${words[model.status]}</span>`;
}

function lost() {
  return html`<div role="alert" class="lost-place">
    ${model.status === "lost" ? silentServer(model.heardAt, standby) : nothing}
  </div>`;
}

/** On the other pages: that something on the network's page wants to be looked at. */
function trouble() {
  const count = model.alertCount;
  if (!count || place === "/") return nothing;
  const text = count === 1 ? model.alerts[0].text : `${count} things need a person now`;
  return html`<a class="elsewhere" href="#/">${icons.broken}<span>${text}</span></a>`;
}

function draw() {
  app.toggleAttribute("data-lost", model.status === "lost" && !door.isShut);
  if (door.isShut) {
    door.draw(app, TITLE, loginTop);
    return;
  }
  drawWithFocus(() => {
    render(shell(), app);
    view?.draw();
  });
  const count = model.alertCount;
  const mood = model.status === "lost" ? "lost" : count ? "alert" : "good";
  const title = view?.title ? `${view.title} · ${TITLE}` : TITLE;
  tell(model.status === "lost" ? `connection lost · ${title}` : title, mood, count);
}

function show({ path, View, section: belongsTo, id, query }) {
  if (place === "/" && view) scrolledNetwork = scrollY;
  view?.end();
  view = null;
  place = path;
  section = belongsTo;
  if (door.isShut) {
    draw();
    return;
  }
  render(shell(), app);
  const content = document.getElementById("content");
  const inside = document.createElement("div");
  content.replaceChildren(inside);
  view = new View(inside, model, { id, query });
  draw();
  scrollTo(0, View === NetworkView ? scrolledNetwork : 0);
}

function feedAddress() {
  const port = document.querySelector('meta[name="evd-feed-port"]').content;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.hostname}:${port}/feed`;
}

/** Follow the feed as the present reader. */
function follow() {
  if (feed) {
    feed.resume();
    return;
  }
  feed = followFeed(feedAddress(), {
    message: (message) => model.onMessage(message),
    status: onStatus,
    stranger: () => access.end(),
    ticket: () => (access.isLoggedIn ? post("/feed/ticket").then(({ ticket }) => ticket) : null),
  });
}

/** Told with each attempt that failed: a Central that stands by has no feed, and says why. */
async function onStatus(status) {
  model.onStatus(status);
  if (status !== "lost") return;
  standby = await get("/health").then(
    () => null,
    (failure) => (failure.code === "standing_by" ? failure.message : null),
  );
  draw();
}

function enter() {
  router.go();
  follow();
}

function leave() {
  feed?.pause();
  view?.end();
  view = null;
  model.clear();
}

model.listen(draw);
// What is shown since when grows older by itself.
setInterval(() => model.changed(), 1_000);
door.begin();
