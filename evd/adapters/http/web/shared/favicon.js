// The icon and the title of the tab, which tell of trouble while another tab is looked at.
const COLOURS = { good: "#2f9e63", alert: "#dd4a40", lost: "#7a8594" };

let drawn = "";

/**
 * @param {string} title
 * @param {"good" | "alert" | "lost"} mood
 * @param {number} count shown in the title and as a mark on the icon, where there is any
 */
export function tell(title, mood, count = 0) {
  const text = count > 0 ? `(${count}) ${title}` : title;
  if (document.title !== text) document.title = text;
  if (drawn === mood) return;
  drawn = mood;
  const mark =
    mood === "alert"
      ? '<circle cx="25" cy="8" r="7" fill="#fff"/><circle cx="25" cy="8" r="5.4" fill="#dd4a40"/>'
      : "";
  const image =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">' +
    `<rect width="32" height="32" rx="8" fill="${COLOURS[mood]}"/>` +
    `<path d="M18.5 4 8 18h6.4L13 28l11-14h-7Z" fill="#fff"/>${mark}</svg>`;
  link().href = `data:image/svg+xml,${encodeURIComponent(image)}`;
}

function link() {
  let found = document.querySelector('link[rel="icon"]');
  if (!found) {
    found = document.createElement("link");
    found.rel = "icon";
    document.head.append(found);
  }
  return found;
}
