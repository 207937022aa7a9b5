// Everything that the pages use of lit-html. A value in a template becomes text, never HTML.
export { html, svg, render, nothing } from "/web/vendor/lit-html/lit-html.js";
export { repeat } from "/web/vendor/lit-html/directives/repeat.js";
export { live } from "/web/vendor/lit-html/directives/live.js";
