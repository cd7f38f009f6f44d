// Designs an experiment while one types, and sends it to the HTTP interface when asked to.
"use strict";
(() => {
  const form = document.getElementById("design");
  if (!form) return;
  const at = (id) => document.getElementById(id);
  const count = new Intl.NumberFormat("en");
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
  let asked = 0;
  let request = null;

  const values = () => {
    const data = new FormData(form);
    data.delete("key");
    return new URLSearchParams(data);
  };

  // Axes, the curve, and where the design stands on it.
  const draw = (curve, units, power) => {
    const home = at("curve");
    const most = Math.max(...curve.map(([n]) => n));
    const x = (n) => 44 + (n / most) * 420, y = (p) => 168 - p * 150;
    const make = (kind, attributes, said) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      if (said !== undefined) made.textContent = said;
      return made;
    };
    const parts = [0, 0.5, 1].flatMap((p) => [
      make("line", { x1: 44, x2: 464, y1: y(p), y2: y(p), class: "grid" }),
      make("text", { x: 38, y: y(p) + 4, class: "tick", "text-anchor": "end" }, percent.format(p)),
    ]);
    const path = [[0, 0], ...curve].map(([n, p], i) => `${i ? "L" : "M"}${x(n).toFixed(1)} ${y(p).toFixed(1)}`).join("");
    parts.push(make("path", { d: path, class: "power" }));
    parts.push(make("line", { x1: x(units), x2: x(units), y1: 168, y2: y(power), class: "planned" }));
    parts.push(make("circle", { cx: x(units), cy: y(power), r: 5, class: "planned" }));
    parts.push(make("text", { x: x(units), y: 186, class: "tick", "text-anchor": "middle" }, count.format(units)));
    parts.push(make("text", { x: 464, y: 186, class: "tick", "text-anchor": "end" }, count.format(most)));
    home.replaceChildren(...parts);
  };

  const refuse = (error) => {
    request = null;
    at("refusal").textContent = error.message;
    at("refusal").hidden = false;
    for (const id of ["units", "total", "power", "days", "analysis"]) at(id).textContent = "–";
    at("curve").replaceChildren();
    for (const field of form.elements) {
      if (field.name) field.toggleAttribute("aria-invalid", field.name === error.field);
    }
  };

  const show = (found) => {
    request = found.request;
    at("refusal").hidden = true;
    for (const field of form.elements) field.removeAttribute("aria-invalid");
    at("units").textContent = found.sample_sizes.map((n) => count.format(n)).join(" + ");
    at("total").textContent = count.format(found.sample_size_total);
    at("power").textContent = percent.format(found.power);
    at("days").textContent = found.days === null ? "–" : `${count.format(found.days)} days`;
    at("analysis").textContent = `${found.analysis}, sized by ${found.method}`;
    draw(found.curve, found.sample_sizes[0], found.power);
  };

  const ask = async () => {
    const turn = ++asked;
    try {
      const response = await fetch(`${form.dataset.design}?${values()}`);
      const found = await response.json();
      if (turn !== asked) return;
      if (found.error) refuse(found.error);
      else show(found);
    } catch (error) {
      if (turn === asked) refuse({ message: `The server does not answer: ${error.message}` });
    }
    form.dataset.asked = turn;
  };

  let waiting = 0;
  form.addEventListener("input", (event) => {
    at("answer").textContent = "";
    if (event.target.name === "key") return;
    clearTimeout(waiting);
    waiting = setTimeout(ask, 120);
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    await ask();
    if (!request) return;
    const name = form.elements.name.value, key = form.elements.key.value;
    const headers = { "content-type": "application/json" };
    if (key) headers.authorization = `Bearer ${key}`;
    const answer = at("answer");
    answer.className = "";
    try {
      const response = await fetch(form.dataset.define + encodeURIComponent(name), {
        method: "PUT", headers, credentials: "omit", body: JSON.stringify(request),
      });
      const said = (response.headers.get("content-type") || "").includes("json") ? await response.json() : {};
      if (response.ok) {
        answer.textContent = `Defined as a draft, version ${said.definition.version}. `;
        const link = answer.appendChild(document.createElement("a"));
        link.href = form.dataset.show + encodeURIComponent(name);
        link.textContent = "See its page";
        return;
      }
      answer.className = "alarm";
      answer.textContent = said.error ? said.error.message : `No service takes experiments here (${response.status}).`;
    } catch (error) {
      answer.className = "alarm";
      answer.textContent = `The service does not answer: ${error.message}`;
    }
  });

  ask();
})();
