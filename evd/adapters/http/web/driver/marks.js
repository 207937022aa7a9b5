// Drawings of this page alone, of the same form as the shared ones.
import { icon } from "/web/shared/icons.js";

export const marks = {
  receipt: icon("M3 1h10v14l-2.5-1.5L8 15l-2.5-1.5L3 15Zm2.4 3v1.4h5.2V4Zm0 3v1.4h5.2V7Zm0 3v1.4h3.2V10Z"),
  bell: icon("M8 1a4.6 4.6 0 0 0-4.6 4.6V9L2 11.4v1h12v-1L12.6 9V5.6A4.6 4.6 0 0 0 8 1Zm-1.8 12.6a1.8 1.8 0 0 0 3.6 0Z"),
  place: icon("M8 1a5 5 0 0 0-5 5c0 3.6 5 9 5 9s5-5.4 5-9a5 5 0 0 0-5-5Zm0 3.2a1.9 1.9 0 1 1 0 3.8 1.9 1.9 0 0 1 0-3.8Z"),
  right: icon("M5.5 2.2 11.3 8l-5.8 5.8-1.1-1.1L9.1 8 4.4 3.3Z"),
};
