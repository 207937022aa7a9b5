// Kilowatts over the last minutes: what was heard, behind what is stored.
const SECONDS_MAX = 15 * 60;

const nowSecond = () => Math.floor(Date.now() / 1000);

export class PowerSeries {
  /** Since 1970, rising, one entry a second at the most. */
  seconds = [];
  /** null where nothing was heard. */
  kw = [];
  /** How often it began: what was missed before is to be filled in each time. */
  begun = 0;
  #beganAt = Infinity;

  /** From now on it is heard, for the `begun`th time. */
  begin(begun = this.begun + 1) {
    this.#beganAt = nowSecond();
    this.begun = begun;
  }

  /** From now on nothing is heard. */
  lose() {
    if (this.kw.at(-1) !== null && this.kw.length) this.note(null);
  }

  note(kilowatts) {
    const now = nowSecond();
    if (this.seconds.at(-1) !== now) this.seconds.push(now);
    this.kw[this.seconds.length - 1] = kilowatts;
    const old = this.seconds.findIndex((each) => each > now - SECONDS_MAX);
    if (old > 0) this.#drop(0, old);
  }

  /** Take what is stored in place of all from before it was heard. */
  fill(seconds, kilowatts) {
    const began = this.seconds.findIndex((each) => each >= this.#beganAt);
    this.#drop(0, began < 0 ? this.seconds.length : began);
    const later = seconds.findIndex((each) => each >= this.#beganAt);
    const count = later < 0 ? seconds.length : later;
    this.seconds.unshift(...seconds.slice(0, count));
    this.kw.unshift(...kilowatts.slice(0, count));
  }

  #drop(first, count) {
    this.seconds.splice(first, count);
    this.kw.splice(first, count);
  }
}
