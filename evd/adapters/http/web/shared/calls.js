// Calls of the JSON API of the host that this page came from.
const ANSWER_MS_MAX = 20_000;
// A login that fails ends no session.
const LOGIN = "/auth/login";

let onStranger = () => {};

/** A call that failed; its message is a sentence for a person. */
export class CallFailed extends Error {
  /**
   * @param {number} status 0 where no answer came
   * @param {string | null} field
   * @param {number | null} retryS after so many seconds it may be tried again
   * @param {string | null} code the kind of refusal, for a program
   */
  constructor(sentence, status = 0, field = null, retryS = null, code = null) {
    super(sentence);
    this.status = status;
    this.field = field;
    this.retryS = retryS;
    this.code = code;
  }
}

/** Have `listener` told of each call that the server refuses because it knows no reader. */
export function whenStranger(/** @type {() => void} */ listener) {
  onStranger = listener;
}

/** A path with its query; parameters that are null or empty are left out, arrays repeated. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") query.append(name, each);
    }
  }
  return query.size ? `${path}?${query}` : path;
}

/** The JSON of a GET. Raises CallFailed, or AbortError once `signal` is aborted. */
export function get(path, parameters = {}, signal = undefined) {
  return call("GET", address(path, parameters), undefined, signal);
}

/** The JSON of a POST; without a body where there is none. */
export function post(path, body = undefined) {
  return call("POST", path, body);
}

export function remove(path) {
  return call("DELETE", path);
}

async function call(method, path, body = undefined, signal = undefined) {
  const late = AbortSignal.timeout(ANSWER_MS_MAX);
  const options = { method, signal: signal ? AbortSignal.any([signal, late]) : late };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let answer;
  let text;
  try {
    answer = await fetch(path, options);
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (late.aborted) throw new CallFailed(`No answer within ${ANSWER_MS_MAX / 1000} s.`);
    throw new CallFailed("The server can't be reached.");
  }
  const found = parsed(text);
  if (answer.ok) return found;
  if (answer.status === 401 && path !== LOGIN) onStranger();
  throw failureOf(answer, found);
}

function failureOf({ status, headers }, found) {
  const sentence = found?.error ?? `The server answered ${status}.`;
  const retry = headers.get("Retry-After");
  const retryS = retry === null ? null : Number(retry);
  return new CallFailed(sentence, status, found?.field ?? null, retryS, found?.code ?? null);
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
