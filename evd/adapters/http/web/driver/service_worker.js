// Keeps the page's own files, so that it opens without a network and says 'connection lost'. The
// network comes first: what is kept is shown only where it does not answer. No call of the API is
// kept: an old charging point or bill must not look like a new one.
const CACHE = "evd-driver-1";
// A server that says nothing for so long is taken for one that does not answer.
const SILENT_MS_MAX = 4_000;
// A page whose first file was a kept one takes the others as they were kept with it.
const KEPT_MS = 20_000;

let keptUntil = 0;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(begin()));
self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  const own = origin === self.location.origin && event.request.method === "GET";
  if (own && (pathname === "/" || pathname.startsWith("/web/"))) {
    event.respondWith(fresh(event.request));
  }
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show());
});

async function begin() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function fresh(request) {
  const cache = await caches.open(CACHE);
  // The page asks so for what holds now, and not for what was kept.
  const kept = request.cache === "no-store" ? null : await cache.match(request);
  if (kept && request.mode !== "navigate" && Date.now() < keptUntil) return kept;
  try {
    const answer = await fetch(request, kept ? { signal: AbortSignal.timeout(SILENT_MS_MAX) } : {});
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch (error) {
    if (!kept) throw error;
    keptUntil = Date.now() + KEPT_MS;
    return kept;
  }
}

async function show() {
  const [open] = await self.clients.matchAll({ type: "window" });
  return open ? open.focus() : self.clients.openWindow("/");
}
