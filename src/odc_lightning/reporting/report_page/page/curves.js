"use strict";
// All charts, the legend, and what stands beside them.
(() => {
  const { data, el, svg, look } = report;
  const holder = document.getElementById("panels");
  if (!holder) return;
  const state = { over: "epoch", hidden: new Set(), range: null, cursor: null, pointed: null, seeds: false, marked: null, end: 1 };
  const whole = document.getElementById("whole");
  const charts = data.panels.map((panel) => report.chart(panel, state, changed));

  function changed(what) {
    if (what === "cursor") return charts.forEach((chart) => chart.point());
    whole.hidden = state.range === null;
    state.end = Math.max(...charts.map((chart) => chart.end())) || 1;
    charts.forEach((chart) => chart.draw());
  }

  function chip(name, group) {
    const style = look(group);
    const button = el("button", { type: "button", "aria-pressed": true, "data-group": group },
      svg("svg", { width: 22, height: 8, "aria-hidden": true }, svg("line", { class: `${style.class} stroke`, x1: 0, x2: 22, y1: 4, y2: 4, "stroke-dasharray": style["stroke-dasharray"] })),
      el("span", { text: name }));
    const toggle = () => {
      if (!state.hidden.delete(group)) state.hidden.add(group);
      button.setAttribute("aria-pressed", !state.hidden.has(group));
      changed("lines");
    };
    const mark = (marked) => () => {
      state.marked = marked;
      holder.querySelectorAll("g[data-group]").forEach((line) =>
        line.classList.toggle("back", marked !== null && Number(line.dataset.group) !== marked));
    };
    button.addEventListener("click", toggle);
    button.addEventListener("pointerenter", mark(group));
    button.addEventListener("pointerleave", mark(null));
    return button;
  }

  if (data.groups.length > 1) {
    const legend = document.getElementById("legend");
    legend.append(...data.groups.map(chip));
    if (data.groups.length > 6) {
      const all = el("button", { type: "button", class: "all", text: "All or none" });
      all.addEventListener("click", () => {
        const show = state.hidden.size > 0;
        state.hidden = show ? new Set() : new Set(data.groups.keys());
        legend.querySelectorAll("[data-group]").forEach((each) => each.setAttribute("aria-pressed", show));
        changed("lines");
      });
      legend.append(all);
    }
  }
  const over = document.getElementById("over");
  over.addEventListener("change", () => {
    Object.assign(state, { over: over.value, range: null, cursor: null });
    changed("over");
  });
  whole.addEventListener("click", () => {
    state.range = null;
    changed("range");
  });
  const seeds = document.getElementById("seeds");
  seeds.hidden = data.groups.length === data.runs.length;
  seeds.addEventListener("click", () => {
    state.seeds = !state.seeds;
    seeds.setAttribute("aria-pressed", state.seeds);
    changed("seeds");
  });
  holder.append(...charts.map((chart) => chart.box));
  document.getElementById("tools").hidden = false;
  document.getElementById("hint").hidden = false;
  changed("lines");
  new ResizeObserver(() => charts.forEach((chart) => chart.width() !== chart.drawnWidth() && chart.draw())).observe(holder);
})();
