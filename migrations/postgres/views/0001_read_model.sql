-- The read model: what the projections have folded. Nothing here is a source of truth; all of it can be folded again
-- from the event store. Texts are compared byte by byte, whatever the database's own collation is, so that a listing has
-- the same order everywhere.

-- The generations of a view in a workspace. A rebuild folds a new generation beside the live one and then changes this one
-- row. Whoever writes a view holds its row, so that two lanes never fold into one document at the same time.
create table generations (
    workspace  uuid   not null,
    view       text   collate "C" not null,
    -- the one that is read
    live       bigint not null check (live > 0),
    -- the highest that was ever begun, so that no number is used twice
    newest     bigint not null,
    -- the one that is being folded beside the live one
    building   bigint,
    primary key (workspace, view)
) with (fillfactor = 70);

-- How far a lane (one view on one partition) has folded: the position of the last event it has seen. It changes in the
-- same transaction as the documents, and only from the value that the lane believes it to have.
create table checkpoints (
    workspace   uuid   not null,
    view        text   collate "C" not null,
    generation  bigint not null,
    partition   bigint not null,
    position    bigint not null check (position > 0),
    -- where the lane stood when parked events were last applied: documents changed without the checkpoint moving, so a
    -- reader who has seen no more than this cannot prove that it has missed nothing
    released_at bigint not null default 0,
    primary key (workspace, view, generation, partition)
) with (fillfactor = 70);

-- The documents, as JSON. The owner is the person a document belongs to, where it belongs to somebody.
create table documents (
    workspace  uuid   not null,
    view       text   collate "C" not null,
    generation bigint not null,
    key        text   collate "C" not null,
    data       text   not null,
    owner      uuid,
    primary key (workspace, view, generation, key)
) with (fillfactor = 80);

-- Where documents are listed. The primary key is the order in which a listing is read, so a page is one range of it.
create table listings (
    workspace  uuid   not null,
    view       text   collate "C" not null,
    generation bigint not null,
    listing    text   collate "C" not null,
    group_key  text   collate "C" not null,
    sort_key   text   collate "C" not null,
    key        text   collate "C" not null,
    primary key (workspace, view, generation, listing, group_key, sort_key, key)
);

-- Events that a projection could not apply, and the later events of the same stream, which wait behind them. They are
-- written in the transaction that moves the lane's checkpoint over them, so an event is either folded or parked.
create table parked (
    workspace      uuid   not null,
    view           text   collate "C" not null,
    generation     bigint not null,
    partition      bigint not null,
    position       bigint not null,
    -- UUIDv5 of the lane and the event: the name in the interface
    id             uuid   not null,
    stream         text   collate "C" not null,
    version        bigint not null,
    event_id       uuid   not null,
    event_type     text   not null,
    correlation_id uuid   not null,
    -- dead: could not be applied; waiting: behind a dead one of its stream; discarded: somebody decided to go on without it
    state          text   not null check (state in ('dead', 'waiting', 'discarded')),
    -- why it could not be applied, and how often that was tried; empty and 0 for what only waits
    reason         text   not null,
    attempts       bigint not null,
    -- microseconds since 1970
    parked_at      bigint not null,
    primary key (workspace, view, generation, partition, position)
);

-- What a lane asks in every transaction: which streams are held back.
create index parked_by_stream on parked (workspace, view, generation, partition, stream) where state <> 'discarded';
create index parked_by_id on parked (workspace, id);
