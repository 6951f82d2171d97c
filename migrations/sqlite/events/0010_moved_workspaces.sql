-- A workspace that was reset is purged, and another has taken its place under the same join code. Its people have tokens for
-- the old one: which workspace they go on in is kept for as long as such a token may be valid, and is then deleted.
create table moved_workspaces (
    id        blob    not null primary key check (length(id) = 16),
    -- the workspace that has its place now; a later reset changes it, so that the way is never longer than one step
    successor blob    not null check (length(successor) = 16),
    moved_at  integer not null,
    check (id <> successor)
) strict, without rowid;

create index moved_workspaces_by_successor on moved_workspaces (successor);
