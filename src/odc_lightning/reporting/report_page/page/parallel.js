"use strict";
// Parallel coordinates: a line a run, through its settings and its scores.
(() => {
  const { data, el, svg, text, ticks } = report;
  const holder = document.getElementById("coordinates");
  if (!holder) return;
  const HEIGHT = 380;
  const PAD = { top: 66, right: 70, bottom: 22, left: 70 };
  const MIN_AXIS_GAP = 118; // between two axes
  // Cividis, which reads the same under every colour blindness; its ends as far as they show.
  const LIGHT = ["#00306f", "#3c4d6e", "#666970", "#8e8978", "#b9a96b", "#c9a227"];
  const DARK = ["#5b7fd1", "#7d8ca8", "#a09f98", "#c0b27d", "#e2c84f", "#fde737"];
  const brushes = new Map();
  const choice = document.getElementById("colour");
  data.axes.forEach((axis, i) => axis.score && choice.append(el("option", { value: i, text: axis.title })));
  choice.selectedIndex = Math.max(0, [...choice.options].findIndex((option) => /kNN|NMI|top-1|mAP/.test(option.text)));
  choice.addEventListener("change", draw);
  document.addEventListener("theme", draw);

  const known = (axis) => axis.values.filter((value) => value !== null);

  function scaleOf(axis) {
    const [low, high] = axis.names ? [0, axis.names.length - 1] : [Math.min(...known(axis)), Math.max(...known(axis))];
    const distinct = [...new Set(known(axis))].sort((a, b) => a - b);
    const bend = !axis.names && !axis.score && low > 0 && high / low >= 50 ? Math.log : (value) => value;
    const height = HEIGHT - PAD.top - PAD.bottom;
    const y = (value) => HEIGHT - PAD.bottom - (low === high ? 0.5 : (bend(value) - bend(low)) / (bend(high) - bend(low))) * height;
    const few = !axis.score && distinct.length <= 9;
    const marks = axis.names ? axis.names.map((_, i) => i) : few ? distinct : ticks(low, high, 5);
    return { y, marks: marks.filter((mark, i) => i === 0 || Math.abs(y(mark) - y(marks[i - 1])) > 11) };
  }

  function colour(share) {
    const scale = report.isDark() ? DARK : LIGHT;
    const place = share * (scale.length - 1);
    const start = Math.min(scale.length - 2, Math.floor(place));
    return `color-mix(in srgb, ${scale[start + 1]} ${Math.round(100 * (place - start))}%, ${scale[start]})`;
  }

  const isIn = (run) =>
    [...brushes].every(([i, [low, high]]) => {
      const axis = data.axes[i];
      if (axis.values[run] === null) return false;
      const y = scaleOf(axis).y(axis.values[run]);
      return y >= low && y <= high;
    });

  function choose() {
    let count = 0;
    holder.querySelectorAll("path.run").forEach((line) => {
      const inside = isIn(Number(line.dataset.run));
      count += inside;
      line.classList.toggle("out", !inside);
    });
    document.getElementById("chosen").textContent = brushes.size ? `${count} of ${data.runs.length} runs` : "";
  }

  function draw() {
    const room = holder.parentElement.clientWidth;
    const width = Math.max(room, PAD.left + PAD.right + MIN_AXIS_GAP * (data.axes.length - 1));
    const gap = (width - PAD.left - PAD.right) / Math.max(1, data.axes.length - 1);
    const scales = data.axes.map(scaleOf);
    const axis = data.axes[Number(choice.value)];
    const [low, high] = [Math.min(...known(axis)), Math.max(...known(axis))];
    const order = [...data.runs.keys()].sort((a, b) => (axis.values[a] ?? -Infinity) - (axis.values[b] ?? -Infinity));
    const lines = order.map((run) => {
      let pen = "M";
      let d = "";
      data.axes.forEach((each, i) => {
        if (each.values[run] === null) return;
        d += `${pen}${(PAD.left + i * gap).toFixed(1)},${scales[i].y(each.values[run]).toFixed(1)}`;
        pen = "L";
      });
      const line = svg("path", { class: "run", "data-run": run, d }, svg("title", { text: data.runs[run] }));
      line.style.stroke = axis.values[run] === null ? "var(--soft)" : colour((axis.values[run] - low) / (high - low || 1));
      return line;
    });
    const axes = data.axes.map((each, i) => {
      const x = PAD.left + i * gap;
      const handle = svg("rect", { class: "handle", x: x - 16, y: PAD.top - 6, width: 32, height: HEIGHT - PAD.top - PAD.bottom + 12 });
      const mark = svg("rect", { class: "brush", x: x - 7, width: 14, y: 0, height: 0 });
      if (brushes.has(i)) size(mark, brushes.get(i));
      brush(handle, mark, i);
      return svg("g", { class: each.score ? "axis score" : "axis" },
        svg("line", { x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom }),
        ...title(each.title, x, i % 2 ? 18 : 42),
        ...scales[i].marks.map((value) => svg("text", { class: "tick", x: x + 8, y: scales[i].y(value) + 4, text: cut(each.names ? each.names[value] : text(value), 14) })),
        mark, handle);
    });
    holder.replaceChildren(svg("svg", { width, height: HEIGHT, role: "img",
      "aria-label": `Parallel coordinates of ${data.runs.length} runs over ${data.axes.map((each) => each.title).join(", ")}` },
      ...lines, ...axes));
    choose();
  }

  const cut = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
  // Every other title stands higher, so that long ones have room.
  const title = (name, x, y) => [svg("text", { class: "name", x, y, "text-anchor": "middle", text: cut(name, 30) }, svg("title", { text: name }))];
  const size = (mark, [top, bottom]) => {
    mark.setAttribute("y", top);
    mark.setAttribute("height", bottom - top);
  };

  function brush(handle, mark, i) {
    let from = null;
    const here = (event) => Math.min(HEIGHT - PAD.bottom + 4, Math.max(PAD.top - 4, event.clientY - handle.ownerSVGElement.getBoundingClientRect().top));
    handle.addEventListener("pointerdown", (event) => {
      from = here(event);
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const range = [from, here(event)].sort((a, b) => a - b);
      if (range[1] - range[0] < 4) return;
      brushes.set(i, range);
      size(mark, range);
      choose();
    });
    handle.addEventListener("pointerup", (event) => {
      if (Math.abs(here(event) - from) < 4) {
        brushes.delete(i);
        size(mark, [0, 0]);
        choose();
      }
      from = null;
    });
  }

  draw();
  new ResizeObserver(draw).observe(holder.parentElement);
})();
