// Times in the viewer's zone, UTC staying in the title; ages that go on.
"use strict";
(() => {
  const written = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  let ahead = 0; // of the server's clock over this one, milliseconds

  const span = (milliseconds) => {
    const seconds = Math.max(0, milliseconds / 1000);
    if (seconds < 1) return `${seconds.toFixed(1)} s`;
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    const hours = Math.floor(seconds / 3600);
    return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  };
  const age = (element) => {
    const text = span(Date.now() + ahead - Number(element.dataset.age));
    if (element.textContent !== text) element.textContent = text;
  };
  const localise = (root) => {
    for (const element of root.querySelectorAll("time[data-ms]")) {
      const milliseconds = Number(element.dataset.ms);
      if (Math.abs(milliseconds) <= 8.64e15) element.textContent = written.format(milliseconds);
    }
    for (const element of root.querySelectorAll("time[data-age]")) {
      ahead = Number(element.dataset.now) - Date.now();
      age(element);
    }
  };
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    ahead = 0;
    localise(event.detail.fragment);
  });
  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    setInterval(() => document.querySelectorAll("time[data-age]").forEach(age), 1000);
  });
})();
