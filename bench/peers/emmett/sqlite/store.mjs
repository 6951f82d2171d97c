// Emmett on SQLite. Its event store opens a connection for every append, and concurrent appends of one store
// would share a transaction, so the callers take turns. SQLite has one writer in any case.

import { getSQLiteEventStore } from "@event-driven-io/emmett-sqlite";

export const open = async (file) => {
  const store = getSQLiteEventStore({ fileName: file });
  let last = Promise.resolve();
  return {
    append: (stream, events, options) => {
      const appended = last.then(() => store.appendToStream(stream, events, options));
      last = appended.catch(() => {});
      return appended;
    },
    close: async () => {},
  };
};
