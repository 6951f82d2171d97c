-- The event store: streams of events, in partitions, in workspaces.
--
-- A database of one writer. Numbers (`no`) stand for names inside it, so that the rows that are written most, the
-- events and their index entries, stay small; they never leave the database.

-- A tenant: one class, one test or one business.
create table workspaces (
    no integer primary key,
    -- UUIDv7
    id blob not null unique check (length(id) = 16),
    name text not null,
    template text not null,
    -- the number of partitions, for ever: a stream's partition is hash(stream) mod shards
    shards integer not null check (shards between 1 and 64),
    join_code text not null unique,
    -- microseconds since 1970, as every time here
    created_at integer not null
) strict;

-- A partition is the unit of order: positions are dense in it, 1, 2, 3 … in the order of commits.
create table partitions (
    no integer primary key check (no between 0 and 8388607),
    workspace_no integer not null references workspaces (no),
    partition integer not null,
    -- the position of its newest event, and that event's hash, to which the next one is chained
    head integer not null check (head between 0 and 1099511627775),
    head_hash blob not null check (length(head_hash) = 32),
    unique (workspace_no, partition)
) strict;

-- A stream is the unit of consistency. It has a row from its first event on.
create table streams (
    no integer primary key,
    workspace_no integer not null references workspaces (no),
    name text not null,
    partition_no integer not null references partitions (no),
    -- of its newest event
    version integer not null check (version > 0),
    unique (workspace_no, name)
) strict;

-- Every type and version that was ever written; start-up refuses to read what the program does not know.
create table event_types (
    no integer primary key,
    name text not null,
    schema_version integer not null,
    unique (name, schema_version)
) strict;

-- What happened. Never changed, never deleted: the triggers below see to it.
create table events (
    -- partition and position in one number, partition_no * 2^40 + position, so that the table itself lies in the order
    -- in which it is written and read, and needs no second tree for it
    place integer primary key,
    stream_no integer not null references streams (no),
    version integer not null check (version > 0),
    -- UUIDv7
    event_id blob not null,
    type_no integer not null references event_types (no),
    -- JSON; these bytes were hashed
    payload text not null,
    correlation_id blob not null,
    -- the event that caused it; null where a person did
    causation_id blob,
    command_id blob not null,
    actor_id blob not null,
    actor_role text not null,
    -- W3C trace context
    traceparent text,
    recorded_at integer not null,
    -- SHA-256 over this event and its predecessor's hash in the partition
    hash blob not null check (length(hash) = 32),
    unique (stream_no, version)
) strict;

-- An index entry ends with the place, so both read in the order of the log.
create index events_by_correlation on events (correlation_id);
create index events_by_type on events (type_no);

create trigger events_are_never_updated before update on events
begin
    select raise(abort, 'events are immutable: a recorded event cannot be updated');
end;

create trigger events_are_never_deleted before delete on events
begin
    select raise(abort, 'events are immutable: a recorded event cannot be deleted');
end;

-- Every command that was accepted, so that a repetition gets the first answer again.
create table commands (
    workspace_no integer not null references workspaces (no),
    command_id blob not null check (length(command_id) = 16),
    -- tells a repetition from another command with the same id
    body_digest blob not null check (length(body_digest) = 32),
    correlation_id blob not null,
    -- JSON: for each stream its name, its version afterwards, its partition, the position of the first of its new events
    -- and their number; ids and types are read from the events themselves
    answer text not null,
    primary key (workspace_no, command_id)
) strict, without rowid;

-- A state of a stream's aggregate. May be deleted at any time.
create table snapshots (
    stream_no integer primary key references streams (no),
    version integer not null,
    schema_version integer not null,
    state text not null
) strict;
