// The browser's own notifications, while the page is open and another one is looked at.
import { newsInWords } from "/web/driver/words.js";

const KEY = "evd-notify";
const TAG = "evd-driver";

/** @returns {"unsupported" | "denied" | "on" | "off"} */
export function notifying() {
  if (!("Notification" in window) || !isSecureContext) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  return Notification.permission === "granted" && localStorage.getItem(KEY) === "on" ? "on" : "off";
}

/** Turn them on, for which the browser asks its user, or off. */
export async function turnNotifications() {
  if (notifying() === "on") {
    localStorage.setItem(KEY, "off");
  } else if ((await Notification.requestPermission()) === "granted") {
    localStorage.setItem(KEY, "on");
  }
}

/** Tell of news where nobody looks at the page. */
export async function notify(one) {
  if (notifying() !== "on" || (!document.hidden && document.hasFocus())) return;
  const { title, text } = newsInWords(one);
  const options = { body: text, tag: `${TAG}-${one.request_id}`, icon: "/web/driver/icon-192.png" };
  // On a phone only a service worker may show one.
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker?.active) await worker.showNotification(title, options);
  else new Notification(title, options);
}
