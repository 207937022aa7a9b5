// A connection to a status feed, renewed for as long as the page is open.
//
// `seq` rises by one with each message: a gap means that something was missed, and the connection is
// made anew.
import { Renewed } from "/web/shared/renewed.js";

// The server says something at least every 10 s; pages see no pings.
const SILENCE_MS_MAX = 25_000;

/** @typedef {import("/web/shared/renewed.js").Status} FeedStatus */

/**
 * Follow the feed at `address`, such as ws://host:8765/feed.
 * @param {{message: (message: object) => void, status: (status: FeedStatus) => void}} hear
 */
export function followFeed(address, hear) {
  const open = (link) => {
    const socket = new WebSocket(address);
    let seq = null;
    socket.onmessage = ({ data }) => {
      if (!link.heard()) return;
      const message = JSON.parse(data);
      const first = seq === null;
      if (first ? message.type !== "snapshot" : message.seq !== seq + 1) {
        link.lose();
        return;
      }
      seq = message.seq;
      hear.message(message);
      if (first) link.live();
    };
    socket.onclose = link.lose;
    return () => socket.close();
  };
  return new Renewed({ open, status: hear.status, silenceMs: SILENCE_MS_MAX });
}
