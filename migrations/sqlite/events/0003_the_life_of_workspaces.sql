-- The life of a workspace: how many have come in, when somebody was last there, and its end.
--
-- Events stay as they were recorded, and nothing of a log can be taken out. What can go is a workspace as a whole. It is
-- marked as being purged first; the mark can never be taken back, and from then on nobody reads or appends there. Only
-- what belongs to a marked workspace can be deleted, a piece at a time, and its own row last of all: so a purge that was
-- interrupted is known, and goes on.

-- everybody who was let in, whoever opened it included
alter table workspaces add column people integer not null default 1;
-- when somebody was last there, give or take an hour: what nobody uses any more expires
alter table workspaces add column active_at integer not null default 0;
-- null: it is in use
alter table workspaces add column purging_since integer;

-- What is there already begins to rest today, and not on the day on which it was opened.
update workspaces set active_at = unixepoch() * 1000000;

-- The workspaces that everybody knows.
create view open_workspaces as
select no, id, name, template, shards, join_code, created_at, people, active_at from workspaces
where purging_since is null;

create trigger purging_is_irrevocable before update of purging_since on workspaces
when old.purging_since is not null and new.purging_since is not old.purging_since
begin
    select raise(abort, 'a workspace that is being purged stays so');
end;

-- What belongs to which workspace decides about what may be deleted, and so it is for ever.
create trigger workspaces_keep_their_numbers before update of no, id on workspaces
begin
    select raise(abort, 'a workspace keeps its number');
end;
create trigger partitions_keep_their_workspaces before update of workspace_no, partition on partitions
when new.workspace_no <> old.workspace_no or new.partition <> old.partition
begin
    select raise(abort, 'a partition keeps its workspace');
end;
create trigger partitions_keep_their_numbers before update of no on partitions
begin
    select raise(abort, 'a partition keeps its number');
end;

drop trigger events_are_never_deleted;
-- As before, but where the whole workspace goes.
create trigger events_are_never_deleted before delete on events
when not exists (
    select 1 from partitions p join workspaces w on w.no = p.workspace_no
    where p.no = old.place >> 40 and w.purging_since is not null
)
begin
    select raise(abort, 'events are immutable: a recorded event cannot be deleted');
end;

-- Without its partition an event would belong to nobody, and a partition without its workspace as well.
create trigger partitions_are_deleted_behind_their_events before delete on partitions
when exists (select 1 from events where place between old.no << 40 and (old.no << 40) + 1099511627775)
    or not exists (select 1 from workspaces where no = old.workspace_no and purging_since is not null)
begin
    select raise(abort, 'a partition is deleted with its whole workspace, behind its events');
end;
create trigger workspaces_are_deleted_last before delete on workspaces
when old.purging_since is null or exists (select 1 from partitions where workspace_no = old.no)
begin
    select raise(abort, 'a workspace is deleted as a whole, and its own row last');
end;
