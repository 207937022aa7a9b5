// The focus of who works by keyboard.

/** Draw, and leave the focus where it was: an element that is moved in the document loses it. */
export function drawWithFocus(/** @type {() => void} */ draw) {
  const held = document.activeElement;
  draw();
  if (document.activeElement === document.body && held?.isConnected) held.focus({ preventScroll: true });
}
