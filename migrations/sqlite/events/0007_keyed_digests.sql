-- Digests of commands get a key: HMAC-SHA-256 over the digest that was stored before, so that a repetition of an old command
-- is still recognised. Without a key, the body of a command whose other parts are known could be guessed.
--
-- SQL has neither the key nor the function. So this migration says which digests have no key, and the program gives them
-- theirs at its next start, a piece at a time. A start that is interrupted is continued by the next one.

-- Events with digests that have no key: those of a partition after `keyed_to` and up to `head`. The row goes when there are
-- none left.
create table unkeyed_digests (
    partition_no integer primary key,
    keyed_to integer not null,
    -- null: the head of the partition when the program begins
    head integer
) strict;

insert into unkeyed_digests (partition_no, keyed_to, head) select no, 0, null from partitions;

-- Commands with rows say it one by one.
alter table answers add column keyed integer not null default 0;
create index answers_without_key on answers (workspace_no, command_id) where keyed = 0;

drop trigger events_are_never_updated;
-- As before, but a digest without a key may get one.
create trigger events_are_never_updated before update on events
when old.body_digest is null or new.body_digest is null
    or not exists (
        select 1 from unkeyed_digests u
        where u.partition_no = old.place >> 40
            and (old.place & 1099511627775) > u.keyed_to and (old.place & 1099511627775) <= u.head
    )
    or new.place is not old.place
    or new.stream_no is not old.stream_no
    or new.version is not old.version
    or new.event_id is not old.event_id
    or new.type_no is not old.type_no
    or new.payload is not old.payload
    or new.correlation_id is not old.correlation_id
    or new.causation_id is not old.causation_id
    or new.command_id is not old.command_id
    or new.actor_id is not old.actor_id
    or new.actor_role is not old.actor_role
    or new.traceparent is not old.traceparent
    or new.recorded_at is not old.recorded_at
    or new.hash is not old.hash
    or new.workspace_no is not old.workspace_no
    or new.event_count is not old.event_count
    or new.answer is not old.answer
begin
    select raise(abort, 'events are immutable: a recorded event cannot be updated');
end;
