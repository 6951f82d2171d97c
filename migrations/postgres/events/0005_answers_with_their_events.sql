-- The answer of a command follows from its events: where there are any, it needs no row of its own.
--
-- The first event of a command says what its metadata do not: that it is the first, and of which command. The columns are
-- null for every other event, and for what was recorded before; such a command keeps its row in `earlier_commands`.

-- of the command, and so of the event: a command's id is unique in its workspace
alter table events add column workspace_no bigint;
-- SHA-256; tells a repetition from another command with the same id
alter table events add column body_digest bytea;
-- how many events the command has: they follow one another in this stream, and so the answer follows from this row …
alter table events add column event_count bigint;
-- … unless the command names several streams. JSON, as in `answers`
alter table events add column answer text;

-- Refuses a second command with the same id. Each index knows one table only, and so a workspace whose commands need no
-- rows has all its partitions in one table.
create unique index events_0_by_command on events_0 (workspace_no, command_id) where workspace_no is not null;
create unique index events_1_by_command on events_1 (workspace_no, command_id) where workspace_no is not null;
create unique index events_2_by_command on events_2 (workspace_no, command_id) where workspace_no is not null;
create unique index events_3_by_command on events_3 (workspace_no, command_id) where workspace_no is not null;
create unique index events_4_by_command on events_4 (workspace_no, command_id) where workspace_no is not null;
create unique index events_5_by_command on events_5 (workspace_no, command_id) where workspace_no is not null;
create unique index events_6_by_command on events_6 (workspace_no, command_id) where workspace_no is not null;
create unique index events_7_by_command on events_7 (workspace_no, command_id) where workspace_no is not null;

-- Numbers for the partitions of a workspace that is opened: all of one table.
create function partition_numbers(wanted bigint) returns setof bigint language plpgsql
set search_path from current as $$
declare
    candidate bigint;
    of_table int;
    taken bigint := 0;
begin
    while taken < wanted loop
        candidate := nextval(pg_get_serial_sequence('partitions', 'no'));
        if of_table is null then
            select r into strict of_table from generate_series(0, 7) r
            where satisfies_hash_partition('events'::regclass, 8, r, candidate);
        end if;
        if satisfies_hash_partition('events'::regclass, 8, of_table, candidate) then
            taken := taken + 1;
            return next candidate;
        end if;
    end loop;
end;
$$;

-- Whether every command has a row in `answers`, as in a workspace of several partitions that was opened before: they lie
-- in several tables, and only the key of `answers` keeps an id unique among them.
alter table workspaces add column answers_in_rows boolean not null default false;
update workspaces set answers_in_rows = true where shards > 1;

-- Commands of before. Nothing is added any more; only a workspace that has some looks for a command here.
alter table commands rename to earlier_commands;
alter table workspaces add column has_earlier_commands boolean not null default false;
update workspaces w set has_earlier_commands = true
where exists (select from earlier_commands where workspace_no = w.no);

create or replace view open_workspaces as
select no, id, name, template, shards, join_code, created_at, people, active_at, answers_in_rows, has_earlier_commands
from workspaces
where purging_since is null;

-- The commands that no event tells of: those that appended nothing, those that were imported, and those of the
-- workspaces above.
create table answers (
    workspace_no bigint not null,
    command_id uuid not null,
    body_digest bytea not null check (length(body_digest) = 32),
    correlation_id uuid not null,
    -- as in 0001
    answer text not null,
    primary key (workspace_no, command_id)
);

-- Every command that was accepted.
create view commands as
select workspace_no, command_id, body_digest, correlation_id, answer, null::bigint as event_count from answers
union all
select workspace_no, command_id, body_digest, correlation_id, answer, null from earlier_commands
union all
select workspace_no, command_id, body_digest, correlation_id, answer, event_count from events
where workspace_no is not null;

-- As in 0001, with the commands as above, and without a stream's version: that is the one of its newest event.
-- `streams.version` stays what it was after the stream's first append, or when this migration ran. A server of an older version, which does not know the events' columns, finds
-- no such function any more and appends nothing.
drop function append_group;
create function append_group(
    -- partitions: number, hash of the head that the caller remembers, head and its hash behind the group
    partition_nos bigint[], remembered bytea[], heads bigint[], head_hashes bytea[],
    -- streams that have their first event
    new_nos bigint[], new_workspace_nos bigint[], new_names text[], new_partition_nos bigint[], new_versions bigint[],
    -- events
    event_partition_nos bigint[], positions bigint[], stream_nos bigint[], versions bigint[], event_ids uuid[],
    type_nos bigint[], payloads text[], correlation_ids uuid[], causation_ids uuid[], command_ids uuid[],
    actor_ids uuid[], actor_roles text[], traceparents text[], recorded_at bigint[], hashes bytea[],
    -- of the first event of a command, otherwise null
    command_workspace_nos bigint[], command_digests bytea[], event_counts bigint[], event_answers text[],
    -- commands with rows
    answered_workspace_nos bigint[], answered_ids uuid[], answered_digests bytea[], answered_correlations uuid[],
    answers_of_rows text[],
    -- the workspaces of those that have a row because they have no event, and the workspaces with earlier commands
    eventless_workspace_nos bigint[], earlier_workspace_nos bigint[],
    -- blocks that have an event of a type for the first time, as far as the caller knows
    block_type_nos bigint[], block_partition_nos bigint[], blocks bigint[]
) returns void language plpgsql as $$
declare
    changed bigint;
begin
    -- The index that refuses an id a second time knows no command without an event. So nothing is appended to the
    -- workspace of such a command meanwhile, in any of its partitions, and each of the two looks for the other below.
    if cardinality(partition_nos) > 1 or cardinality(eventless_workspace_nos) > 0 then
        perform from partitions
        where no = any (partition_nos) or workspace_no = any (eventless_workspace_nos)
        order by no for no key update;
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

    if cardinality(earlier_workspace_nos) > 0 and exists (
        select from unnest(command_workspace_nos || answered_workspace_nos, command_ids || answered_ids)
                g (workspace_no, command_id)
            join earlier_commands c on c.workspace_no = g.workspace_no and c.command_id = g.command_id
    ) then
        raise exception 'a command was answered before' using errcode = 'FL001';
    end if;

    if cardinality(positions) > 0 then
        if exists (
            select from unnest(command_workspace_nos, command_ids) g (workspace_no, command_id)
                join answers a on a.workspace_no = g.workspace_no and a.command_id = g.command_id
        ) then
            raise exception 'a command has an answer' using errcode = 'FL001';
        end if;
        insert into events (partition_no, position, stream_no, version, event_id, type_no, payload, correlation_id,
            causation_id, command_id, actor_id, actor_role, traceparent, recorded_at, hash, workspace_no, body_digest,
            event_count, answer)
        select * from unnest(event_partition_nos, positions, stream_nos, versions, event_ids, type_nos, payloads,
            correlation_ids, causation_ids, command_ids, actor_ids, actor_roles, traceparents, recorded_at, hashes,
            command_workspace_nos, command_digests, event_counts, event_answers);
    end if;
    if cardinality(blocks) > 0 then
        insert into type_blocks (type_no, partition_no, block)
        select * from unnest(block_type_nos, block_partition_nos, blocks)
        on conflict do nothing;
    end if;

    if cardinality(answered_ids) > 0 then
        if cardinality(eventless_workspace_nos) > 0 and exists (
            select from unnest(answered_workspace_nos, answered_ids) g (workspace_no, command_id)
                join events e on e.workspace_no = g.workspace_no and e.command_id = g.command_id
            where g.workspace_no = any (eventless_workspace_nos) and e.workspace_no is not null
        ) then
            raise exception 'a command has events' using errcode = 'FL001';
        end if;
        insert into answers (workspace_no, command_id, body_digest, correlation_id, answer)
        select * from unnest(answered_workspace_nos, answered_ids, answered_digests, answered_correlations,
            answers_of_rows);
    end if;
end;
$$;
