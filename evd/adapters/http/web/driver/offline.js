// Has the service worker keep the page's own files.
const CACHE = "evd-driver-1";

export async function keepFiles() {
  const { serviceWorker } = navigator;
  // Browsers have it for pages by https, or from this machine.
  if (!serviceWorker) return;
  try {
    await serviceWorker.register("/service_worker.js");
    if (serviceWorker.controller) return;
    // The first visit: the files were loaded before the service worker could keep them.
    const loaded = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
    const files = loaded.filter((path) => path.startsWith("/web/"));
    await (await caches.open(CACHE)).addAll(["/", ...new Set(files)]);
  } catch {
    // The page works without it, as long as there is a network.
  }
}
