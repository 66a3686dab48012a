"use strict";
// What all parts of the report share: data, drawing, numbers.
const report = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLOURS = 8;
  const DASHES = ["", "7 4", "2 3"];
  const SVG = "http://www.w3.org/2000/svg";

  const svg = (tag, props = {}, ...children) =>
    common.make(document.createElementNS(SVG, tag), props, children);

  // The look of a group: a colour, and from the ninth on a dash too; the rest are grey.
  function look(group) {
    const dash = Math.floor(group / COLOURS);
    const known = dash < DASHES.length;
    return { class: known ? `c${group % COLOURS}` : "cx", "stroke-dasharray": DASHES[dash] || null };
  }

  function text(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size >= 10000) return Math.round(value).toLocaleString("en");
    if (size !== 0 && size < 0.001) return value.toExponential(1).replace(".0e", "e");
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
  }

  // About `wanted` round numbers within a range.
  function ticks(low, high, wanted) {
    const rough = (high - low) / wanted || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    const first = Math.ceil(low / step - 1e-9);
    const found = [];
    for (let i = first; i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  }

  // Linear up to 1 and logarithmic above, so that an empty cluster shows as 0.
  const bent = (value) => (value < 1 ? value : 1 + Math.log10(value));
  function bentTicks(low, high) {
    const found = [0];
    for (let power = 1; power <= high * 1.0001; power *= 10)
      for (const factor of [1, 2, 5]) found.push(factor * power);
    const inside = found.filter((tick) => tick >= low && tick <= high * 1.0001);
    if (inside.length < 3) return ticks(low, high, 3);
    return inside.length > 6 ? inside.filter((tick) => tick === 0 || Number.isInteger(Math.log10(tick))) : inside;
  }

  return { ...common, data, svg, look, text, ticks, bent, bentTicks };
})();
