// What goes wrong in a page without a test looking: an error on the console, an exception, a response that is
// a server error. Each fails the test at its end, unless the test allows it.

export class PageErrors {
  #messages = [];
  #allowed = [];

  /** Listens to every page of a person's browser. */
  watch(person) {
    person.on("page", (page) => this.#watchPage(page));
  }

  /** Says that messages which match are part of the test. */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  /** The messages that the test does not allow. */
  unexpected() {
    return this.#messages.filter((message) => !this.#allowed.some((pattern) => pattern.test(message)));
  }

  #watchPage(page) {
    page.on("console", (message) => {
      const { url } = message.location();
      if (message.type() !== "error" || (readsAView(url) && /\b503\b/.test(message.text()))) return;
      this.#messages.push(`console: ${message.text()} (${url})`);
    });
    page.on("pageerror", (error) => this.#messages.push(`exception: ${error.message}`));
    page.on("response", (response) => {
      const isLate = response.status() === 503 && readsAView(response.url());
      if (response.status() >= 500 && !isLate) this.#messages.push(`${response.status()}: ${response.url()}`);
    });
  }
}

/**
 * Whether this reads a view as of a position. A view that has not reached it yet answers 503, which is no
 * error: the page asks again.
 */
function readsAView(url) {
  return /\/api\/v1\/views\/.*[?&]after=/.test(url);
}
