// Loaded in the head before anything is drawn, so that a reader's own theme never flashes.
const chosen = localStorage.getItem("evd-theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
