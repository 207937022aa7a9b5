// When something that the API tells is asked for again: the feed says that it has grown.

// A busy network would be asked all the time.
const AGAIN_MS = 2_000;

export class Following {
  #leastMs;
  #sign = null;
  #askedAt = -Infinity;

  constructor(leastMs = AGAIN_MS) {
    this.#leastMs = leastMs;
  }

  /** Whether to ask now; `sign` changes where there may be more, and is null while that is not known. */
  isDue(/** @type {string | null} */ sign) {
    this.#sign ??= sign;
    if (sign === this.#sign || performance.now() - this.#askedAt < this.#leastMs) return false;
    this.#sign = sign;
    this.asked();
    return true;
  }

  /** It was asked for just now. */
  asked() {
    this.#askedAt = performance.now();
  }

  /** The answer was of no use: ask once more. */
  askAgain() {
    this.#sign = "";
  }
}
