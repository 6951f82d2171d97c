// Takes the pictures of docs/screens/: `npx playwright test --config screens.config.mjs`. `cargo xtask
// screens` does this with a fresh client and server; by hand, FOLDLINE_BINARY names the server.
import config from "./playwright.config.mjs";

export default { ...config, testDir: ".", testMatch: "screens.mjs", reporter: "list" };
