"use strict";
// Naming by hand: the bar, the dialog, the chosen images, keys.
page.naming = (() => {
  const { el, names, plural } = page;
  const $ = (id) => document.getElementById(id);
  const bar = $("naming");
  const dialog = $("name");
  const field = $("name-field");
  const records = new WeakMap(); // tile -> facts of its image
  const chosen = new Map(); // name of an image -> its facts
  const MOST_APART = 50; // images chosen at once, which make 1,225 pairs
  let choosing = false;
  let trouble = null; // with keeping what was said
  let asked = null; // what the dialog names: {clusters} or {images}

  const shownName = (name) => (name === null ? "rubbish" : name);

  // --- What is shown of the names, wherever an element is.

  function paintCard(card) {
    const cluster = Number(card.dataset.cluster);
    const name = names.cluster(cluster);
    card.classList.toggle("rubbish", name === null);
    card.classList.toggle("named", typeof name === "string");
    card.querySelector("b").textContent = name === undefined ? cluster : shownName(name);
    const said = name === undefined ? "" : `, ${name === null ? "rubbish" : `named ${name}`}`;
    card.setAttribute("aria-label", `Cluster ${cluster}${said}: ${card.dataset.facts}`);
  }

  function paintTile(tile) {
    const record = records.get(tile);
    const own = names.image(record.name);
    tile.classList.toggle("wrong", own === false || own === null);
    tile.classList.toggle("named", typeof own === "string");
    tile.querySelector(".caption").textContent =
      own === undefined ? tile.dataset.caption : own === false ? "does not belong" : shownName(own);
    tile.classList.toggle("chosen", chosen.has(record.name));
    const said = own === undefined ? "" : `, ${tile.querySelector(".caption").textContent}`;
    tile.setAttribute("aria-label", page.describe(record) + said);
    if (choosing) tile.setAttribute("aria-pressed", chosen.has(record.name));
    else tile.removeAttribute("aria-pressed");
  }

  function paintHeading(heading) {
    const cluster = Number(heading.dataset.cluster);
    const name = names.cluster(cluster);
    heading.textContent = name === undefined ? `Cluster ${cluster}` : shownName(name);
    const line = document.querySelector(".title .number");
    if (line) line.textContent = name === undefined ? "" : `Cluster ${cluster}`;
    const rubbish = $("rubbish");
    if (rubbish) rubbish.setAttribute("aria-pressed", name === null);
  }

  function paint() {
    document.querySelectorAll(".card").forEach(paintCard);
    document.querySelectorAll(".tile").forEach(paintTile);
    document.querySelectorAll("h1[data-cluster]").forEach(paintHeading);
    const { clusters, images } = names.all();
    const decided = page.filled.filter((cluster) => clusters.has(cluster));
    const part = decided.reduce((sum, cluster) => sum + page.facts.sizes[cluster], 0);
    const share = Math.floor((100 * part) / page.starts.at(-1));
    $("progress").textContent =
      `${page.count(decided.length)} of ${plural(page.filled.length, "cluster")} named` +
      (decided.length > 0 ? `, ${share} % of the images` : "") +
      (images.size > 0 ? `; ${plural(images.size, "image")} by hand` : "");
    $("undo").disabled = !names.canUndo();
    $("save").textContent = names.isServed() ? "Saved in labels.json" : "Save labels.json";
    $("save").disabled = names.isServed() && trouble === null;
    $("trouble").textContent = trouble ?? "";
    $("choose").setAttribute("aria-pressed", choosing);
    bar.classList.toggle("choosing", chosen.size > 0);
    $("chosen").textContent = `${page.count(chosen.size)} chosen`;
    for (const id of ["together", "apart"]) $(id).disabled = chosen.size < 2;
    if (page.repaintViewer) page.repaintViewer();
  }

  // --- The dialog.

  function ask(what, title, value) {
    asked = { ...what, back: document.activeElement };
    $("name-title").textContent = title;
    field.value = value ?? "";
    $("used").replaceChildren(...names.used().map((name) => el("option", { value: name })));
    $("name-none").hidden = value === undefined;
    dialog.showModal();
    field.select();
  }

  const askCluster = (cluster) =>
    ask({ clusters: [cluster] }, `Name of cluster ${cluster}`, names.cluster(cluster));

  function askImages(list) {
    const value = list.length === 1 ? names.image(list[0].name) || undefined : undefined;
    const title = list.length === 1 ? "Name of this image" : `Name of ${plural(list.length, "image")}`;
    ask({ images: list.map((record) => record.name) }, title, value);
  }

  function answer(name) {
    const { clusters, images, rename } = asked;
    dialog.close();
    if (rename) renameAll(rename, name);
    else if (clusters) names.nameClusters(clusters, name);
    else {
      names.nameImages(images, name);
      clear();
    }
    page.say(name ? `Named ${name}` : "No name");
  }

  // Every cluster and image of a name gets another one.
  function renameAll(from, to) {
    const { clusters, images } = names.all();
    const of = (map) => [...map].filter(([, name]) => name === from).map(([key]) => key);
    names.rename(of(clusters), of(images), to);
  }

  $("name-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = names.clean(field.value);
    answer(name === "" ? undefined : name);
  });
  $("name-none").addEventListener("click", () => answer(undefined));
  $("name-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    const { back } = asked;
    if (back && back.isConnected) back.focus({ preventScroll: true });
  });

  // --- What a key or a button is about.

  const viewed = () => ($("viewer").open ? page.viewed() : null);

  function images() {
    const one = viewed();
    if (one) return [one];
    if (chosen.size > 0) return [...chosen.values()];
    const record = records.get(document.activeElement);
    return record ? [record] : [];
  }

  function cluster() {
    const card = document.activeElement.closest("main .card");
    if (card) return Number(card.dataset.cluster);
    const heading = document.querySelector("main h1[data-cluster]");
    return heading ? Number(heading.dataset.cluster) : null;
  }

  function clear() {
    chosen.clear();
    paint();
  }

  function toggle(record) {
    if (!chosen.delete(record.name)) chosen.set(record.name, record);
    paint();
  }

  const actions = {
    name() {
      const list = images();
      if (list.length > 0) askImages(list);
      else actions.cluster();
    },
    cluster() {
      if (cluster() !== null) askCluster(cluster());
    },
    rubbish() {
      if (!mark(null)) actions["cluster-rubbish"]();
    },
    "cluster-rubbish"() {
      const which = cluster();
      if (which === null) return;
      const was = names.cluster(which) === null;
      names.nameClusters([which], was ? undefined : null);
      page.say(`Cluster ${which} is ${was ? "no longer " : ""}rubbish`);
    },
    wrong: () => mark(false),
    yes() {
      const list = images().filter((record) => record.guess !== undefined);
      if (list.length !== 1) return;
      names.nameImages([list[0].name], list[0].guess);
      page.say(`Named ${shownName(list[0].guess)}`);
      const next = document.activeElement.nextElementSibling;
      if (next && !viewed()) next.focus();
    },
    choose() {
      const list = viewed() ? [viewed()] : images();
      const record = records.get(document.activeElement) ?? (viewed() && list[0]);
      if (record) toggle(record);
    },
    together: () => pairUp("together"),
    apart: () => pairUp("apart"),
    undo() {
      if (names.undo()) page.say("Undone");
    },
    save() {
      const file = new Blob([names.text()], { type: "application/json" });
      const link = el("a", { href: URL.createObjectURL(file), download: "labels.json" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      page.say("Saved labels.json");
    },
  };

  // Give the images a mark, or take it back if all have it.
  function mark(value) {
    const list = images();
    if (list.length === 0) return false;
    const all = list.every((record) => names.image(record.name) === value);
    names.nameImages(list.map((record) => record.name), all ? undefined : value);
    const word = value === null ? "rubbish" : "does not belong";
    page.say(all ? "Taken back" : word);
    clear();
    return true;
  }

  function pairUp(kind) {
    if (chosen.size < 2) return;
    if (kind === "apart" && chosen.size > MOST_APART) {
      names.tell(`${plural(chosen.size, "image")} are too many to be apart, each from each: at most ${MOST_APART}.`);
      return;
    }
    names.pair([...chosen.keys()], kind);
    page.say(`${plural(chosen.size, "image")} belong ${kind}`);
    clear();
  }

  const KEYS = {
    n: "name", r: "rubbish", w: "wrong", y: "yes", x: "choose", g: "together", a: "apart", u: "undo",
    s: "save",
  };
  addEventListener("keydown", (event) => {
    if (dialog.open || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "z") actions.undo();
      return;
    }
    if (event.key === "Escape" && chosen.size > 0 && !viewed()) {
      clear();
      event.stopImmediatePropagation();
      return;
    }
    const action = KEYS[event.key];
    if (!action || (viewed() && ["together", "apart"].includes(action))) return;
    event.preventDefault();
    actions[action]();
  });

  // Buttons name their action; a click must not take the focus from the image that it is about.
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest("[data-do]")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) actions[button.dataset.do]();
  });
  $("choose").addEventListener("click", () => {
    choosing = !choosing;
    paint();
  });
  $("clear").addEventListener("click", clear);
  names.onChange((text) => {
    trouble = text;
    paint();
  });

  return {
    paint, paintCard, paintTile, toggle, ask, shownName,
    addTile(tile, record) {
      records.set(tile, record);
      paintTile(tile);
    },
    takesClick: (event) => choosing || event.ctrlKey || event.metaKey,
  };
})();
