// The last line of a run, in the form of libtest: `cargo xtask test` adds such lines up.

export default class Reporter {
  #suite = null;

  onBegin(_config, suite) {
    this.#suite = suite;
  }

  onEnd({ status }) {
    const tests = this.#suite?.allTests() ?? [];
    const passed = tests.filter((test) => test.outcome() === "expected").length;
    let failed = tests.filter((test) => test.outcome() === "unexpected").length;
    // A run may fail without a test: a file cannot be loaded, or the run is interrupted.
    if (status !== "passed") failed = Math.max(1, failed);
    const files = new Set(tests.map((test) => test.location.file)).size;
    const verdict = failed === 0 ? "ok" : "FAILED";
    console.log(`test result: ${verdict}. ${passed} passed; ${failed} failed; ${files} files`);
  }

  printsToStdio() {
    return false;
  }
}
