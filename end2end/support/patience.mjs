// How long tests wait before they fail: one deadline for everything. It only ends a test that hangs, so it is
// far longer than anything takes on a busy machine.

/** For what a page, a server or an answer is waited for, in milliseconds. */
export const PATIENCE_MS = 120_000;

/** For a whole test, in milliseconds. */
export const TEST_MS = 60 * 60_000;

/** How long a server of the tests may take over an answer: as long as it is waited for. */
export const REQUEST_TIMEOUT = ["--request-timeout-ms", String(PATIENCE_MS)];
