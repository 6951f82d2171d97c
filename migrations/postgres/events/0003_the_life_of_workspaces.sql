-- The life of a workspace: how many have come in, when somebody was last there, and its end.
--
-- Events stay as they were recorded, and nothing of a log can be taken out. What can go is a workspace as a whole. It is
-- marked as being purged first; the mark can never be taken back, and from then on nobody reads or appends there. Only
-- what belongs to a marked workspace can be deleted, a piece at a time, and its own row last of all: so a purge that was
-- interrupted is known, and goes on.
--
-- With the mark the heads of its partitions get a hash that no event has ('ff' all over). What another server remembers
-- of them is then wrong, and `append_group` refuses it like any other that was overtaken.

-- everybody who was let in, whoever opened it included
alter table workspaces add column people bigint not null default 1;
-- when somebody was last there, give or take an hour: what nobody uses any more expires
alter table workspaces add column active_at bigint not null default 0;
-- null: it is in use
alter table workspaces add column purging_since bigint;

-- What is there already begins to rest today, and not on the day on which it was opened.
update workspaces set active_at = (extract(epoch from now()) * 1000000)::bigint;

-- The workspaces that everybody knows.
create view open_workspaces as
select no, id, name, template, shards, join_code, created_at, people, active_at from workspaces
where purging_since is null;

create function keep_the_mark_of_a_purge() returns trigger language plpgsql as $$
begin
    if old.purging_since is not null and new.purging_since is distinct from old.purging_since then
        raise exception 'a workspace that is being purged stays so';
    end if;
    -- what belongs to which workspace decides about what may be deleted, and so it is for ever
    if new.no <> old.no or new.id <> old.id then
        raise exception 'a workspace keeps its number';
    end if;
    return new;
end;
$$;

create trigger purging_is_irrevocable before update of purging_since, no, id on workspaces
for each row execute function keep_the_mark_of_a_purge();

create function keep_the_workspace_of_a_partition() returns trigger language plpgsql as $$
begin
    raise exception 'a partition keeps its number and its workspace';
end;
$$;

create trigger partitions_keep_their_workspaces before update of no, workspace_no, partition on partitions
for each row execute function keep_the_workspace_of_a_partition();

-- The triggers of 0001 ask this function: an event goes with its whole workspace, or not at all. It finds its tables here,
-- whatever the caller's search path is.
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
    raise exception 'events are immutable: a recorded event cannot be %', lower(tg_op) || 'd';
end;
$$;

-- Without its partition an event would belong to nobody, and a partition without its workspace as well.
create function delete_partitions_behind_their_events() returns trigger language plpgsql
set search_path from current as $$
begin
    if exists (select 1 from events where partition_no = old.no)
        or not exists (select 1 from workspaces where no = old.workspace_no and purging_since is not null)
    then
        raise exception 'a partition is deleted with its whole workspace, behind its events';
    end if;
    return old;
end;
$$;

create trigger partitions_are_deleted_behind_their_events before delete on partitions
for each row execute function delete_partitions_behind_their_events();

create function delete_workspaces_last() returns trigger language plpgsql
set search_path from current as $$
begin
    if old.purging_since is null or exists (select 1 from partitions where workspace_no = old.no) then
        raise exception 'a workspace is deleted as a whole, and its own row last';
    end if;
    return old;
end;
$$;

create trigger workspaces_are_deleted_last before delete on workspaces
for each row execute function delete_workspaces_last();

-- `truncate` passes by the triggers of rows.
create trigger partitions_are_never_truncated before truncate on partitions
for each statement execute function refuse_to_change_events();
create trigger workspaces_are_never_truncated before truncate on workspaces
for each statement execute function refuse_to_change_events();
