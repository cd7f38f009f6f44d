// Draws the plots of a loop's or an experiment's page from its series, and draws them again when it has changed.
"use strict";
(() => {
  const home = document.getElementById("plots");
  if (!home) return;
  const DASHES = ["solid", "dashed", "dotted", [9, 3, 2, 3], [14, 4], [2, 5]];
  const LABEL = 14; // least distance of two labels, pixels
  const charts = new Map();
  let series = null;

  const text = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const number = (value) => (value === null || value === undefined || Number.isNaN(value) ? "–" : text.format(value));
  const rough = (value) => (value === null || value === undefined ? "–" : short.format(value));
  const units = (value) => (value === null || value === undefined ? "–" : whole.format(value));
  const share = (value) => (value === null || value === undefined ? "–" : percent.format(value));
  const brief = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    return {
      text: of("--text"), muted: of("--muted"), line: of("--line"), faint: of("--faint"), surface: of("--surface"),
      accent: of("--accent"), other: of("--other"), actions: [1, 2, 3, 4, 5, 6].map((n) => of(`--action-${n}`)),
      font: getComputedStyle(document.body).fontFamily,
    };
  };

  // One line: name, points of [time, value], and how it is drawn.
  const line = (name, points, colour, more = {}) => ({
    type: "line", name, data: points, symbol: "none", silent: true, animation: false, connectNulls: false,
    lineStyle: { color: colour, width: 2, ...more.lineStyle }, itemStyle: { color: colour }, ...more.rest,
  });
  const pairs = (values) => series.times.map((time, i) => [time, values[i] ?? null]);
  const label = (c, said) => ({
    endLabel: { show: true, formatter: () => said, color: c.text, fontSize: 12, distance: 6 }, said,
  });

  const kinds = {
    average(c) {
      const last = (values) => rough(values[values.length - 1]);
      return {
        lines: [
          line("recent", pairs(series.recent), c.other, { lineStyle: { width: 1.5 } }),
          line("baseline", pairs(series.baseline), c.muted, {
            lineStyle: { type: "dashed" }, rest: label(c, `baseline ${last(series.baseline)}`) }),
          line("average", pairs(series.average), c.accent, {
            lineStyle: { width: 3 }, rest: label(c, `average ${last(series.average)}`) }),
        ],
        range: spread([...settled(series.average, 0.1), ...settled(series.baseline, 0.1), ...settled(series.recent, 0.3)]),
        write: number,
      };
    },
    estimates(c) {
      const drawn = series.actions.filter((action) => action.means.length);
      const lines = [];
      for (const action of drawn.filter((each) => !each.lows.length)) {
        lines.push(line(action.action, pairs(action.means), c.other, { lineStyle: { width: 1 } }));
      }
      const values = drawn.flatMap((action) => settled(action.means, 0.3));
      const limits = drawn.filter((each) => each.lows.length).flatMap((action) => [action.low, action.high])
        .filter((value) => value !== null);
      values.sort((a, b) => a - b);
      const usual = values.slice(Math.floor(values.length / 50), Math.ceil(values.length * 0.98));
      const range = spread([...usual, ...limits]);
      drawn.filter((each) => each.lows.length).forEach((action, i) => {
        lines.push(...band(action, c.actions[i], (range.max - range.min) / 2));
        lines.push(line(action.action, pairs(action.means), c.actions[i], {
          lineStyle: { type: DASHES[i] }, rest: label(c, `${brief(action.action, 13)} ${rough(action.mean)}`) }));
      });
      return { lines, range, write: number };
    },
    shares(c) {
      const shown = series.actions.filter((action) => action.shares.length);
      const rest = series.times.map((_, i) => {
        const known = shown.map((action) => action.shares[i]);
        return known.every((value) => value === null) ? null : Math.max(0, 1 - known.reduce((a, b) => a + (b ?? 0), 0));
      });
      const layers = shown.map((action, i) => [action.action, action.shares, c.actions[i]]);
      if (series.actions.length > shown.length) layers.push(["others", rest, c.other]);
      const lines = layers.map(([name, values, colour]) => line(name, pairs(smooth(values)), colour, {
        lineStyle: { width: 1, color: c.surface },
        rest: { stack: "all", areaStyle: { color: colour, opacity: 0.85 },
                ...(recent(values) >= 0.015 ? label(c, `${brief(name, 13)} ${share(recent(values))}`) : {}) } }));
      return { lines, range: { min: 0, max: 1, interval: 0.25 }, write: share, stacked: true };
    },
    rate(c) {
      const now = recent(series.rate);
      return {
        lines: [line("events per second", pairs(series.rate), c.accent, {
          rest: { step: "end", areaStyle: { color: c.accent, opacity: 0.15 }, ...label(c, `${rough(now)} per s`) } })],
        range: spread([0, ...settled(series.rate, 0)]),
        write: number,
      };
    },
  };

  Object.assign(kinds, {
    effect(c) {
      const lines = [line("no difference", series.times.map((time) => [time, 0]), c.muted, {
        lineStyle: { type: "dashed", width: 1 } })];
      const limits = series.effects.flatMap((each) => [...settled(each.lows, 0.3), ...settled(each.highs, 0.3)]);
      const range = spread([0, ...limits]);
      series.effects.forEach((each, i) => {
        const colour = c.actions[i % c.actions.length];
        lines.push(...band(each, colour, (range.max - range.min) || 0));
        lines.push(line(each.action, pairs(each.means), colour, {
          lineStyle: { type: DASHES[i % DASHES.length] },
          rest: label(c, `${brief(each.action, 13)} ${rough(recent(each.means))}`) }));
      });
      return { lines, range, write: number };
    },
    units(c) {
      const lines = [];
      series.units.forEach((each, i) => {
        const colour = i ? c.actions[(i - 1) % c.actions.length] : c.muted;
        lines.push(line(each.action, pairs(each.matured), colour, {
          lineStyle: { type: DASHES[i % DASHES.length] },
          rest: label(c, `${brief(each.action, 13)} ${units(recent(each.matured))}`) }));
      });
      const planned = [...new Set(series.units.map((each) => each.planned))];
      for (const size of planned) {
        lines.push(line("planned", series.times.map((time) => [time, size]), c.muted, {
          lineStyle: { type: "dashed", width: 1 }, rest: label(c, `planned ${units(size)}`) }));
      }
      return { lines, range: spread([0, ...planned, ...series.units.flatMap((each) => settled(each.matured, 0))]), write: units };
    },
  });

  // One line a partition, over all partitions' times.
  const byPartition = (c, column, write) => {
    const lines = series.partitions.map((each, i) => line(each.action, pairs(each[column]), c.actions[i % c.actions.length], {
      lineStyle: { type: DASHES[Math.floor(i / c.actions.length) % DASHES.length], width: 1.5 },
      rest: { connectNulls: true, ...(i < 6 ? label(c, `${each.action.replace("partition ", "p")} ${write(recent(each[column]))}`) : {}) } }));
    return { lines, range: spread(series.partitions.flatMap((each) => settled(each[column], 0.05))), write };
  };
  Object.assign(kinds, {
    window: (c) => byPartition(c, "first", number),
    ranking: (c) => byPartition(c, "roc_auc", number),
  });

  // A 95 % band: an invisible line at the lower limit, and the distance to the upper stacked upon it. Where it is
  // wider than `most` it says nothing, and would only cover the others.
  const band = (action, colour, most) => {
    const width = action.highs.map((high, i) => {
      const wide = high === null || action.lows[i] === null ? null : high - action.lows[i];
      return wide !== null && wide <= most ? wide : null;
    });
    const lows = action.lows.map((low, i) => (width[i] === null ? null : low));
    const hidden = { lineStyle: { opacity: 0, width: 0 } };
    const stack = { stack: `band ${action.action}`, stackStrategy: "all", tooltip: { show: false } };
    return [
      line("", pairs(lows), colour, { ...hidden, rest: stack }),
      line("", pairs(width), colour, { ...hidden, rest: { ...stack, areaStyle: { color: colour, opacity: 0.13 } } }),
    ];
  };
  const recent = (values) => values.findLast((value) => value !== null) ?? null;
  // What is left once the wild beginning has passed: it would squeeze the rest into a line.
  const settled = (values, from) => values.slice(Math.floor(values.length * from)).filter((value) => value !== null);
  // The range of some values in round steps.
  const spread = (values) => {
    if (!values.length) return {};
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    const rough = (high - low || Math.abs(high) || 1) / 4;
    const ten = 10 ** Math.floor(Math.log10(rough));
    const interval = [1, 2, 2.5, 5, 10].map((each) => each * ten).find((each) => each >= rough * 0.999);
    const at = (steps) => Number((steps * interval).toPrecision(8));
    return { min: at(Math.floor(low / interval)), max: at(Math.ceil(high / interval)), interval };
  };
  // Shares over three spans, so that few decisions a span do not flicker.
  const smooth = (values) => values.map((value, i) => {
    const near = values.slice(Math.max(0, i - 1), i + 2).filter((each) => each !== null);
    return value === null ? null : near.reduce((a, b) => a + b, 0) / near.length;
  });

  const tooltip = (kind, plot, items) => {
    const box = document.createElement("div");
    box.className = "tip";
    const head = box.appendChild(document.createElement("strong"));
    head.textContent = items.length ? clock.format(items[0].value[0]) : "";
    const named = items.filter((item) => item.seriesName && item.value[1] !== null);
    if (kind !== "shares") named.sort((a, b) => b.value[1] - a.value[1]);
    for (const item of named.slice(0, 8)) {
      const row = box.appendChild(document.createElement("div"));
      const key = row.appendChild(document.createElement("span"));
      key.className = "key";
      key.style.background = item.color;
      row.appendChild(document.createElement("span")).textContent = brief(item.seriesName, 28);
      row.appendChild(document.createElement("b")).textContent = plot.write(item.value[1]);
    }
    if (named.length > 8) box.appendChild(document.createElement("div")).textContent = `and ${named.length - 8} more`;
    return box;
  };

  // What the labels at the lines' ends take, at most two fifths of the plot.
  const margin = (plot, c, width) => {
    const pen = (margin.pen ??= document.createElement("canvas").getContext("2d"));
    pen.font = `12px ${c.font}`;
    const widest = Math.max(0, ...plot.lines.map((each) => (each.said ? pen.measureText(each.said).width : 0)));
    return Math.min(Math.ceil(widest) + 12, width * 0.42);
  };

  const option = (kind, plot, c, width) => ({
    animation: false,
    textStyle: { fontFamily: c.font, color: c.text },
    grid: { left: 8, right: margin(plot, c, width), top: 14, bottom: 8, containLabel: true },
    xAxis: {
      type: "time", splitNumber: width < 480 ? 2 : 4, axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false },
      axisLabel: { color: c.muted, hideOverlap: true, fontSize: 12 }, splitLine: { show: false },
      min: series.times[0], max: series.times[series.times.length - 1],
    },
    yAxis: {
      type: "value", scale: true, splitNumber: 4, ...plot.range, axisLabel: { color: c.muted, fontSize: 12,
        formatter: (value) => (kind === "shares" ? share(value) : number(value)) },
      splitLine: { lineStyle: { color: c.faint } },
    },
    tooltip: {
      trigger: "axis", confine: true, transitionDuration: 0, padding: 0, borderWidth: 0, extraCssText: "",
      axisPointer: { type: "line", animation: false, lineStyle: { color: c.muted, type: "solid", width: 1 } },
      backgroundColor: "transparent", formatter: (items) => tooltip(kind, plot, items),
    },
    series: plot.lines,
  });

  // Labels at the lines' ends, pushed apart where they would stand on each other.
  const place = (chart, plot) => {
    let below = 0;
    const ends = [];
    plot.lines.forEach((each, index) => {
      const value = [...each.data].reverse().find((pair) => pair[1] !== null);
      if (!each.endLabel || !value) return;
      const middle = plot.stacked ? below + value[1] / 2 : value[1];
      const own = plot.stacked ? below + value[1] : value[1];
      below += value[1];
      const [own_y, y] = [own, middle].map((at) => chart.convertToPixel({ yAxisIndex: 0 }, at));
      ends.push({ index, own: own_y, y });
    });
    ends.sort((a, b) => a.y - b.y);
    const height = chart.getHeight();
    ends.forEach((end, i) => { end.y = Math.max(end.y, i ? ends[i - 1].y + LABEL : 10); });
    for (let i = ends.length - 1, floor = height - 30; i >= 0; i -= 1, floor = ends[i + 1].y - LABEL) {
      ends[i].y = Math.min(ends[i].y, floor);
    }
    const update = plot.lines.map(() => ({}));
    for (const end of ends) update[end.index] = { endLabel: { offset: [0, end.y - end.own] } };
    chart.setOption({ series: update });
  };

  const draw = () => {
    const enough = series && series.times.length > 1;
    home.hidden = !(series && series.times.length);
    const c = colours();
    for (const canvas of home.querySelectorAll(".canvas")) {
      const kind = canvas.dataset.plot;
      if (!enough) {
        canvas.textContent = home.hidden ? "" : "The plot begins with the second span of time.";
        continue;
      }
      let chart = charts.get(kind);
      if (!chart) {
        canvas.textContent = "";
        chart = echarts.init(canvas, null, { renderer: "canvas" });
        charts.set(kind, chart);
        walk(canvas, chart, kind);
        new ResizeObserver(() => { chart.resize(); draw(); }).observe(canvas);
      }
      const plot = kinds[kind](c);
      chart.setOption(option(kind, plot, c, canvas.clientWidth), { notMerge: true, lazyUpdate: false });
      place(chart, plot);
      canvas.dataset.drawn = String(series.times.length);
    }
  };

  // With the arrow keys the pointer walks over the points, and what stands there is said.
  const walk = (canvas, chart, kind) => {
    let at = null;
    const said = document.getElementById(`${kind}-said`);
    canvas.addEventListener("keydown", (event) => {
      const last = series.times.length - 1;
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -last, End: last };
      if (event.key === "Escape") { at = null; chart.dispatchAction({ type: "hideTip" }); return; }
      if (!(event.key in steps)) return;
      event.preventDefault();
      at = Math.min(last, Math.max(0, (at ?? last) + steps[event.key]));
      const plot = kinds[kind](colours());
      const named = plot.lines.filter((each) => each.name && each.data[at][1] !== null);
      const index = plot.lines.findIndex((each) => each.name && each.data[at][1] !== null);
      if (index >= 0) chart.dispatchAction({ type: "showTip", seriesIndex: index, dataIndex: at });
      said.textContent = `${clock.format(series.times[at])}: ` +
        named.slice(-4).map((each) => `${each.name} ${plot.write(each.data[at][1])}`).join(", ");
    });
    canvas.addEventListener("blur", () => { at = null; chart.dispatchAction({ type: "hideTip" }); });
  };

  let busy = false, again = false;
  const load = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(home.dataset.series, { cache: "no-cache" });
      if (answer.ok) {
        const content = await answer.json();
        series = content.series;
        draw();
        home.dataset.version = content.version;
      }
    } catch { /* the server is away; the next change asks again */ } finally {
      busy = false;
      if (again) { again = false; load(); }
    }
  };
  document.body.addEventListener("changed", load);
  document.documentElement.addEventListener("themed", () => series && draw());
  load();
})();
