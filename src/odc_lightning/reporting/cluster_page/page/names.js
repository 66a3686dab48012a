"use strict";
// What a person says about clusters and images: changes, undo, and where it is kept.
page.names = (() => {
  const FORMAT = "odc-labels";
  const VERSION = 1;
  const LONGEST = 200;
  const STEPS = 500; // that can be undone
  let said = nothing();
  let changed = ""; // the time of the last change
  const before = [];
  const listeners = [];
  let server = null; // the ETag of labels.json, if a server keeps it
  let sending = null;

  function nothing() {
    return { clusters: new Map(), images: new Map(), together: [], apart: [] };
  }

  const copy = () => ({
    clusters: new Map(said.clusters),
    images: new Map(said.images),
    together: [...said.together],
    apart: [...said.apart],
  });

  // `edit` changes a copy, so the former state can come back.
  function change(edit) {
    before.push(said);
    if (before.length > STEPS) before.shift();
    said = copy();
    edit(said);
    keep();
  }

  function undo() {
    if (before.length === 0) return false;
    said = before.pop();
    keep();
    return true;
  }

  function set(map, key, value) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }

  // A name, null for rubbish, undefined to take it back.
  const nameClusters = (clusters, name) =>
    change((draft) => clusters.forEach((cluster) => set(draft.clusters, cluster, name)));

  // As above, or false for images that do not belong to the name of their cluster.
  const nameImages = (images, name) =>
    change((draft) => images.forEach((image) => set(draft.images, image, name)));

  const same = (pair, one, other) => pair.includes(one) && pair.includes(other);

  // `kind` is together or apart; a pair is one of them.
  function pair(images, kind) {
    change((draft) => {
      for (let index = 1; index < images.length; index += 1) {
        const from = kind === "together" ? index - 1 : 0; // a chain, or each from each
        for (let other = from; other < index; other += 1) {
          part(draft, images[other], images[index]);
          draft[kind].push([images[other], images[index]]);
        }
      }
    });
  }

  function part(draft, one, other) {
    for (const kind of ["together", "apart"]) {
      draft[kind] = draft[kind].filter((each) => !same(each, one, other));
    }
  }

  const rename = (clusters, images, name) =>
    change((draft) => {
      clusters.forEach((cluster) => set(draft.clusters, cluster, name));
      images.forEach((image) => set(draft.images, image, name));
    });

  const unpair = (one, other) => change((draft) => part(draft, one, other));

  const clean = (text) => text.normalize("NFC").replace(/[\s\p{Cc}\p{Cs}]+/gu, " ").trim().slice(0, LONGEST);

  function text() {
    return JSON.stringify(
      {
        format: FORMAT,
        version: VERSION,
        run: page.facts.run,
        clustering: page.facts.clustering,
        changed,
        clusters: Object.fromEntries(said.clusters),
        images: Object.fromEntries([...said.images].filter(([, name]) => name !== false)),
        wrong: [...said.images].filter(([, name]) => name === false).map(([image]) => image),
        together: said.together,
        apart: said.apart,
      },
      null,
      1,
    );
  }

  function parsed(value) {
    if (!value || value.format !== FORMAT || value.version !== VERSION) {
      throw new Error("this is no labels.json of this version");
    }
    const own = value.clustering === page.facts.clustering;
    const clusters = own ? Object.entries(value.clusters ?? {}) : [];
    return {
      own,
      changed: value.changed ?? "",
      said: {
        clusters: new Map(clusters.map(([key, name]) => [Number(key), name])),
        images: new Map([
          ...Object.entries(value.images ?? {}),
          ...(value.wrong ?? []).map((image) => [image, false]),
        ]),
        together: value.together ?? [],
        apart: value.apart ?? [],
      },
    };
  }

  // Take a file in place of what is there. Names of clusters hold for one clustering only.
  function load(content) {
    const read = parsed(JSON.parse(content));
    change((draft) => Object.assign(draft, read.said));
    return read.own;
  }

  const key = () => `odc-labels/${page.facts.clustering}`;

  function keep() {
    changed = new Date().toISOString();
    let kept = true;
    try {
      localStorage.setItem(key(), text());
    } catch {
      kept = false; // it is full, or refuses to keep anything
    }
    if (server !== null) send();
    tell(kept || server !== null ? null : "This browser keeps nothing for this page: save labels.json.");
  }

  const tell = (trouble) => listeners.forEach((listener) => listener(trouble));

  // One request at a time, the last state after those that wait for it.
  function send() {
    const put = async () => {
      const headers = { "Content-Type": "application/json", "If-Match": server };
      const answer = await fetch("labels.json", { method: "PUT", headers, body: text() });
      if (answer.ok) {
        server = answer.headers.get("ETag");
        tell(null);
      } else if (answer.status === 412) {
        tell("labels.json was changed elsewhere: save these labels under another name, and reload.");
      } else tell(`labels.json was not saved: ${await answer.text()}`);
    };
    sending = (sending ?? Promise.resolve()).then(put).catch(() => {
      tell("The server is gone: save labels.json, or start it again.");
    });
    return sending;
  }

  // The newest of what the page came with, what the browser keeps and what the server keeps.
  async function start() {
    const found = [page.facts.given];
    try {
      found.push(JSON.parse(localStorage.getItem(key())));
    } catch {
      // nothing is kept
    }
    let ofServer = "";
    if (location.protocol.startsWith("http")) {
      const answer = await fetch("labels.json", { cache: "no-store" }).catch(() => null);
      if (answer && answer.status === 200 && answer.headers.get("ETag")) {
        const value = await answer.json().catch(() => null);
        server = answer.headers.get("ETag");
        if (value) ofServer = value.changed ?? "";
        found.push(value);
      } else if (answer && answer.status === 204) server = "";
    }
    for (const value of found) {
      try {
        const read = parsed(value);
        if (read.changed >= changed) ({ said, changed } = read);
      } catch {
        // none, or of another version
      }
    }
    if (server !== null && changed > ofServer) send();
    tell(null);
  }

  // Another tab with the same clusters.
  addEventListener("storage", (event) => {
    if (!page.facts || event.key !== key() || event.newValue === null) return;
    ({ said, changed } = parsed(JSON.parse(event.newValue)));
    before.length = 0;
    tell(null);
  });

  return {
    start, nameClusters, nameImages, rename, pair, unpair, undo, clean, text, load,
    onChange: (listener) => listeners.push(listener),
    cluster: (cluster) => said.clusters.get(cluster),
    image: (name) => said.images.get(name),
    // What an image is called: a name, null for rubbish, undefined if nobody said.
    of: (record) =>
      said.images.has(record.name) ? said.images.get(record.name) : said.clusters.get(record.cluster),
    all: () => said,
    used: () =>
      [...new Set([...said.clusters.values(), ...said.images.values()])]
        .filter((name) => typeof name === "string")
        .sort((one, other) => one.localeCompare(other)),
    canUndo: () => before.length > 0,
    isServed: () => server !== null,
    forget: () => change((draft) => Object.assign(draft, nothing())),
  };
})();
