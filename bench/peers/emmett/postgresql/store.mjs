// Emmett on PostgreSQL as its guide says: one event store with its own pool, which all callers share.

import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";

export const open = async (url) => {
  const store = getPostgreSQLEventStore(url);
  await store.schema.migrate();
  return {
    append: (stream, events, options) => store.appendToStream(stream, events, options),
    close: () => store.close(),
  };
};
