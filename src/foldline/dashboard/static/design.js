// Designs an experiment while one types, shows each refusal at its field, and sends the request when asked to.
"use strict";
(() => {
  const form = document.getElementById("design");
  if (!form) return;
  const at = (id) => document.getElementById(id);
  const count = new Intl.NumberFormat("en");
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 2 });
  const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
  const settled = form.dataset.settled.split(" ");
  const loops = JSON.parse(form.dataset.loops);
  const facts = ["units", "effect", "power", "alpha", "days", "analysis"];
  const solvable = { alpha: "alpha", power: "power", effect: "goal.effect", sample_size: "sample_size" };
  let asked = 0, request = null, loop = form.elements.loop.value;

  const controls = () => [...form.elements].filter((each) => each.name && each.name !== "key");
  const values = () => {
    const data = new URLSearchParams();
    for (const each of controls()) if (!each.disabled && each.value.trim()) data.append(each.name, each.value);
    return data;
  };

  // A field that does not apply is hidden and not sent: `data-when` names another and the values with which it does.
  const applies = (rule) => {
    const [name, ...wanted] = rule.split(" ");
    const value = form.elements[name].value.trim();
    if (wanted[0] === "learns") return value !== "" && !settled.includes(value.split(":")[0]);
    return wanted.includes(value);
  };
  const arrange = () => {
    for (const each of form.querySelectorAll("[data-when]")) each.hidden = !applies(each.dataset.when);
    for (const each of controls()) each.disabled = each.closest("[data-when][hidden]") !== null;
    const entries = at("variants").children;
    for (const each of entries) for (const button of each.querySelectorAll("[data-remove]")) button.hidden = entries.length < 3;
  };

  // Entries of a list count up without gaps, so that a refusal's place is the entry's.
  const recount = (list) => {
    [...list.children].forEach((entry, i) => {
      for (const each of entry.querySelectorAll("*")) {
        for (const name of ["name", "id", "aria-describedby", "data-when"]) {
          const value = each.getAttribute(name);
          if (value) each.setAttribute(name, value.replaceAll(/(variants|guardrails)\[(#|\d+)\]/g, `$1[${i}]`));
        }
      }
    });
  };
  const add = (name) => {
    const list = at(name);
    list.append(at(`${name}-entry`).content.cloneNode(true));
    recount(list);
    const entry = list.lastElementChild;
    if (name === "variants") {
      entry.querySelector("[name$=key]").value = `challenger-${list.children.length - 1}`;
      entry.querySelector("[name$=policy]").value = fixed(list.children.length - 1);
    }
    arrange();
    return entry;
  };

  const fixed = (i) => {
    const { actions } = loops[loop];
    return `fixed:action=${actions[Math.min(i, actions.length - 1)] ?? ""}`;
  };
  const suggest = () => {
    at("policies").replaceChildren(...loops[loop].policies.map((each) => new Option(each, each)));
  };
  const follow = () => {
    const old = loops[loop];
    loop = form.elements.loop.value;
    suggest();
    if (form.elements["goal.name"].value === old.reward) form.elements["goal.name"].value = loops[loop].reward;
    form.querySelectorAll("[name^=variants][name$=policy]").forEach((each, i) => {
      const [kind, action] = each.value.split(":action=");
      if (kind === "fixed" && !loops[loop].actions.includes(action)) each.value = fixed(i);
    });
  };

  // Axes, the curve, and where the design stands on it.
  const draw = (curve, units, power) => {
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
    at("curve").replaceChildren(...parts);
    at("curve").setAttribute("aria-label", `Power by units of the control: ${percent.format(power)} with ${count.format(units)}`);
  };

  // The control that shows a field: its own, that of what it is a part of, or the first of its parts.
  const shown = (field) => {
    const all = controls();
    for (let name = field ?? ""; name; name = name.replace(/(\.?\w+|\[\d+\])$/, "")) {
      const found = all.find((each) => each.name === name) ?? all.find((each) => each.name.startsWith(name) && /^[.[]/.test(each.name.slice(name.length)));
      if (found) return found;
    }
    return null;
  };
  const clear = () => {
    at("refusals").hidden = true;
    for (const each of controls()) {
      each.removeAttribute("aria-invalid");
      at(`${each.name}-fault`).hidden = true;
    }
  };
  const refuse = (errors) => {
    request = null;
    clear();
    const lines = errors.map((error) => {
      const line = document.createElement("li");
      const control = shown(error.field);
      line.textContent = error.message;
      if (!control) return line;
      control.setAttribute("aria-invalid", "true");
      const fault = at(`${control.name}-fault`);
      fault.textContent = error.message;
      fault.hidden = false;
      for (let each = control.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
      const link = document.createElement("a");
      link.href = `#${fault.id}`;
      link.textContent = control.labels[0].firstChild.textContent.trim();
      link.addEventListener("click", (event) => { event.preventDefault(); control.focus(); });
      line.prepend(link, ": ");
      return line;
    });
    at("refusals").replaceChildren(...lines);
    at("refusals").hidden = false;
    for (const id of facts) at(id).textContent = "–";
    for (const id of ["figure", "file"]) at(id).hidden = true;
    for (const field of Object.values(solvable)) form.elements[field].placeholder = "follows";
  };

  const say = (id, text, more) => {
    const unit = document.createElement("span");
    unit.className = "unit";
    unit.textContent = more;
    at(id).replaceChildren(text, unit);
  };
  const span = (seconds) => (seconds < 120 ? `${number.format(seconds)} s` : seconds < 7200 ? `${number.format(seconds / 60)} min` : `${number.format(seconds / 3600)} h`);
  const show = (found) => {
    request = found.request;
    clear();
    const name = form.elements.name.value;
    say("units", found.sample_sizes.map((n) => count.format(n)).join(" + "), `${count.format(found.sample_size_total)} in all`);
    say("effect", number.format(found.effect), found.effect_relative === null ? "" : `${percent.format(found.effect_relative)} of the baseline`);
    const exact = found.exact_power === null ? "" : `exactly ${percent.format(found.exact_power)} by this test`;
    const peeked = found.power_always_valid;
    say("power", percent.format(peeked ?? found.power), peeked === null ? exact : `by the planned sample; ${percent.format(found.power)} in one look`);
    say("alpha", number.format(found.alpha), found.sample_sizes.length > 2 ? `${number.format(found.alpha_per_comparison)} a comparison` : "");
    if (found.days !== null) say("days", `${count.format(found.days)} days`, found.wait_s ? `and ${span(found.wait_s)} until the last have matured` : "");
    else at("days").textContent = "–";
    const sides = found.alternative === "two_sided" ? "" : ", one-sided";
    const margin = found.margin === null ? "" : `, margin ${number.format(found.margin)}`;
    say("analysis", `${found.analysis}${sides}`, `sized by ${found.method}${margin}`);
    for (const id of ["figure", "file"]) at(id).hidden = false;
    for (const [solved, field] of Object.entries(solvable)) {
      const value = solved === "sample_size" ? found.sample_sizes[0] : found[solved];
      form.elements[field].placeholder = found.solved === solved ? `= ${number.format(Math.abs(value))}` : "follows";
    }
    const { loop: of, ...settings } = request;
    at("request").textContent = JSON.stringify(settings, null, 2);
    at("command").textContent = `foldline experiments create ${name} ${name}.json --loop ${of}`;
    draw(found.curve, found.sample_sizes[0], peeked ?? found.power);
  };

  const ask = async () => {
    const turn = ++asked, given = values();
    history.replaceState(null, "", `?${given}`);
    try {
      const response = await fetch(`${form.dataset.design}?${given}`);
      const found = await response.json();
      if (turn !== asked) return;
      if (found.errors) refuse(found.errors);
      else show(found);
    } catch (error) {
      if (turn === asked) refuse([{ message: `The server does not answer: ${error.message}` }]);
    }
    form.dataset.asked = turn;
  };

  let waiting = 0;
  const changed = () => {
    at("answer").textContent = "";
    clearTimeout(waiting);
    waiting = setTimeout(ask, 120);
  };
  form.addEventListener("input", (event) => {
    if (event.target.name === "key") return;
    if (event.target.name === "loop") follow();
    arrange();
    changed();
  });
  form.addEventListener("click", (event) => {
    const { add: list, remove } = event.target.dataset;
    if (list) {
      add(list).querySelector("input").focus();
      changed();
    } else if (remove !== undefined) {
      const entries = event.target.closest(".entries");
      event.target.closest(".entry").remove();
      recount(entries);
      arrange();
      form.querySelector(`[data-add=${entries.id}]`).focus();
      changed();
    }
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    await ask();
    if (!request) {
      form.querySelector("[aria-invalid]")?.focus();
      return;
    }
    const name = form.elements.name.value.trim(), key = form.elements.key.value;
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

  // An address holds a design: what it names is filled in, entries of lists added as needed.
  const fill = (given) => {
    if (loops[given.get("loop")]) form.elements.loop.value = given.get("loop");
    follow();
    for (const [name, value] of given) {
      const [, list, i] = name.match(/^(variants|guardrails)\[(\d{1,2})\]/) ?? [];
      while (list && at(list).children.length <= Number(i)) add(list);
      const control = controls().find((each) => each.name === name);
      if (control) control.value = value;
    }
    // What was left empty to be solved for.
    if (given.has("name")) for (const field of Object.values(solvable)) if (!given.has(field)) form.elements[field].value = "";
  };

  suggest();
  fill(new URLSearchParams(location.search));
  arrange();
  ask();
})();
