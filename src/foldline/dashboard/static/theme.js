// Light or dark: as the system says, until the viewer says otherwise. Runs before the page is drawn.
"use strict";
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const read = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const write = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* kept for this page only */ } };
  let chosen = read();

  const dark = () => (chosen ? chosen === "dark" : system.matches);
  const apply = () => {
    root.dataset.theme = dark() ? "dark" : "light";
    const button = document.getElementById("theme");
    if (button) {
      button.hidden = false;
      button.querySelector(".word").textContent = dark() ? "Light" : "Dark";
      button.title = `Change to ${dark() ? "light" : "dark"} colours`;
    }
    root.dispatchEvent(new CustomEvent("themed"));
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      chosen = dark() ? "light" : "dark";
      write(chosen);
      apply();
    });
  });
})();
