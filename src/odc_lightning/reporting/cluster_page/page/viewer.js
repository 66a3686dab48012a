"use strict";
// One image, large, with its facts.
(() => {
  const { el, number } = page;
  const ENLARGED = 460; // pixels of the longer side of a small image
  const dialog = document.getElementById("viewer");
  const whole = dialog.querySelector(".whole");
  let list = null;
  let at = 0;
  let opener = null;
  let shown = null; // facts of the image

  page.viewed = () => shown;

  // A list has `length`, `get(i)` that promises a record, and `place(i)`: [folder, place, total].
  page.view = (images, index, button) => {
    list = images;
    opener = button;
    if (!dialog.open) dialog.showModal();
    go(index);
  };

  async function go(index) {
    if (index < 0 || index >= list.length) return;
    at = index;
    const record = await list.get(index);
    if (index !== at) return;
    shown = record;
    const small = page.picture(...list.place(index), page.describe(record));
    whole.replaceChildren(small);
    const address = fileOf(record.name);
    if (address !== null) {
      const image = new Image();
      image.alt = page.describe(record);
      image.onload = () => {
        if (index !== at || !dialog.open) return;
        const side = Math.max(image.naturalWidth, image.naturalHeight);
        if (side < ENLARGED) image.width = (image.naturalWidth * ENLARGED) / side;
        whole.replaceChildren(image);
      };
      image.src = address;
    }
    dialog.querySelector("h2").textContent = record.name;
    page.repaintViewer();
    const facts = [
      ["Cluster", clusterLink(record.cluster)],
      ["Distance", number(record.distance)],
    ];
    if (record.second >= 0) {
      facts.push(["Second choice", clusterLink(record.second)], ["Margin", number(record.margin)]);
    }
    facts.push(["Outlier score", number(record.score)]);
    const name = page.className(record.label);
    if (name !== null) facts.push(["Class", page.facts.classes[record.label]]);
    dialog.querySelector("dl").replaceChildren(
      ...facts.flatMap(([key, value]) => [el("dt", { text: key }), el("dd", {}, value)]),
    );
    dialog.querySelector(".more").replaceChildren(
      ...(address === null
        ? []
        : [el("a", { href: address, target: "_blank", rel: "noreferrer", text: "Open the file" })]),
    );
    dialog.setAttribute("aria-label", page.describe(record));
    document.getElementById("before").disabled = index === 0;
    document.getElementById("after").disabled = index === list.length - 1;
  }

  // What the image is called, and from whom.
  page.repaintViewer = () => {
    if (shown === null) return;
    const own = page.names.image(shown.name);
    const name = page.names.of(shown);
    const from = own === undefined ? "by its cluster" : "by hand";
    const text =
      own === false
        ? "does not belong"
        : name === undefined ? "no name" : `${page.naming.shownName(name)}, ${from}`;
    dialog.querySelector(".called").textContent = text;
    const yes = dialog.querySelector("[data-do=yes]");
    yes.hidden = shown.guess === undefined;
    if (!yes.hidden) yes.textContent = `Yes, ${page.naming.shownName(shown.guess)}`;
    dialog.querySelector("[data-do=wrong]").setAttribute("aria-pressed", own === false);
    dialog.querySelector("[data-do=rubbish]").setAttribute("aria-pressed", own === null);
  };

  function clusterLink(cluster) {
    const link = el("a", { href: `#/cluster/${cluster}`, text: cluster });
    link.addEventListener("click", () => dialog.close());
    return link;
  }

  // Names that are not UTF-8 have each such byte as a lone surrogate.
  function fileOf(name) {
    const { originals } = page.facts;
    if (originals === null) return null;
    const parts = [];
    for (const each of name) {
      const code = each.codePointAt(0);
      if (code >= 0xdc80 && code <= 0xdcff) parts.push(`%${(code - 0xdc00).toString(16)}`);
      else if (each === "/") parts.push("/");
      else if (code >= 0xd800 && code <= 0xdfff) return null;
      else parts.push(encodeURIComponent(each));
    }
    return originals + parts.join("");
  }

  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") go(at - 1);
    else if (event.key === "ArrowRight") go(at + 1);
    else return;
    event.preventDefault();
  });
  document.getElementById("before").addEventListener("click", () => go(at - 1));
  document.getElementById("after").addEventListener("click", () => go(at + 1));
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    if (dialog.open) return; // the event comes late, and the next image may be there already
    whole.replaceChildren();
    shown = null;
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
  });
})();
