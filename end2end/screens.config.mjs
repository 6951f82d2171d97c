// Takes the pictures of docs/screens/ and draws the icons: `npx playwright test --config screens.config.mjs`. `cargo xtask
// screens` does this with a fresh client and server; by hand, FOLDLINE_BINARY names the server.
import config from "./playwright.config.mjs";

export default { ...config, testDir: ".", testMatch: ["icons.mjs", "screens.mjs"], reporter: "list" };
