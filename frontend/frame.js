// The frame of every page: the theme switch, the menus, the clicks that come before the islands, the times of pages
// without islands, and the lamps of the map.

// Automatic, dark, light. The style sheet shows the state by the root's attribute, and the cookie tells the
// server the theme of the next page.
const NEXT = { auto: "dark", dark: "light", light: "auto" };
const ONE_YEAR = 31_536_000;

const root = document.documentElement;
document.getElementById("theme-switch")?.addEventListener("click", () => {
  const theme = NEXT[root.dataset.theme] ?? "auto";
  root.dataset.theme = theme;
  // Under HTTPS a cookie is for this host alone.
  const [prefix, secure] = location.protocol === "https:" ? ["__Host-", "; Secure"] : ["", ""];
  document.cookie = `${prefix}theme=${theme}; Path=/; Max-Age=${ONE_YEAR}; SameSite=Lax${secure}`;
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

// A click on a button with `data-early`, before the island around it is hydrated, is kept, and done once it is. Only
// actions that a person can take back have the attribute.
const MOST_EARLY_CLICKS = 20;
const early = [];
const keepClick = (event) => {
  const button = event.target.closest("leptos-island [data-early]");
  if (!button || button.disabled || early.length >= MOST_EARLY_CLICKS) return;
  early.push(button);
  button.ariaBusy = "true";
};
document.addEventListener("click", keepClick);
document.addEventListener(
  "hydrated",
  () => {
    document.removeEventListener("click", keepClick);
    // A task of its own: what the islands load when they begin, such as the basket, is there by then.
    setTimeout(() => {
      for (const button of early) {
        button.ariaBusy = null;
        button.click();
      }
    });
  },
  { once: true },
);

// Islands format their own times. The rest of a page has the server's form, which this brings into the language
// of the page, in the form of the browser's region if the browser has the same language, with Latin digits.
const language = root.lang.split("-")[0];
const regional = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? root.lang;
const locale = `${regional.split("-u-")[0]}-u-nu-latn`;
const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
for (const time of document.querySelectorAll("time.time")) {
  if (!time.closest("leptos-island")) time.textContent = format.format(new Date(time.dateTime));
}

// The lamps of the invariants beside the live map, which the server renders. They are read again now and then, because
// the bundle of the map has no room for them.
const LAMPS_MS = 3_000;
const lamps = document.querySelector(".lamps");
const readLamps = async (timer) => {
  if (document.hidden || !navigator.onLine) return;
  const answer = await fetch("/api/v1/lab/invariants").catch(() => null);
  if (!answer) return;
  if (!answer.ok) {
    // A busy server is asked again. Other refusals stay, as after the end of the session.
    if (![429, 503].includes(answer.status)) clearInterval(timer);
    return;
  }
  const { data } = await answer.json();
  for (const { name, holds } of data) {
    lamps.querySelector(`[data-light="${name}"]`)?.setAttribute("data-holds", holds);
  }
};
if (lamps) {
  const timer = setInterval(() => readLamps(timer), LAMPS_MS);
}
