// The frame of every page: the theme switch, the menus, and the times of pages without islands.

// Automatic, dark, light. The style sheet shows the state by the root's attribute, and the cookie tells the
// server the theme of the next page.
const NEXT = { auto: "dark", dark: "light", light: "auto" };
const ONE_YEAR = 31_536_000;

const root = document.documentElement;
document.getElementById("theme-switch")?.addEventListener("click", () => {
  const theme = NEXT[root.dataset.theme] ?? "auto";
  root.dataset.theme = theme;
  document.cookie = `theme=${theme}; Path=/; Max-Age=${ONE_YEAR}; SameSite=Lax`;
});

// A menu opens and closes without a script. With one, it also closes on Escape and on a press outside of it.
const openMenus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    const hadFocus = menu.contains(document.activeElement);
    menu.open = false;
    if (hadFocus) menu.querySelector("summary").focus();
  }
});

// Islands format their own times. The rest of a page has the server's form, which this brings into the language
// of the page, in the form of the browser's region if the browser has the same language, with Latin digits.
const language = root.lang.split("-")[0];
const regional = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? root.lang;
const locale = `${regional.split("-u-")[0]}-u-nu-latn`;
const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
for (const time of document.querySelectorAll("time.time")) {
  if (!time.closest("leptos-island")) time.textContent = format.format(new Date(time.dateTime));
}
