-- Digests of commands get a key: HMAC-SHA-256 over the digest that was stored before, so that a repetition of an old command
-- is still recognised. Without a key, the body of a command whose other parts are known could be guessed.
--
-- SQL has neither the key nor the function. So this migration says which digests have no key, and the program gives them
-- theirs at its next start, a piece at a time. A start that is interrupted is continued by the next one, and servers that
-- start together share the work.

-- Events with digests that have no key: those of a partition after `keyed_to` and up to `head`. The row goes when there are
-- none left.
create table unkeyed_digests (
    partition_no bigint primary key,
    keyed_to bigint not null,
    -- null: the head of the partition when the first program begins. Not its head now: a server of an older version may be
    -- within a call of `append_group`, and appends nothing after that.
    head bigint
);

insert into unkeyed_digests (partition_no, keyed_to, head) select no, 0, null from partitions;

-- Commands with rows say it one by one.
alter table answers add column keyed boolean not null default false;
create index answers_without_key on answers (workspace_no, command_id) where not keyed;
alter table earlier_commands add column keyed boolean not null default false;
create index earlier_commands_without_key on earlier_commands (workspace_no, command_id) where not keyed;

-- As in 0003, but a digest without a key may get one.
create or replace function refuse_to_change_events() returns trigger language plpgsql
set search_path from current as $$
begin
    if tg_op = 'DELETE' then
        if exists (
            select 1 from partitions p join workspaces w on w.no = p.workspace_no
            where p.no = old.partition_no and w.purging_since is not null
        ) then
            return old;
        end if;
    end if;
    if tg_op = 'UPDATE' then
        if old.body_digest is not null and new.body_digest is not null and exists (
            select 1 from unkeyed_digests u
            where u.partition_no = old.partition_no and old.position > u.keyed_to and old.position <= u.head
        ) then
            old.body_digest := new.body_digest;
            if old is not distinct from new then
                return new;
            end if;
        end if;
    end if;
    raise exception 'events are immutable: a recorded event cannot be %', lower(tg_op) || 'd';
end;
$$;

-- As in 0005, under another name: its callers give digests a key. A server of an older version, which does not, finds no
-- such function any more and appends nothing.
drop function append_group;
create function append_commands(
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
        insert into answers (workspace_no, command_id, body_digest, correlation_id, answer, keyed)
        select *, true from unnest(answered_workspace_nos, answered_ids, answered_digests, answered_correlations,
            answers_of_rows);
    end if;
end;
$$;
