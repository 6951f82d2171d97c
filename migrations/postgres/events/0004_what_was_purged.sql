-- What was purged stays known: its id, and nothing else of it.
--
-- A view, the memory of process managers and what is kept of people lie elsewhere, and may hold something of a workspace that
-- the log does not have: another server has written it while the workspace was being purged, or they belong to another log.
-- The first is to be deleted, and the second must never be. The row of a workspace tells them apart until it goes, last of
-- all; what takes its place here, in the same transaction, does so for ever.
create table purged_workspaces (
    id uuid not null primary key
);

create function remember_purged_workspaces() returns trigger language plpgsql
set search_path from current as $$
begin
    -- one that was imported again after its first purge is purged again
    insert into purged_workspaces (id) values (old.id) on conflict (id) do nothing;
    return null;
end;
$$;

create trigger purged_workspaces_are_remembered after delete on workspaces
for each row execute function remember_purged_workspaces();
