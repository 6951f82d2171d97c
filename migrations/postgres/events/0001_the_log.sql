-- The event store: streams of events, in partitions, in workspaces.
--
-- Several servers may append to one database. What keeps them apart is the row of a partition: whoever appends holds it
-- until the commit. Numbers (`no`) stand for names inside the database, so that the rows that are written most stay
-- small; they never leave it. Whatever is compared or sorted as text is so byte by byte, whatever the database's own
-- collation is.

-- A tenant: one class, one test or one business.
create table workspaces (
    no bigint generated always as identity primary key,
    -- UUIDv7
    id uuid not null unique,
    name text not null,
    template text not null,
    -- the number of partitions, for ever: a stream's partition is hash(stream) mod shards
    shards bigint not null check (shards between 1 and 64),
    join_code text collate "C" not null unique,
    -- microseconds since 1970, as every time here
    created_at bigint not null
);

-- A partition is the unit of order: positions are dense in it, 1, 2, 3 … in the order of commits. Its row changes with
-- every append; the room that is left in its pages lets it change where it lies.
create table partitions (
    no bigint generated always as identity primary key,
    workspace_no bigint not null references workspaces (no),
    partition bigint not null,
    -- the position of its newest event, and that event's hash, to which the next one is chained
    head bigint not null check (head >= 0),
    head_hash bytea not null check (length(head_hash) = 32),
    unique (workspace_no, partition)
) with (fillfactor = 50);

-- A stream is the unit of consistency. It has a row from its first event on. Without foreign keys, as the tables below:
-- each would be looked up for every row, and only `append_group` writes here, for partitions whose locks it holds.
create table streams (
    no bigint primary key,
    workspace_no bigint not null,
    name text collate "C" not null,
    partition_no bigint not null,
    -- of its newest event
    version bigint not null check (version > 0),
    unique (workspace_no, name)
) with (fillfactor = 70);

-- A server takes a block of numbers at a time, and gives them to streams without asking again.
create sequence stream_nos as bigint increment by 4096;

-- Every type and version that was ever written; start-up refuses to read what the program does not know.
create table event_types (
    no bigint generated always as identity primary key,
    name text collate "C" not null,
    schema_version bigint not null,
    unique (name, schema_version)
);

-- What happened. Never changed, never deleted: the triggers below see to it. This table and `commands` grow for ever, and
-- so they are spread by hash over smaller ones, each with indexes of its own.
create table events (
    partition_no bigint not null,
    position bigint not null check (position > 0),
    stream_no bigint not null,
    version bigint not null check (version > 0),
    -- UUIDv7
    event_id uuid not null,
    type_no bigint not null,
    -- JSON, as text: these very bytes were hashed
    payload text not null,
    correlation_id uuid not null,
    -- the event that caused it; null where a person did
    causation_id uuid,
    command_id uuid not null,
    actor_id uuid not null,
    actor_role text not null,
    -- W3C trace context
    traceparent text,
    recorded_at bigint not null,
    -- SHA-256 over this event and its predecessor's hash in the partition
    hash bytea not null check (length(hash) = 32),
    primary key (partition_no, position),
    unique (partition_no, stream_no, version)
) partition by hash (partition_no);

create table events_0 partition of events for values with (modulus 8, remainder 0);
create table events_1 partition of events for values with (modulus 8, remainder 1);
create table events_2 partition of events for values with (modulus 8, remainder 2);
create table events_3 partition of events for values with (modulus 8, remainder 3);
create table events_4 partition of events for values with (modulus 8, remainder 4);
create table events_5 partition of events for values with (modulus 8, remainder 5);
create table events_6 partition of events for values with (modulus 8, remainder 6);
create table events_7 partition of events for values with (modulus 8, remainder 7);

-- Both read in the order of the log.
create index events_by_correlation on events (correlation_id, partition_no, position);
create index events_by_type on events (type_no, partition_no, position);

create function refuse_to_change_events() returns trigger language plpgsql as $$
begin
    raise exception 'events are immutable: a recorded event cannot be %', lower(tg_op) || 'd';
end;
$$;

create trigger events_are_never_changed before update or delete on events
for each row execute function refuse_to_change_events();

-- `truncate` asks each table by itself.
create trigger events_are_never_truncated before truncate on events
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_0
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_1
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_2
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_3
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_4
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_5
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_6
for each statement execute function refuse_to_change_events();
create trigger events_are_never_truncated before truncate on events_7
for each statement execute function refuse_to_change_events();

-- Every command that was accepted, so that a repetition gets the first answer again.
create table commands (
    workspace_no bigint not null,
    command_id uuid not null,
    -- tells a repetition from another command with the same id
    body_digest bytea not null check (length(body_digest) = 32),
    correlation_id uuid not null,
    -- JSON: for each stream its name, its version afterwards, its partition, the position of the first of its new events
    -- and their number; ids and types are read from the events themselves
    answer text not null,
    primary key (workspace_no, command_id)
) partition by hash (workspace_no);

create table commands_0 partition of commands for values with (modulus 8, remainder 0);
create table commands_1 partition of commands for values with (modulus 8, remainder 1);
create table commands_2 partition of commands for values with (modulus 8, remainder 2);
create table commands_3 partition of commands for values with (modulus 8, remainder 3);
create table commands_4 partition of commands for values with (modulus 8, remainder 4);
create table commands_5 partition of commands for values with (modulus 8, remainder 5);
create table commands_6 partition of commands for values with (modulus 8, remainder 6);
create table commands_7 partition of commands for values with (modulus 8, remainder 7);

-- A state of a stream's aggregate. May be deleted at any time.
create table snapshots (
    stream_no bigint primary key references streams (no),
    version bigint not null,
    schema_version bigint not null,
    state text not null
);

-- Writes a group of appends: one call, so that a group costs one round trip. The caller has judged the appends by what
-- it remembers of the partitions; if one of them has moved on since, nothing is written, and it is told so ('FL001').
--
-- The locks of the partitions are taken in the order of their numbers, so that two groups never wait for each other in a
-- circle, and are held until the commit, so that no reader sees a position before all positions below it.
create function append_group(
    -- partitions: number, hash of the head that the caller remembers, head and its hash behind the group
    partition_nos bigint[], remembered bytea[], heads bigint[], head_hashes bytea[],
    -- streams that have their first event
    new_nos bigint[], new_workspace_nos bigint[], new_names text[], new_partition_nos bigint[], new_versions bigint[],
    -- streams that had one before
    moved_nos bigint[], moved_versions bigint[],
    -- events
    event_partition_nos bigint[], positions bigint[], stream_nos bigint[], versions bigint[], event_ids uuid[],
    type_nos bigint[], payloads text[], correlation_ids uuid[], causation_ids uuid[], command_ids uuid[],
    actor_ids uuid[], actor_roles text[], traceparents text[], recorded_at bigint[], hashes bytea[],
    -- commands
    workspace_nos bigint[], answered_ids uuid[], body_digests bytea[], answered_correlations uuid[], answers text[]
) returns void language plpgsql as $$
declare
    changed bigint;
begin
    if cardinality(partition_nos) > 1 then
        perform from partitions where no = any (partition_nos) order by no for no key update;
    end if;
    update partitions p set head = g.head, head_hash = g.head_hash
    from unnest(partition_nos, remembered, heads, head_hashes) g (no, remembered, head, head_hash)
    where p.no = g.no and p.head_hash = g.remembered;
    get diagnostics changed = row_count;
    if changed <> cardinality(partition_nos) then
        raise exception 'a partition has moved on' using errcode = 'FL001';
    end if;

    if cardinality(new_nos) > 0 then
        insert into streams (no, workspace_no, name, partition_no, version)
        select * from unnest(new_nos, new_workspace_nos, new_names, new_partition_nos, new_versions);
    end if;
    if cardinality(moved_nos) > 0 then
        update streams s set version = g.version
        from unnest(moved_nos, moved_versions) g (no, version)
        where s.no = g.no;
        get diagnostics changed = row_count;
        if changed <> cardinality(moved_nos) then
            raise exception 'a stream is not there';
        end if;
    end if;

    insert into events (partition_no, position, stream_no, version, event_id, type_no, payload, correlation_id,
        causation_id, command_id, actor_id, actor_role, traceparent, recorded_at, hash)
    select * from unnest(event_partition_nos, positions, stream_nos, versions, event_ids, type_nos, payloads,
        correlation_ids, causation_ids, command_ids, actor_ids, actor_roles, traceparents, recorded_at, hashes);

    insert into commands (workspace_no, command_id, body_digest, correlation_id, answer)
    select * from unnest(workspace_nos, answered_ids, body_digests, answered_correlations, answers);
end;
$$;
