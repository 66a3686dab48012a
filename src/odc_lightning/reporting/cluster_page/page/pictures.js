"use strict";
// Thumbnails: a hundred on a sheet, of which an element shows one.
(() => {
  const { el, number, percent } = page;

  // A sheet is asked for when its picture comes into sight.
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        entry.target.style.backgroundImage = `url("${entry.target.dataset.sheet}")`;
      }
    },
    { rootMargin: "500px" },
  );

  // `folder` is sheets, outliers or duplicates; `place` the number in it, of `total`.
  function picture(folder, place, total, label) {
    const { perSheet, columns } = page.facts;
    const sheet = Math.floor(place / perSheet);
    const cell = place % perSheet;
    const rows = Math.ceil(Math.min(perSheet, total - sheet * perSheet) / columns);
    const element = el("span", { class: "picture", role: "img", "aria-label": label });
    element.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
    const x = (100 * (cell % columns)) / (columns - 1);
    const y = rows > 1 ? (100 * Math.floor(cell / columns)) / (rows - 1) : 0;
    element.style.backgroundPosition = `${x}% ${y}%`;
    element.dataset.sheet = `page/pictures/${folder}/${sheet}.jpg`;
    seen.observe(element);
    return element;
  }

  const describe = (record) =>
    `image ${record.name}, cluster ${record.cluster}, distance ${number(record.distance)}`;

  function className(label) {
    const { classes } = page.facts;
    if (label < 0 || !classes) return null;
    // A number alone could be that of a cluster.
    return /^\d+$/.test(classes[label]) ? `class ${classes[label]}` : classes[label];
  }

  // An image as a button that opens the viewer on `list`, at `at`.
  function tile(record, folder, place, total, list, at, caption) {
    const button = el(
      "button",
      { type: "button", class: "tile", title: record.name },
      picture(folder, place, total, describe(record)),
      el("span", { class: "caption", "aria-hidden": true }),
    );
    button.dataset.caption = caption;
    const { majorities } = page.facts;
    if (majorities && record.label >= 0 && record.label !== majorities[record.cluster]) {
      button.classList.add("other");
    }
    button.addEventListener("click", (event) => {
      if (page.naming.takesClick(event)) page.naming.toggle(record);
      else page.view(list, at, button);
    });
    page.naming.addTile(button, record);
    return button;
  }

  // A cluster as a card with its four faces.
  function card(cluster, detail) {
    const { sizes, tightness, purities, majorities, side } = page.facts;
    const size = sizes[cluster];
    const image = el("img", {
      src: `page/pictures/faces/${cluster}.jpg`,
      alt: `the images nearest to the centroid of cluster ${cluster}`,
      loading: "lazy",
      decoding: "async",
      width: 2 * side,
      height: 2 * side,
    });
    const name = majorities ? className(majorities[cluster]) : null;
    const facts = [page.plural(size, "image"), `tightness ${number(tightness[cluster])}`];
    if (name !== null) facts.push(`${percent(purities[cluster])} ${name}`);
    const link = el(
      "a",
      {
        class: "card",
        href: `#/cluster/${cluster}`,
        "data-cluster": cluster,
        "data-facts": facts.join(", "),
      },
      el("span", { class: "faces" }, image),
      el(
        "span",
        { class: "line" },
        el("b"),
        el("span", { class: "soft", text: detail ?? page.plural(size, "image") }),
      ),
    );
    const bar = el("span", { class: "bar", "aria-hidden": true, title: "tightness" }, el("i"));
    bar.firstChild.style.width = `${100 * page.looseness(cluster)}%`;
    const low = el(
      "span",
      { class: "line low" },
      bar,
      el("span", { class: "soft figure", text: number(tightness[cluster]) }),
    );
    if (detail === undefined) {
      link.append(low);
      if (name !== null) {
        link.append(
          el(
            "span",
            { class: "line low" },
            el("span", { class: "class", text: name }),
            el("span", { class: "soft figure", text: percent(purities[cluster]) }),
          ),
        );
      }
    }
    page.naming.paintCard(link);
    return link;
  }

  Object.assign(page, { picture, tile, card, describe, className });
})();
