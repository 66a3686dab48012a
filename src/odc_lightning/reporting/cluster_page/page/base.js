"use strict";
// Data that comes as scripts, numbers, lists: what all views need.
window.page = (() => {
  const { el } = common;
  const KEPT = 40; // pieces of data
  const waiting = new Map();
  const known = new Map();

  // Every piece of data is a script that calls this with its name.
  function take(name, value) {
    known.delete(name);
    known.set(name, value);
    if (known.size > KEPT) {
      for (const each of known.keys()) {
        if (each.startsWith("members/") && each !== name) {
          known.delete(each);
          break;
        }
      }
    }
    if (name === "overview") page.start(value);
    const asked = waiting.get(name);
    if (asked) {
      waiting.delete(name);
      asked.resolve(value);
    }
  }

  function load(name) {
    if (known.has(name)) {
      const value = known.get(name);
      known.delete(name);
      known.set(name, value);
      return Promise.resolve(value);
    }
    if (waiting.has(name)) return waiting.get(name).promise;
    const asked = {};
    asked.promise = new Promise((resolve, reject) => Object.assign(asked, { resolve, reject }));
    waiting.set(name, asked);
    const script = document.createElement("script");
    script.src = `page/data/${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      waiting.delete(name);
      asked.reject(new Error(`page/data/${name}.js is missing`));
    };
    document.head.append(script);
    return asked.promise;
  }

  const count = (number) => number.toLocaleString("en");
  const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
  const percent = (value) => (value === null ? "–" : `${Math.round(100 * value)} %`);
  const plural = (amount, word) => `${count(amount)} ${word}${amount === 1 ? "" : "s"}`;

  // Facts of the image at a position of the page.
  async function record(position) {
    const { perChunk } = page.facts;
    const chunk = await load(`members/${Math.floor(position / perChunk)}`);
    return row(chunk, position % perChunk, position, page.clusterAt(position));
  }

  function row(columns, index, position, cluster) {
    return {
      position,
      cluster,
      name: columns.name[index],
      distance: columns.distance[index],
      margin: columns.margin[index],
      second: columns.second[index],
      score: columns.score[index],
      label: columns.label ? columns.label[index] : -1,
    };
  }

  function clusterAt(position) {
    const { starts } = page;
    let low = 0;
    let high = starts.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= position) low = middle;
      else high = middle;
    }
    return low;
  }

  // A long list appears in parts, as one scrolls.
  function inParts(container, total, size, make, already = size) {
    let shown = 0;
    let busy = false;
    const end = el("div", { class: "sentinel", "aria-hidden": true });
    container.after(end);
    const more = async (until) => {
      if (busy) return;
      busy = true;
      const parts = await make(shown, Math.min(until, total));
      container.append(...parts);
      shown = Math.min(until, total);
      container.dataset.shown = shown;
      busy = false;
      if (shown >= total) {
        observer.disconnect();
        end.remove();
      } else {
        // If its end is still in sight, the observer has nothing new to tell.
        observer.unobserve(end);
        observer.observe(end);
      }
    };
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && more(shown + size),
      { rootMargin: "900px" },
    );
    return more(Math.max(size, already));
  }

  // Arrows go through the grid that has the focus.
  function moveInGrid(event) {
    const here = document.activeElement;
    if (!here.matches("main .card, main .tile")) return false;
    const items = [...here.parentElement.children];
    const top = items[0].offsetTop;
    const columns = items.findIndex((item) => item.offsetTop > top);
    const across = columns < 0 ? items.length : columns;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
    const next = items[items.indexOf(here) + steps[event.key]];
    if (!next) return false;
    event.preventDefault();
    next.focus();
    return true;
  }

  // An address that somebody typed may be no text.
  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  return {
    ...common, take, load, count, number, percent, plural, record, row, clusterAt, inParts,
    moveInGrid, decoded, views: Object.create(null), facts: null, starts: null,
  };
})();
