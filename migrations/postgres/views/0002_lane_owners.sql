-- Servers on one database share the work of the lanes: each lane group has one owner, and an owner hands over what it has
-- committed to the others. Nothing here outlives a crash of the database, and nothing has to: the servers register again,
-- and a server that finds a gap in what was handed over reads the documents. So none of it is written to the WAL.

-- The servers that are alive. A server renews its row every second, by the clock of the database.
create unlogged table servers (
    -- a new one at each start
    server     uuid        primary key,
    -- the process of the database that serves the connection on which the row was renewed: if it is gone, so is the server
    connection integer     not null,
    renewed_at timestamptz not null
) with (fillfactor = 50);

-- Which server runs the lanes of a group of workspaces. The row decides between servers that take a group at the same time.
-- A group whose owner is no row of `servers` is free.
create unlogged table lane_owners (
    lane_group bigint primary key check (lane_group >= 0),
    server     uuid   not null
) with (fillfactor = 50);

-- The commits of lanes, for the servers that do not own them: written in the transaction of the documents, while other
-- servers are alive, and removed after some seconds.
create unlogged table changes (
    workspace     uuid        not null,
    view          text        collate "C" not null,
    generation    bigint      not null,
    -- how many events the generation had folded after the commit, over all partitions: the order of its commits
    events        bigint      not null check (events > 0),
    partition     bigint      not null,
    -- the lane's checkpoint before and after
    from_position bigint      not null,
    to_position   bigint      not null check (to_position > from_position),
    -- what each event did to which document, as JSON; null: not known one by one
    content       text,
    stored_at     timestamptz not null,
    primary key (workspace, view, generation, events)
);

create index changes_by_age on changes (stored_at);
