"use strict";
// The embedding as points; a picture of the point under the pointer.
(() => {
  const { el, number } = page;
  const NEAR = 12; // pixels

  page.views.map = async (main) => {
    const data = await page.load("map");
    const { classes, perSheet } = page.facts;
    const total = page.starts.at(-1);
    const clusters = data.position.map((position) => page.clusterAt(position));
    const canvas = el("canvas", {
      tabindex: 0,
      role: "application",
      "aria-label":
        "Map of the images. Arrows move it, plus and minus zoom, the overview has the same images.",
    });
    const shown = el("div", { class: "hover", hidden: true });
    const byClass = el("input", { type: "checkbox", id: "by-class" });
    const tools = el(
      "div",
      { class: "tools" },
      classes && data.label
        ? el("label", { class: "check" }, byClass, el("span", { text: "Colours of classes" }))
        : null,
      el("button", { type: "button", id: "reset", text: "Whole map" }),
    );
    const some =
      data.position.length < total
        ? `${page.count(data.position.length)} of ${page.count(total)} images`
        : page.plural(total, "image");
    main.replaceChildren(
      el(
        "div",
        { class: "head" },
        el("h1", { text: "Map" }),
        el("p", {
          class: "lead",
          text: `${some}. Neighbours here are neighbours in the space of features. Scroll to zoom, drag to move, click to open the cluster.`,
        }),
        tools,
      ),
      el("div", { class: "map" }, canvas, shown),
    );
    scrollTo(0, 0);
    const view = { scale: 1, x: 0, y: 0 };
    let width = 0;
    let height = 0;
    let current = -1;
    let drag = null;
    let queued = false;

    // The unit square in the middle of the canvas, then zoomed and moved.
    const base = () => 0.94 * Math.min(width / (extent.x || 1), height / (extent.y || 1));
    const toX = (x) => width / 2 + ((x / data.grid - extent.x / 2) * base() + view.x) * view.scale;
    const toY = (y) => height / 2 + ((y / data.grid - extent.y / 2) * base() + view.y) * view.scale;
    const extent = {
      x: data.x.reduce((most, x) => Math.max(most, x), 0) / data.grid,
      y: data.y.reduce((most, y) => Math.max(most, y), 0) / data.grid,
    };

    function colour(index, dark) {
      const label = byClass.checked ? data.label[index] : clusters[index];
      if (label < 0) return dark ? "#6b675f" : "#b9b4aa";
      const hue = byClass.checked ? (label * 360) / classes.length : (label * 137.508) % 360;
      const light = (dark ? 66 : 46) + (byClass.checked ? (label % 2) * 8 : (label % 3) * 6 - 6);
      return `hsl(${hue} ${dark ? 58 : 62}% ${light}%)`;
    }

    function draw() {
      queued = false;
      const box = canvas.getBoundingClientRect();
      const ratio = devicePixelRatio || 1;
      width = box.width;
      height = box.height;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      const dark = page.isDark();
      const many = data.position.length;
      const radius = Math.max(1.3, Math.min(4, 260 / Math.sqrt(many))) * Math.sqrt(view.scale);
      context.globalAlpha = 0.78;
      for (let index = 0; index < many; index += 1) {
        const x = toX(data.x[index]);
        const y = toY(data.y[index]);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        context.fillStyle = colour(index, dark);
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
      }
      context.globalAlpha = 1;
      if (current >= 0) {
        context.strokeStyle = dark ? "#fff" : "#000";
        context.lineWidth = 2;
        context.beginPath();
        context.arc(toX(data.x[current]), toY(data.y[current]), radius + 4, 0, 2 * Math.PI);
        context.stroke();
      }
    }

    const redraw = () => {
      if (queued || !canvas.isConnected) return;
      queued = true;
      requestAnimationFrame(draw);
    };

    function nearest(x, y) {
      let best = -1;
      let least = NEAR * NEAR;
      for (let index = 0; index < data.position.length; index += 1) {
        const square = (toX(data.x[index]) - x) ** 2 + (toY(data.y[index]) - y) ** 2;
        if (square < least) [best, least] = [index, square];
      }
      return best;
    }

    async function hover(index) {
      if (index === current) return;
      current = index;
      redraw();
      canvas.style.cursor = index < 0 ? "grab" : "pointer";
      if (index < 0) {
        shown.hidden = true;
        return;
      }
      const record = await page.record(data.position[index]);
      if (index !== current) return;
      const name = page.className(record.label);
      shown.replaceChildren(
        page.picture("sheets", record.position, total, page.describe(record)),
        el("b", { text: `Cluster ${record.cluster}` }),
        el("span", { text: name ?? `distance ${number(record.distance)}` }),
        el("span", { class: "soft name", text: record.name }),
      );
      shown.hidden = false;
      const x = toX(data.x[index]);
      const y = toY(data.y[index]);
      const box = shown.getBoundingClientRect();
      shown.style.left = `${Math.max(4, x + box.width + 24 > width ? x - box.width - 14 : x + 14)}px`;
      shown.style.top = `${Math.max(4, Math.min(y - 40, height - box.height - 4))}px`;
    }

    function zoom(factor, x = width / 2, y = height / 2) {
      const scale = Math.min(60, Math.max(1, view.scale * factor));
      view.x += (x - width / 2) * (1 / scale - 1 / view.scale);
      view.y += (y - height / 2) * (1 / scale - 1 / view.scale);
      view.scale = scale;
      if (scale === 1) Object.assign(view, { x: 0, y: 0 });
      redraw();
    }

    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 400), ...place(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, y: event.clientY, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag === null) {
        hover(nearest(...place(event)));
        return;
      }
      const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(x, y) < 4) return;
      view.x += x / view.scale;
      view.y += y / view.scale;
      drag = { x: event.clientX, y: event.clientY, moved: true };
      hover(-1);
      redraw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const moved = drag !== null && drag.moved;
      drag = null;
      if (moved) return;
      const index = nearest(...place(event));
      if (index >= 0 && (event.pointerType === "mouse" || index === current)) {
        location.hash = `#/cluster/${clusters[index]}`;
      } else hover(index);
    });
    canvas.addEventListener("pointerleave", () => hover(-1));
    canvas.addEventListener("keydown", (event) => {
      const step = 60 / view.scale;
      const moves = {
        ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step],
      };
      if (moves[event.key]) {
        view.x += moves[event.key][0];
        view.y += moves[event.key][1];
        redraw();
      } else if (event.key === "+" || event.key === "=") zoom(1.4);
      else if (event.key === "-") zoom(1 / 1.4);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    byClass.addEventListener("change", redraw);
    tools.querySelector("#reset").addEventListener("click", () => {
      Object.assign(view, { scale: 1, x: 0, y: 0 });
      redraw();
    });
    new ResizeObserver(redraw).observe(canvas);
    page.redrawMap = redraw;
    draw();
  };
})();
