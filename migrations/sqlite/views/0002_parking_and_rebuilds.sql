-- Events that a projection could not apply, and the later events of the same stream, which wait behind them. They are
-- written in the transaction that moves the lane's checkpoint over them, so an event is either folded or parked.
create table parked (
    workspace      blob    not null,
    view           text    not null,
    generation     integer not null,
    partition      integer not null,
    position       integer not null,
    -- UUIDv5 of the lane and the event: the name in the interface
    id             blob    not null check (length(id) = 16),
    stream         text    not null,
    version        integer not null,
    event_id       blob    not null,
    event_type     text    not null,
    correlation_id blob    not null,
    -- dead: could not be applied; waiting: behind a dead one of its stream; discarded: somebody decided to go on without it
    state          text    not null check (state in ('dead', 'waiting', 'discarded')),
    -- why it could not be applied, and how often that was tried; empty and 0 for what only waits
    reason         text    not null,
    attempts       integer not null,
    -- microseconds since 1970
    parked_at      integer not null,
    primary key (workspace, view, generation, partition, position)
) strict, without rowid;

-- What a lane asks in every transaction: which streams are held back.
create index parked_by_stream on parked (workspace, view, generation, partition, stream) where state <> 'discarded';
create index parked_by_id on parked (workspace, id);

-- The highest generation that was ever begun, so that no number is used twice, and the one that is being folded beside
-- the live one.
alter table generations add column newest integer not null default 1;
alter table generations add column building integer;

-- Where the lane stood when parked events were last applied: documents changed without the checkpoint moving, so a reader
-- who has seen no more than this cannot prove that it has missed nothing.
alter table checkpoints add column released_at integer not null default 0;
