// Where the page begins: the stream fills the model, the address chooses the view.
import { html, nothing, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { get } from "/web/shared/calls.js";
import { Door } from "/web/shared/door.js";
import { tell } from "/web/shared/favicon.js";
import { drawWithFocus } from "/web/shared/focus.js";
import { icons } from "/web/shared/icons.js";
import { connectionLost, silentServer } from "/web/shared/lost.js";
import { Router } from "/web/shared/router.js";
import { themeToggle } from "/web/shared/theme_toggle.js";
import { toast } from "/web/shared/toasts.js";
import { Actions } from "/web/driver/actions.js";
import { ChargeView } from "/web/driver/charge_view.js";
import { HistoryView } from "/web/driver/history_view.js";
import { marks } from "/web/driver/marks.js";
import { DriverModel } from "/web/driver/model.js";
import { NewsView } from "/web/driver/news_view.js";
import { notify } from "/web/driver/notify.js";
import { keepFiles } from "/web/driver/offline.js";
import { PointView } from "/web/driver/point_view.js";
import { SessionView } from "/web/driver/session_view.js";
import { followEvents } from "/web/driver/stream.js";
import { newsInWords } from "/web/driver/words.js";

const TITLE = "EV charging";
const ROUTES = [
  [/^\/$/, ChargeView, "/"],
  [/^\/cp\/([^/?]+)$/, PointView, "/"],
  [/^\/history$/, HistoryView, "/history"],
  [/^\/session\/([^/?]+)$/, SessionView, "/history"],
  [/^\/news$/, NewsView, "/news"],
];
const TABS = [
  ["/", "Charge", icons.bolt],
  ["/history", "History", marks.receipt],
  ["/news", "Notifications", marks.bell],
];
const SECOND_MS = 1_000;

const driverId = document.querySelector('meta[name="evd-driver-id"]').content;
const model = new DriverModel(driverId);
const actions = new Actions(model);
const door = new Door({ enter, leave, draw }, driverId);
const router = new Router(ROUTES, show);
const app = document.getElementById("app");
app.replaceChildren();

let view = null;
let section = "/";
let drawing = false;
let events = null;

function shell() {
  return html`<header class="top">
      <a class="brand" href="#/"><span class="logo">${icons.bolt}</span><span>${TITLE}</span></a>
      <nav class="tabs" aria-label="Pages">${TABS.map(tab)}</nav>
      <div class="right"><span class="who">${model.driverId}</span>${door.account()}${themeToggle(draw)}</div>
    </header>
    ${warning()}
    <main id="content" tabindex="-1"></main>`;
}

function loginTop(back) {
  return html`<header class="top">
    <a class="brand" href="#/" @click=${back}><span class="logo">${icons.bolt}</span><span>${TITLE}</span></a>
    <div class="right"><span class="who">${model.driverId}</span>${themeToggle(draw)}</div>
  </header>`;
}

function tab([path, name, icon]) {
  const count = path === "/news" && model.unread > 0 ? model.unread : 0;
  const badge = count
    ? html`<span class="badge"><span aria-hidden="true">${count}</span><span class="unseen">${count} new</span></span>`
    : nothing;
  return html`<a href="#${path}" aria-current=${section === path ? "page" : "false"}>
    <span class="mark">${icon}${badge}</span><span>${name}</span>
  </a>`;
}

/** The words that a test and a screen reader wait for, with their reason. */
function warning() {
  return html`<div role="alert" class="warnings">${warningText()}</div>`;
}

function warningText() {
  if (model.status === "lost") return silentServer(model.heardAt);
  const why = model.lost ?? model.trouble;
  if (why === null) return nothing;
  return connectionLost(`${why}.${model.current ? " Your session goes on." : ""}`);
}

function draw() {
  drawing = false;
  if (door.isShut) {
    door.draw(app, TITLE, loginTop);
    return;
  }
  drawWithFocus(() => {
    render(shell(), app);
    view?.draw(document.getElementById("content"));
  });
  const session = model.current;
  const title = session ? `Charging at ${session.cp_id} – ${TITLE}` : TITLE;
  const isLost = model.status === "lost" || model.lost !== null;
  tell(isLost ? `connection lost – ${title}` : title, isLost ? "lost" : "good", model.unread);
}

/** Draw soon, once, however much changes. */
function changed() {
  if (drawing) return;
  drawing = true;
  // A page in the background is given no frame, but its title tells of news.
  if (document.hidden) queueMicrotask(draw);
  else requestAnimationFrame(draw);
}

function show({ View, section: belongsTo, id }) {
  view?.end();
  view = null;
  section = belongsTo;
  if (door.isShut) {
    draw();
    return;
  }
  view = new View(model, { actions, changed, id });
  if (section === "/news") model.unread = 0;
  draw();
  scrollTo(0, 0);
}

model.onNews = (fresh) => {
  for (const one of [...fresh].reverse()) {
    const { title, text, kind } = newsInWords(one);
    // The first page has a card for it.
    if (!document.hidden && section !== "/") toast(`${title}. ${text}`, kind);
    notify(one);
  }
  if (section === "/news" && !document.hidden) model.unread = 0;
};

function follow() {
  if (events) {
    events.resume();
    return;
  }
  events = followEvents(actions.path("/events"), {
    message(message) {
      model.take(message);
      changed();
    },
    status(status) {
      model.status = status;
      changed();
    },
    // A browser does not say why it was refused: another call finds out whether a login is needed.
    failed() {
      if (access.isLoggedIn) get(actions.path("/sessions/current")).catch(() => {});
    },
  });
}

function enter() {
  router.go();
  follow();
}

function leave() {
  events?.pause();
  view?.end();
  view = null;
  model.clear();
}

door.begin();
// How long a session has run counts on by itself.
setInterval(() => model.current && !document.hidden && changed(), SECOND_MS);
addEventListener("load", keepFiles);
