// How long tests wait before they fail: one deadline for everything. It only ends a test that hangs, so it is far longer
// than anything takes on a machine that is busy with other things.

/** For what a page, a server or an answer is waited for, in milliseconds. */
export const PATIENCE_MS = 120_000;

/** For all tests of a file, in milliseconds. */
export const FILE_MS = 60 * 60_000;

/** How long a server of the tests may take over an answer: as long as it is waited for. */
export const REQUEST_TIMEOUT = ["--request-timeout-ms", String(PATIENCE_MS)];
