"use strict";
// What all pages share: elements, a line for who does not see, light and dark.
const common = (() => {
  function make(element, props, children) {
    for (const [name, value] of Object.entries(props)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") element.textContent = value; // never markup, whatever a name holds
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter(Boolean));
    return element;
  }
  const el = (tag, props = {}, ...children) => make(document.createElement(tag), props, children);

  const say = (text) => (document.getElementById("status").textContent = text);

  // As the system has it, until somebody chooses; who draws by colours listens for "theme".
  const root = document.documentElement;
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  function chooseTheme(theme) {
    root.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  }
  const changeTheme = () => chooseTheme(isDark() ? "light" : "dark");
  document.getElementById("theme").addEventListener("click", changeTheme);

  return { make, el, say, isDark, chooseTheme, changeTheme };
})();
