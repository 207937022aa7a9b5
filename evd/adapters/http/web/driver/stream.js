// The events of this driver, followed for as long as the page is open.
import { Renewed } from "/web/shared/renewed.js";

// An event comes at least every 5 s.
const SILENCE_MS_MAX = 12_000;

/** @typedef {import("/web/shared/renewed.js").Status} StreamStatus */

/**
 * Follow the events at `address`.
 * @param {object} hear
 * @param {(message: object) => void} hear.message
 * @param {(status: StreamStatus) => void} hear.status
 * @param {() => void} hear.failed it ended, or never began
 */
export function followEvents(address, hear) {
  const open = (link) => {
    const source = new EventSource(address);
    source.onmessage = ({ data }) => {
      if (!link.heard()) return;
      const message = JSON.parse(data);
      hear.message(message);
      if (message.type === "snapshot") link.live();
    };
    source.addEventListener("alive", link.heard);
    source.onerror = () => {
      link.lose();
      hear.failed();
    };
    return () => source.close();
  };
  return new Renewed({ open, status: hear.status, silenceMs: SILENCE_MS_MAX });
}
