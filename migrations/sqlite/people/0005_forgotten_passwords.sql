-- The links by which people set a new password: as hashes, so that a reader of this table cannot use one. A link belongs
-- to the email that it was sent to, by the keyed hash of the sign-in, and opens nothing once the email is another. All links
-- of a person go with the first that is used.
create table password_resets (
    hash blob not null primary key,
    workspace blob not null,
    person blob not null,
    login blob not null,
    expires_at integer not null
) strict, without rowid;

create index password_resets_of_person on password_resets (workspace, person);
create index password_resets_by_end on password_resets (expires_at);

-- Passwords that were changed, until the log has the event, after which an email tells the owner. Written in the transaction
-- of the new hash: what is found here after a crash is appended then, under the same command id.
create table password_changes (
    workspace blob not null,
    person blob not null,
    command_id blob not null,
    by_link integer not null check (by_link in (0, 1)),
    changed_at integer not null,
    primary key (workspace, person, command_id)
) strict, without rowid;

create index password_changes_by_time on password_changes (changed_at);
