// A connection to a status feed, renewed for as long as the page is open.
//
// `seq` rises by one with each message: a gap means that something was missed, and the connection is
// made anew.
import { Renewed } from "/web/shared/renewed.js";

// The server says something at least every 10 s; pages see no pings.
const SILENCE_MS_MAX = 25_000;
// The server's code for a reader that it does not know any more.
const STRANGER = 1008;

/** @typedef {import("/web/shared/renewed.js").Status} FeedStatus */

/**
 * Follow the feed at `address`, such as ws://host:8765/feed.
 * @param {object} hear
 * @param {(message: object) => void} hear.message
 * @param {(status: FeedStatus) => void} hear.status
 * @param {() => void} hear.stranger the server does not know its reader any more
 * @param {() => Promise<string> | null} hear.ticket gets what lets its reader in once, null where
 *   nothing is needed
 */
export function followFeed(address, hear) {
  const open = (link) => {
    let socket = null;
    let isLeft = false;
    const dial = (query) => {
      if (!isLeft) socket = listen(address + query, link, hear);
    };
    const asked = hear.ticket();
    if (asked === null) dial("");
    else asked.then((ticket) => dial(`?ticket=${encodeURIComponent(ticket)}`), link.lose);
    return () => {
      isLeft = true;
      socket?.close();
    };
  };
  return new Renewed({ open, status: hear.status, silenceMs: SILENCE_MS_MAX });
}

function listen(address, link, hear) {
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
  socket.onclose = ({ code }) => {
    if (code === STRANGER && link.heard()) hear.stranger();
    link.lose();
  };
  return socket;
}
