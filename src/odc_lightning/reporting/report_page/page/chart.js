"use strict";
// One metric over the run: lines, a cursor that all charts share, and a range of steps.
report.chart = (panel, state, changed) => {
  const { el, svg, look, text, ticks, bent, bentTicks, data } = report;
  const HEIGHT = 200;
  const PAD = { top: 10, right: 12, bottom: 26, left: 54 };
  const MAX_READ = 8;
  const place = el("div", { class: "plot" });
  const box = el("figure", { class: "panel" },
    el("figcaption", {}, el("b", { text: panel.title }), panel.remark && el("span", { class: "soft", text: ` ${panel.remark}` })),
    place);
  const tip = el("div", { class: "tip", hidden: true });
  let width = 0;
  let drawn = null;

  const xOf = (line, step) => (state.over === "epoch" && line.perEpoch ? step / line.perEpoch : step);
  const shown = () => panel.lines.filter((line) => {
    if (state.hidden.has(line.group)) return false;
    const banded = panel.lines.some((other) => other.group === line.group && other.run === null);
    return !banded || (line.run !== null) === state.seeds;
  });
  const label = (line) =>
    line.run === null || !state.seeds ? data.groups[line.group] : data.runs[line.run];

  function extent(lines) {
    let [y0, y1] = [Infinity, -Infinity];
    const [from, to] = state.range || [-Infinity, Infinity];
    for (const line of lines) {
      line.x.forEach((step, i) => {
        const x = xOf(line, step);
        if (line.y[i] === null || x < from || x > to) return;
        const spread = line.spread ? line.spread[i] : 0;
        y0 = Math.min(y0, line.y[i] - spread);
        y1 = Math.max(y1, line.y[i] + spread);
      });
    }
    const [x0, x1] = state.range || [0, state.end];
    if (!(y1 >= y0)) [y0, y1] = [0, 1];
    if (panel.chance && !state.range) y1 = Math.max(y1, panel.chance.value);
    if (panel.log) return { x0, x1, y0: y0 < 1 ? 0 : y0 / 1.3, y1: Math.max(1, y1) * 1.3 };
    // An axis begins at 0, unless the line hardly moves.
    if (y0 >= 0 && y0 < 0.75 * y1) y0 = 0;
    const space = (y1 - y0) * 0.06 || Math.abs(y1) * 0.1 || 1;
    return { x0, x1, y0: y0 === 0 ? 0 : y0 - space, y1: y1 + space };
  }

  function path(line, xs, ys) {
    let text = "";
    let pen = "M";
    xs.forEach((step, i) => {
      if (ys[i] === null) pen = "M";
      else {
        text += `${pen}${drawn.x(xOf(line, step)).toFixed(1)},${drawn.y(ys[i]).toFixed(1)}`;
        pen = "L";
      }
    });
    return text;
  }

  function area(line) {
    const upper = path(line, line.x, line.y.map((mean, i) => mean + line.spread[i]));
    const lower = path(line, [...line.x].reverse(), line.y.map((mean, i) => mean - line.spread[i]).reverse());
    return `${upper}L${lower.slice(1)}Z`;
  }

  function strokes(line) {
    const style = look(line.group);
    const found = [];
    if (line.spread) found.push(svg("path", { class: `${style.class} area`, d: area(line) }));
    const main = line.smooth || line;
    if (line.smooth) found.push(svg("path", { class: `${style.class} faint`, d: path(line, line.x, line.y) }));
    found.push(svg("path", { class: `${style.class} stroke`, "stroke-dasharray": style["stroke-dasharray"], d: path(line, main.x, main.y) }));
    if (main.x.length <= 30) {
      main.x.forEach((step, i) => main.y[i] !== null && found.push(
        svg("circle", { class: `${style.class} dot`, r: 2.4, cx: drawn.x(xOf(line, step)), cy: drawn.y(main.y[i]) })));
    }
    const group = svg("g", { "data-group": line.group }, ...found);
    if (state.marked !== null && state.marked !== line.group) group.classList.add("back");
    return group;
  }

  function draw() {
    width = place.clientWidth;
    if (!width) return;
    const lines = shown();
    const size = extent(lines);
    const bend = panel.log ? bent : (value) => value;
    const [low, high] = [bend(size.y0), bend(size.y1)];
    drawn = {
      ...size, lines,
      x: (value) => PAD.left + ((value - size.x0) / (size.x1 - size.x0 || 1)) * (width - PAD.left - PAD.right),
      back: (pixel) => size.x0 + ((pixel - PAD.left) / (width - PAD.left - PAD.right)) * (size.x1 - size.x0),
      y: (value) => HEIGHT - PAD.bottom - ((bend(value) - low) / (high - low || 1)) * (HEIGHT - PAD.top - PAD.bottom),
    };
    const id = `clip-${panel.key.replace(/[^a-z0-9]/gi, "-")}`;
    const yTicks = panel.log ? bentTicks(size.y0, size.y1) : ticks(size.y0, size.y1, 4);
    const grid = yTicks.flatMap((tick) => [
      svg("line", { class: "rule", x1: PAD.left, x2: width - PAD.right, y1: drawn.y(tick), y2: drawn.y(tick) }),
      svg("text", { class: "tick", x: PAD.left - 8, y: drawn.y(tick) + 4, "text-anchor": "end", text: text(tick) })]);
    const across = ticks(size.x0, size.x1, Math.max(2, Math.floor(width / 90)));
    grid.push(...across.map((tick) =>
      svg("text", { class: "tick", x: drawn.x(tick), y: HEIGHT - 8, "text-anchor": "middle", text: text(tick) })));
    let chance = null;
    if (panel.chance && panel.chance.value <= size.y1) {
      const y = drawn.y(panel.chance.value);
      grid.push(svg("line", { class: "chance", x1: PAD.left, x2: width - PAD.right, y1: y, y2: y }));
      // Above the line if there is room, and above all curves, which it may lie on.
      chance = svg("text", { class: "tick over", x: width - PAD.right, y: y - 6 < PAD.top + 10 ? y + 14 : y - 6, "text-anchor": "end", text: panel.chance.label });
    }
    const first = lines[0];
    const course = lines.length === 1 ? `from ${text(first.y.find((v) => v !== null))} to ${text(first.y.findLast((v) => v !== null))}` : `${lines.length} lines`;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, width, tabindex: 0, role: "img",
      "aria-label": `${panel.title} over ${state.over}s: ${course}` },
      svg("clipPath", { id }, svg("rect", { x: PAD.left - 3, y: 0, width: width - PAD.left - PAD.right + 6, height: HEIGHT - PAD.bottom + 3 })),
      ...grid,
      svg("g", { "clip-path": `url(#${id})` }, ...lines.map(strokes)),
      chance,
      svg("rect", { class: "range", y: PAD.top, height: HEIGHT - PAD.top - PAD.bottom, width: 0 }),
      svg("g", { class: "cursor" }));
    listen(picture);
    const hadFocus = place.contains(document.activeElement);
    place.replaceChildren(picture, tip);
    if (hadFocus) picture.focus({ preventScroll: true });
    point();
  }

  function nearest(line, x) {
    const main = line.smooth || line;
    let best = -1;
    main.x.forEach((step, i) => {
      if (main.y[i] !== null && (best < 0 || Math.abs(xOf(line, step) - x) < Math.abs(xOf(line, main.x[best]) - x))) best = i;
    });
    return best < 0 ? null : { line, x: xOf(line, main.x[best]), y: main.y[best], spread: line.spread ? line.spread[best] : 0 };
  }

  // The cursor: a rule and marks in every chart, and what they say in the one that is pointed at.
  function point() {
    const cursor = place.querySelector(".cursor");
    if (!cursor) return;
    const at = state.cursor;
    tip.hidden = !(at !== null && state.pointed === panel.key);
    if (at === null || at < drawn.x0 || at > drawn.x1) return cursor.replaceChildren();
    const read = drawn.lines.map((line) => nearest(line, at)).filter(Boolean);
    const x = drawn.x(at);
    cursor.replaceChildren(
      svg("line", { x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom }),
      ...read.map((each) => svg("circle", { class: `${look(each.line.group).class} dot`, r: 3.4, cx: drawn.x(each.x), cy: drawn.y(each.y) })));
    if (tip.hidden) return;
    read.sort((one, other) => other.y - one.y);
    tip.replaceChildren(
      el("span", { class: "soft", text: `${state.over} ${text(at)}` }),
      ...read.slice(0, MAX_READ).map((each) => el("span", { class: "read" },
        el("i", { class: look(each.line.group).class }),
        drawn.lines.length > 1 && el("span", { text: label(each.line) }),
        el("b", { text: text(each.y) + (each.spread ? ` ± ${text(each.spread)}` : "") }))),
      read.length > MAX_READ && el("span", { class: "soft", text: `and ${read.length - MAX_READ} more` }) || "");
    const left = x > width / 2;
    tip.style.left = left ? "" : `${x + 12}px`;
    tip.style.right = left ? `${width - x + 12}px` : "";
    report.say(`${panel.title}: ${tip.innerText.replace(/\n/g, ", ")}`);
  }

  function listen(picture) {
    let from = null;
    const here = (event) => Math.min(drawn.x1, Math.max(drawn.x0, drawn.back(event.clientX - picture.getBoundingClientRect().left)));
    const move = (at) => {
      Object.assign(state, { cursor: at, pointed: panel.key });
      changed("cursor");
    };
    picture.addEventListener("pointermove", (event) => {
      move(here(event));
      if (from === null) return;
      const [x0, x1] = [drawn.x(from), drawn.x(here(event))].sort((a, b) => a - b);
      const range = picture.querySelector(".range");
      range.setAttribute("x", x0);
      range.setAttribute("width", x1 - x0);
    });
    picture.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch" || event.button) return move(here(event));
      from = here(event);
      picture.setPointerCapture(event.pointerId);
    });
    picture.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const range = [from, here(event)].sort((a, b) => a - b);
      from = null;
      if (drawn.x(range[1]) - drawn.x(range[0]) > 6) {
        state.range = range;
        changed("range");
      } else picture.querySelector(".range").setAttribute("width", 0);
    });
    picture.addEventListener("dblclick", () => {
      state.range = null;
      changed("range");
    });
    picture.addEventListener("pointerleave", () => move(null));
    picture.addEventListener("blur", () => move(null));
    picture.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const middle = (drawn.x0 + drawn.x1) / 2;
      const at = (state.cursor ?? middle) + (steps[event.key] * (drawn.x1 - drawn.x0)) / 60;
      move(Math.min(drawn.x1, Math.max(drawn.x0, at)));
    });
  }

  const end = () => Math.max(0, ...panel.lines.map((line) => xOf(line, line.x[line.x.length - 1])));
  return { box, draw, point, end, width: () => place.clientWidth, drawnWidth: () => width };
};
