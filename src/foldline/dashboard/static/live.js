// Told by the server that something changed, the page asks for itself again (htmx takes its parts, plots their JSON).
// While nobody sees the page, or it is paused, the connection is closed.
"use strict";
(() => {
  const url = document.body.dataset.live;
  const button = document.getElementById("live");
  if (!url || !button) return;
  const word = button.querySelector(".word");
  let seen = document.body.dataset.seen; // the version of what the page shows
  let source = null;
  let paused = false;

  const show = (state, text, title) => {
    button.dataset.state = state;
    word.textContent = text;
    button.title = title;
    button.setAttribute("aria-pressed", String(paused));
  };
  const close = () => {
    if (source) source.close();
    source = null;
  };
  const open = () => {
    close();
    if (paused || document.hidden) return;
    show("waiting", "Connecting", "Waiting for the server");
    source = new EventSource(url);
    source.onopen = () => show("live", "Live", "Changes appear by themselves; press to pause");
    source.onerror = () => {
      show("waiting", "Reconnecting", "The server does not answer; the page tries again");
      if (source && source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    };
    source.addEventListener("changed", (event) => {
      if (event.data === seen) return;
      seen = event.data;
      document.body.dispatchEvent(new CustomEvent("changed"));
    });
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    if (!paused) return open();
    close();
    show("paused", "Paused", "The page stays as it is; press to go on");
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
})();
