// The theme switch of every page: automatic, dark, light. The style sheet shows the state by the root's
// attribute, and the cookie tells the server the theme of the next page.
const NEXT = { auto: "dark", dark: "light", light: "auto" };
const ONE_YEAR = 31_536_000;

const root = document.documentElement;
document.getElementById("theme-switch")?.addEventListener("click", () => {
  const theme = NEXT[root.dataset.theme] ?? "auto";
  root.dataset.theme = theme;
  document.cookie = `theme=${theme}; Path=/; Max-Age=${ONE_YEAR}; SameSite=Lax`;
});
