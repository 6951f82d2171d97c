-- The read model: what the projections have folded. Nothing here is a source of truth; all of it can be folded again
-- from the event store.

-- Which generation of a view is read. A view without a row is at its first generation. A rebuild folds a new
-- generation beside the live one and then changes this one row.
create table generations (
    workspace  blob    not null,
    view       text    not null,
    live       integer not null check (live > 0),
    primary key (workspace, view)
) strict, without rowid;

-- How far a lane (one view on one partition) has folded: the position of the last event it has seen. It changes in the
-- same transaction as the documents, and only from the value that the lane believes it to have.
create table checkpoints (
    workspace  blob    not null,
    view       text    not null,
    generation integer not null,
    partition  integer not null,
    position   integer not null check (position > 0),
    primary key (workspace, view, generation, partition)
) strict, without rowid;

-- The documents, as JSON. The owner is the person a document belongs to, where it belongs to somebody.
-- A table with a rowid: documents are far larger than their keys, and would make a clustered tree deep.
create table documents (
    workspace  blob    not null,
    view       text    not null,
    generation integer not null,
    key        text    not null,
    data       text    not null,
    owner      blob,
    primary key (workspace, view, generation, key)
) strict;

-- Where documents are listed. The primary key is the order in which a listing is read, so a page is one range of it.
create table listings (
    workspace  blob    not null,
    view       text    not null,
    generation integer not null,
    listing    text    not null,
    group_key  text    not null,
    sort_key   text    not null,
    key        text    not null,
    primary key (workspace, view, generation, listing, group_key, sort_key, key)
) strict, without rowid;
